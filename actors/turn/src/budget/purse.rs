//! The budgets of a turn: as the ledger had them at its begin, and what the turn has spent since.
//!
//! Other turns draw on a supervisor's budget at the same time. What they spend by calls with an intent is judged in the ledger, to
//! the last one; what they only count they tell each other by [`Together`].

use super::{
    Amounts, Budget, Charge, Counted, Level, Together, Unit, Used, budget_number, shared_number,
};
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
    /// What was counted since the last call that has a record: a run that begins anew makes those calls again, and counts them.
    tail: Amounts,
}

impl Drawn {
    fn of(budget: Budget) -> Self {
        let number = match &budget.level {
            Level::Grant { capability } => Some(budget_number(capability)),
            Level::Message | Level::Supervisor { .. } => None,
        };
        Self { number, budget, counted: Amounts::default(), tail: Amounts::default() }
    }

    fn take(&mut self, spends: &Amounts, all: Option<&mut Together>) {
        self.budget.take(spends);
        if let Some(all) = all {
            all.add(&self.budget, spends);
        }
    }

    fn serves(&self, number: u64) -> bool {
        self.number.is_none_or(|own| own == number)
    }
}

fn serving(drawn: &mut [Drawn], number: u64) -> impl Iterator<Item = &mut Drawn> {
    drawn.iter_mut().filter(move |drawn| drawn.serves(number))
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

/// Why a call that needs no intent is not made, or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undrawn {
    /// It is not made.
    Refused(Refused),
    /// It goes beyond the soft limit of this level, and a person is to be asked.
    Beyond(Level),
}

/// Whether other turns draw on it, and it counts what they count.
fn is_shared(budget: &Budget) -> bool {
    let counts = |unit| matches!(unit, Unit::Calls | Unit::Bytes);
    matches!(budget.level, Level::Supervisor { .. })
        && budget.lines.iter().any(|line| counts(line.unit))
}

impl Purse {
    /// With these budgets; `None` when there are none.
    pub fn new(budgets: Vec<Budget>) -> Option<Self> {
        if budgets.is_empty() {
            return None;
        }
        Some(Self(budgets.into_iter().map(Drawn::of).collect()))
    }

    /// Whether other turns draw on one of them, and it counts what they count: then everything is told to them.
    pub fn is_shared(&self) -> bool {
        self.0.iter().any(|drawn| is_shared(&drawn.budget))
    }

    /// Tells others what the ledger said when the turn began.
    pub fn tell(&self, all: &mut Together) {
        self.0.iter().for_each(|drawn| all.hear(&drawn.budget));
    }

    /// The turn is over: what it has counted and nobody has written is not spent.
    pub fn give_back(&self, all: &mut Together) {
        for drawn in &self.0 {
            all.give_back(&drawn.budget, &drawn.counted.and(&drawn.tail));
        }
    }

    /// Whether the turn knows of the budgets that a grant of this number draws on.
    fn knows(&self, number: u64) -> bool {
        let wanted = (number != shared_number()).then_some(number);
        self.0.iter().any(|drawn| drawn.number == wanted)
    }

    /// Counts a call without an intent, at every level or at none. `all`: what turns spend together, if this one shares something.
    ///
    /// # Errors
    /// What stops it.
    pub fn draw(
        &mut self,
        number: u64,
        args: &[u8],
        now_ms: u64,
        mut all: Option<&mut Together>,
    ) -> Result<(), Undrawn> {
        if !self.knows(number) {
            let level = "grant";
            let refused = Refused { unit: Unit::Calls, level, failure: unknown() };
            return Err(Undrawn::Refused(refused));
        }
        let spends = Amounts::of_call(args, Used::NOTHING);
        for drawn in serving(&mut self.0, number) {
            if drawn.budget.move_on(now_ms) {
                (drawn.counted, drawn.tail) = Default::default();
            }
            if let Some(all) = all.as_deref_mut() {
                all.show(&mut drawn.budget);
            }
            if let Err(short) = drawn.budget.afford(&spends) {
                let (unit, level) = (short.line.unit, drawn.budget.level.as_str());
                let failure = drawn.budget.refusal(&short, now_ms);
                return Err(Undrawn::Refused(Refused { unit, level, failure }));
            }
        }
        let asks = |drawn: &&mut Drawn| drawn.budget.afford_unasked(&spends).is_err();
        if let Some(drawn) = serving(&mut self.0, number).find(asks) {
            return Err(Undrawn::Beyond(drawn.budget.level.clone()));
        }
        for drawn in serving(&mut self.0, number) {
            drawn.take(&spends, all.as_deref_mut());
            drawn.tail = drawn.tail.and(&spends);
        }
        Ok(())
    }

    /// A person has said that this level may be spent to its limits.
    pub fn lift(&mut self, level: &Level) {
        for drawn in self.0.iter_mut().filter(|drawn| drawn.budget.level == *level) {
            drawn.budget.lifted = true;
        }
    }

    /// Counts the bytes of an answer. `written`: the ledger counts them itself, with the result.
    pub fn answered(
        &mut self,
        number: u64,
        bytes: usize,
        written: bool,
        mut all: Option<&mut Together>,
    ) {
        let spends = Amounts { bytes: bytes as u64, ..Amounts::default() };
        for drawn in serving(&mut self.0, number) {
            drawn.take(&spends, all.as_deref_mut());
            if !written {
                drawn.tail = drawn.tail.and(&spends);
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
    pub fn charged(&mut self, number: u64, wants: Amounts, mut all: Option<&mut Together>) {
        let spends = Amounts { tokens: 0, money: 0, ..wants };
        for drawn in serving(&mut self.0, number) {
            drawn.take(&spends, all.as_deref_mut());
        }
    }

    /// The call that was made last has a record: a run that begins anew makes none of those so far again.
    pub fn recorded(&mut self) {
        for drawn in &mut self.0 {
            drawn.counted = drawn.counted.and(&drawn.tail);
            drawn.tail = Amounts::default();
        }
    }

    /// What the ledger lacks; it goes out with every write after which no call so far is made again.
    pub fn counted(&self) -> Vec<Counted> {
        self.all(|drawn| drawn.counted.and(&drawn.tail))
    }

    /// What it lacks of the calls up to the last one that has a record; it goes out with a write that takes the records along, and
    /// nothing else.
    pub fn counted_with_records(&self) -> Vec<Counted> {
        self.all(|drawn| drawn.counted)
    }

    fn all(&self, of: impl Fn(&Drawn) -> Amounts) -> Vec<Counted> {
        let some = self.0.iter().map(|drawn| Counted {
            level: drawn.budget.level.clone(),
            since_ms: drawn.budget.since_ms,
            spent: of(drawn),
        });
        some.filter(|counted| counted.spent != Amounts::default()).collect()
    }

    /// The ledger has all that was counted.
    pub fn written(&mut self) {
        for drawn in &mut self.0 {
            (drawn.counted, drawn.tail) = Default::default();
        }
    }

    /// The ledger has what was counted up to the last record.
    pub fn written_with_records(&mut self) {
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
