//! Budgets: what an agent may spend through one grant, how a call is judged by it, and what a turn has counted.
//!
//! A budget belongs to one life of an agent and one granted capability; the ledger keeps it. Calls with an intent are judged and
//! charged by the ledger in the step that writes the intent. All others are counted in the turn's [`Purse`] and written with its
//! next intent, or its end: none of them costs a write. Start reading at [`Budget::afford`].

use crate::{AgentName, Failure, Hash};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The code of a refusal for want of budget.
pub const BUDGET_SPENT: &str = "budget_spent";

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Calls that were let through.
    Calls,
    /// Tokens of models: reserved before a call, then what its provider says it used.
    Tokens,
    /// Bytes of arguments and of answers that are no failures.
    Bytes,
    /// Money for tokens, in millionths of whatever the prices in the fleet file are in; as [`Unit::Tokens`].
    Money,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Calls, Self::Tokens, Self::Bytes, Self::Money];

    /// The word in the fleet file, in the ledger and in metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Tokens => "tokens",
            Self::Bytes => "bytes",
            Self::Money => "money",
        }
    }

    /// An amount of it for people: money in whole ones, with as many decimals as it needs.
    pub fn show(self, amount: u64) -> String {
        if self != Self::Money {
            return amount.to_string();
        }
        let (whole, rest) = (amount / MILLIONTHS, amount % MILLIONTHS);
        let decimals = format!("{rest:06}");
        match decimals.trim_end_matches('0') {
            "" => whole.to_string(),
            decimals => format!("{whole}.{decimals}"),
        }
    }

    /// An amount of it as a fleet file has it.
    fn written(self, amount: u64) -> String {
        let shown = self.show(amount);
        if self == Self::Money { format!("\"{shown}\"") } else { shown }
    }

    /// The unit of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.as_str() == word)
    }
}

/// Parts of one of the currency.
const MILLIONTHS: u64 = 1_000_000;

/// What a call of a model uses, or may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Tokens.
    pub tokens: u64,
    /// What they cost, in millionths.
    pub money: u64,
}

impl Used {
    /// Nothing.
    pub const NOTHING: Self = Self { tokens: 0, money: 0 };

    /// So much of this unit; of what a model does not use, nothing.
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Tokens => self.tokens,
            Unit::Money => self.money,
            Unit::Calls | Unit::Bytes => 0,
        }
    }
}

/// So much of each unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// Calls.
    pub calls: u64,
    /// Tokens.
    pub tokens: u64,
    /// Bytes.
    pub bytes: u64,
    /// Money, in millionths.
    pub money: u64,
}

impl Amounts {
    /// So much of this unit.
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Calls => self.calls,
            Unit::Tokens => self.tokens,
            Unit::Bytes => self.bytes,
            Unit::Money => self.money,
        }
    }

    /// One call with these arguments, that can use no more of a model than this.
    pub fn of_call(args: &[u8], most: Used) -> Self {
        let Used { tokens, money } = most;
        Self { calls: 1, tokens, bytes: args.len() as u64, money }
    }
}

/// A budget as the fleet file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The granted capability.
    pub capability: Arc<str>,
    /// The most of each unit that it bounds.
    pub limits: Vec<(Unit, u64)>,
    /// The window after which it is full again, milliseconds; `None`: once and for all.
    pub per_ms: Option<u64>,
}

/// The number that a grant's badge carries for its budget: the same for every agent and start, whatever the order of the grants.
pub fn budget_number(capability: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = Hash::of(capability.as_bytes()).0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// One unit of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it counts.
    pub unit: Unit,
    /// The most.
    pub limit: u64,
    /// What is spent in this window.
    pub spent: u64,
    /// What calls that are out may spend yet. It is carried into the next window.
    pub reserved: u64,
}

/// A budget as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Whose.
    pub agent: AgentName,
    /// The granted capability.
    pub capability: Arc<str>,
    /// Its units.
    pub lines: Vec<Line>,
    /// The length of a window, milliseconds; `None`: it is never full again.
    pub per_ms: Option<u64>,
    /// When this window began, Unix milliseconds.
    pub since_ms: u64,
}

/// What a call lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// The line that does not suffice.
    pub line: Line,
    /// What the call may need of it.
    pub needs: u64,
}

impl Budget {
    /// When this window ends, Unix milliseconds.
    pub fn ends_ms(&self) -> Option<u64> {
        self.per_ms.map(|per_ms| self.since_ms.saturating_add(per_ms))
    }

    /// Moves on to the window of this moment; whether that is another one. Windows follow each other without a gap.
    pub fn move_on(&mut self, now_ms: u64) -> bool {
        let Some(per_ms) = self.per_ms.filter(|per_ms| *per_ms > 0) else { return false };
        let windows = now_ms.saturating_sub(self.since_ms) / per_ms;
        if windows == 0 {
            return false;
        }
        self.since_ms += windows * per_ms;
        for line in &mut self.lines {
            line.spent = 0;
        }
        true
    }

    /// Whether a call that may need so much can be made.
    ///
    /// # Errors
    /// The first line that does not suffice. Bytes of answers are known only when they come, so that a call that needs no byte
    /// yet is refused, too, once there is none left.
    pub fn afford(&self, wants: &Amounts) -> Result<(), Short> {
        for line in &self.lines {
            let needs = match line.unit {
                Unit::Bytes => wants.bytes.max(1),
                unit => wants.of(unit),
            };
            let used = line.spent.saturating_add(line.reserved);
            if needs > 0 && used.saturating_add(needs) > line.limit {
                return Err(Short { line: *line, needs });
            }
        }
        Ok(())
    }

    /// Takes what a call spends at once: itself, and its arguments.
    fn take(&mut self, spent: &Amounts) {
        for line in &mut self.lines {
            line.spent = line.spent.saturating_add(spent.of(line.unit));
        }
    }

    /// What a guest is told when a call cannot be made.
    pub fn refusal(&self, short: &Short, now_ms: u64) -> Failure {
        let Self { agent, capability, .. } = self;
        let Short { line: Line { unit, limit, spent, reserved }, needs } = *short;
        let word = unit.as_str();
        let ends = match self.ends_ms() {
            Some(ends_ms) => {
                let left_ms = ends_ms.saturating_sub(now_ms);
                let text = format!("its window ends in {}", lasting(left_ms));
                Some((text, left_ms))
            }
            _ => None,
        };
        let end = ends.as_ref().map_or("it has no window", |(text, _)| text.as_str());
        let more = spent.saturating_add(reserved).saturating_add(needs);
        let [most, gone, held, need] = [limit, spent, reserved, needs].map(|n| unit.show(n));
        let more = unit.written(more);
        let text = format!(
            "the budget of {agent} for {capability} is {most} {word}: {gone} are spent, \
             {held} reserved, and this call may need {need}; {end}. To raise it: \
             `{word}: {more}` or more in the budget of its grant (cap: \"{capability}\", ..), then `loket reload`"
        );
        match ends {
            // A call that needs more than all of it is not helped by the next window.
            Some((_, left_ms)) if needs <= limit => {
                Failure::retryable(BUDGET_SPENT, text, Some(left_ms))
            }
            _ => Failure::new(BUDGET_SPENT, text),
        }
    }
}

/// A time for people, in its two largest units.
fn lasting(ms: u64) -> String {
    let s = ms.div_ceil(1_000);
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// What an intent's call may need, for the ledger to judge and to charge in the step that writes the intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The granted capability whose budget it draws on.
    pub capability: Arc<str>,
    /// The most that it needs. Calls and bytes are spent at once, tokens and money reserved until the result says how much it was.
    pub wants: Amounts,
}

/// What a turn has counted and the ledger does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The granted capability.
    pub capability: Arc<str>,
    /// The window that it was counted in: of one that is over nothing is kept.
    pub since_ms: u64,
    /// What was spent.
    pub spent: Amounts,
}

/// The budgets of a turn: as the ledger had them at its begin, and what the turn has spent since.
#[derive(Debug)]
pub struct Purse(Vec<Drawn>);

#[derive(Debug)]
struct Drawn {
    number: u64,
    budget: Budget,
    counted: Amounts,
}

impl Purse {
    /// With these budgets; `None` when there are none.
    pub fn new(budgets: Vec<Budget>) -> Option<Self> {
        if budgets.is_empty() {
            return None;
        }
        let drawn = budgets.into_iter().map(|budget| {
            let number = budget_number(&budget.capability);
            Drawn { number, budget, counted: Amounts::default() }
        });
        Some(Self(drawn.collect()))
    }

    fn drawn(&mut self, number: u64) -> Option<&mut Drawn> {
        self.0.iter_mut().find(|drawn| drawn.number == number)
    }

    /// Counts a call without an intent.
    ///
    /// # Errors
    /// What the guest is told; nothing is counted then. The unit is for the metric.
    pub fn draw(&mut self, number: u64, args: &[u8], now_ms: u64) -> Result<(), (Unit, Failure)> {
        let Some(drawn) = self.drawn(number) else {
            return Err((Unit::Calls, unknown()));
        };
        if drawn.budget.move_on(now_ms) {
            drawn.counted = Amounts::default();
        }
        let spends = Amounts::of_call(args, Used::NOTHING);
        if let Err(short) = drawn.budget.afford(&spends) {
            return Err((short.line.unit, drawn.budget.refusal(&short, now_ms)));
        }
        drawn.budget.take(&spends);
        drawn.counted.calls += spends.calls;
        drawn.counted.bytes = drawn.counted.bytes.saturating_add(spends.bytes);
        Ok(())
    }

    /// Counts the bytes of an answer. `written`: the ledger counts them itself, with the result.
    pub fn answered(&mut self, number: u64, bytes: usize, written: bool) {
        let Some(drawn) = self.drawn(number) else { return };
        let bytes = bytes as u64;
        drawn.budget.take(&Amounts { bytes, ..Amounts::default() });
        if !written {
            drawn.counted.bytes = drawn.counted.bytes.saturating_add(bytes);
        }
    }

    /// What a call with an intent is charged with.
    ///
    /// # Errors
    /// What the guest is told when the turn has no such budget.
    pub fn charge(&mut self, number: u64, wants: Amounts) -> Result<Charge, Failure> {
        let drawn = self.drawn(number).ok_or_else(unknown)?;
        Ok(Charge { capability: Arc::clone(&drawn.budget.capability), wants })
    }

    /// The ledger has charged a call.
    pub fn charged(&mut self, number: u64, wants: Amounts) {
        if let Some(drawn) = self.drawn(number) {
            drawn.budget.take(&Amounts { tokens: 0, money: 0, ..wants });
        }
    }

    /// What the ledger lacks; it goes out with every write that takes the turn's records along.
    pub fn counted(&self) -> Vec<Counted> {
        let some = self.0.iter().filter(|drawn| drawn.counted != Amounts::default());
        some.map(|drawn| Counted {
            capability: Arc::clone(&drawn.budget.capability),
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
