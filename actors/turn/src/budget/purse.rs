//! The budgets of a turn: as the ledger had them at its begin, and what the turn has spent since.
//!
//! Other turns draw on a supervisor's budget at the same time. What they spend by calls with an intent is judged in the ledger, to
//! the last one; what they only count, this turn does not see.

use super::{Amounts, Budget, Charge, Counted, Level, Unit, Used, budget_number, shared_number};
use crate::Failure;

/// See the module head.
#[derive(Debug)]
pub struct Purse(Vec<Drawn>);

#[derive(Debug)]
struct Drawn {
    /// The number of the one grant that draws on it; `None`: every grant that has a number does.
    number: Option<u64>,
    budget: Budget,
    counted: Amounts,
}

impl Drawn {
    fn of(budget: Budget) -> Self {
        let number = match &budget.level {
            Level::Grant { capability } => Some(budget_number(capability)),
            Level::Message | Level::Supervisor { .. } => None,
        };
        Self { number, budget, counted: Amounts::default() }
    }

    fn serves(&self, number: u64) -> bool {
        self.number.is_none_or(|own| own == number)
    }
}

/// What stops a call that needs no intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The unit that does not suffice, for the metric.
    pub unit: Unit,
    /// The word of its level, likewise.
    pub level: &'static str,
    /// What the guest is told.
    pub failure: Failure,
}

impl Purse {
    /// With these budgets; `None` when there are none.
    pub fn new(budgets: Vec<Budget>) -> Option<Self> {
        if budgets.is_empty() {
            return None;
        }
        Some(Self(budgets.into_iter().map(Drawn::of).collect()))
    }

    /// Whether the turn knows of the budgets that a grant of this number draws on.
    fn knows(&self, number: u64) -> bool {
        let wanted = (number != shared_number()).then_some(number);
        self.0.iter().any(|drawn| drawn.number == wanted)
    }

    fn serving(&mut self, number: u64) -> impl Iterator<Item = &mut Drawn> {
        self.0.iter_mut().filter(move |drawn| drawn.serves(number))
    }

    /// Counts a call without an intent, at every level or at none.
    ///
    /// # Errors
    /// What stops it.
    pub fn draw(&mut self, number: u64, args: &[u8], now_ms: u64) -> Result<(), Refused> {
        if !self.knows(number) {
            let level = "grant";
            return Err(Refused { unit: Unit::Calls, level, failure: unknown() });
        }
        let spends = Amounts::of_call(args, Used::NOTHING);
        for drawn in self.serving(number) {
            if drawn.budget.move_on(now_ms) {
                drawn.counted = Amounts::default();
            }
            if let Err(short) = drawn.budget.afford(&spends) {
                let (unit, level) = (short.line.unit, drawn.budget.level.as_str());
                let failure = drawn.budget.refusal(&short, now_ms);
                return Err(Refused { unit, level, failure });
            }
        }
        for drawn in self.serving(number) {
            drawn.budget.take(&spends);
            drawn.counted.calls += spends.calls;
            drawn.counted.bytes = drawn.counted.bytes.saturating_add(spends.bytes);
        }
        Ok(())
    }

    /// Counts the bytes of an answer. `written`: the ledger counts them itself, with the result.
    pub fn answered(&mut self, number: u64, bytes: usize, written: bool) {
        let bytes = bytes as u64;
        for drawn in self.serving(number) {
            drawn.budget.take(&Amounts { bytes, ..Amounts::default() });
            if !written {
                drawn.counted.bytes = drawn.counted.bytes.saturating_add(bytes);
            }
        }
    }

    /// What a call with an intent is charged with.
    ///
    /// # Errors
    /// What the guest is told when the turn has no such budget.
    pub fn charge(&mut self, number: u64, wants: Amounts) -> Result<Charge, Failure> {
        if !self.knows(number) {
            return Err(unknown());
        }
        let own = self.0.iter().find(|drawn| drawn.number == Some(number));
        let grant = own.and_then(|drawn| match &drawn.budget.level {
            Level::Grant { capability } => Some(capability.clone()),
            Level::Message | Level::Supervisor { .. } => None,
        });
        Ok(Charge { grant, wants })
    }

    /// The ledger has charged a call.
    pub fn charged(&mut self, number: u64, wants: Amounts) {
        for drawn in self.serving(number) {
            drawn.budget.take(&Amounts { tokens: 0, money: 0, ..wants });
        }
    }

    /// What the ledger lacks; it goes out with every write that takes the turn's records along.
    pub fn counted(&self) -> Vec<Counted> {
        let some = self.0.iter().filter(|drawn| drawn.counted != Amounts::default());
        some.map(|drawn| Counted {
            level: drawn.budget.level.clone(),
            since_ms: drawn.budget.since_ms,
            spent: drawn.counted,
        })
        .collect()
    }

    /// The ledger has all that was counted.
    pub fn written(&mut self) {
        for drawn in &mut self.0 {
            drawn.counted = Amounts::default();
        }
    }
}

/// The grants have changed under the turn: denied, rather than let through uncounted.
fn unknown() -> Failure {
    let text = "the grant has a budget that this turn does not know yet: it came with a reload";
    Failure::retryable("restarting", text, None)
}
