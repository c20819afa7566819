//! A call and its budget: counted in the turn's purse, or charged in the step that writes its intent.
//!
//! Only calls whose badge names a budget come here. A call of the re-run part of a turn was counted when it was made (rule F1).

use crate::metrics;
use loket_runtime::{TurnCall, TurnPurse};
use loket_turn::{Amounts, Charge, Counted, Failure, Level, Undrawn};

/// The budget that a call draws on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    number: u64,
    capability: &'static str,
}

/// Why a call is not made.
pub(crate) enum Stopped {
    /// This is its answer.
    Failed(Failure),
    /// It goes beyond the soft limit of this level: a person is asked first.
    Beyond(Level),
}

fn purse(turn: &TurnCall) -> Option<&TurnPurse> {
    turn.turn.purse.as_deref()
}

/// A budget that nobody keeps: denied, rather than let through uncounted.
fn unkept() -> Failure {
    let text = "the grant has a budget, and this caller has no turn that keeps one";
    Failure::new("no_turn", text)
}

/// What the turn has counted and the ledger lacks.
pub(crate) fn counted(turn: &TurnCall) -> Vec<Counted> {
    purse(turn).map_or_else(Vec::new, |purse| purse.with(|purse, _| purse.counted()))
}

/// The ledger has it.
pub(crate) fn written(turn: &TurnCall) {
    if let Some(purse) = purse(turn) {
        purse.with(|purse, _| purse.written());
    }
}

impl Draws {
    /// What a call of this operation draws on; `None` for one that was counted before.
    pub(crate) fn new(
        number: u64,
        capability: &'static str,
        turn: Option<&TurnCall>,
    ) -> Option<Self> {
        let again = turn.is_some_and(|turn| turn.live.pure_only);
        (!again).then_some(Self { number, capability })
    }

    /// Counts a call that has no intent.
    pub(crate) fn draw(
        self,
        turn: Option<&TurnCall>,
        args: &[u8],
        now_ms: u64,
    ) -> Result<(), Stopped> {
        let purse = turn.and_then(purse).ok_or_else(|| Stopped::Failed(unkept()))?;
        let drawn = purse.with(|purse, all| purse.draw(self.number, args, now_ms, all));
        drawn.map_err(|undrawn| match undrawn {
            Undrawn::Refused(refused) => {
                metrics::over_budget(self.capability, refused.unit, refused.level);
                Stopped::Failed(refused.failure)
            }
            Undrawn::Beyond(level) => Stopped::Beyond(level),
        })
    }

    /// What an intent is charged with.
    pub(crate) fn charge(self, turn: &TurnCall, wants: Amounts) -> Result<Charge, Failure> {
        purse(turn).ok_or_else(unkept)?.with(|purse, _| purse.charge(self.number, wants))
    }

    /// The ledger has charged a call: the purse follows.
    pub(crate) fn charged(self, turn: &TurnCall, wants: Amounts) {
        if let Some(purse) = purse(turn) {
            purse.with(|purse, all| purse.charged(self.number, wants, all));
        }
    }

    /// Counts the bytes of an answer; with a result that the ledger has, they are counted there.
    pub(crate) fn answered(self, turn: Option<&TurnCall>, bytes: usize, written: bool) {
        if let Some(purse) = turn.and_then(purse) {
            purse.with(|purse, all| purse.answered(self.number, bytes, written, all));
        }
    }
}
