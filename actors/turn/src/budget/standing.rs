//! A budget as it stands: its window, what a call may still need of it, and what is told when that is too much.

use super::{Amounts, BUDGET_SPENT, Level, Unit};
use crate::{AgentName, Failure};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One unit of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it counts.
    pub unit: Unit,
    /// The most.
    pub limit: u64,
    /// The amount beyond which a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft: Option<u64>,
    /// What is spent in this window.
    pub spent: u64,
    /// What calls that are out may spend yet. It is carried into the next window.
    pub reserved: u64,
}

/// A budget as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// What it bounds.
    #[serde(flatten)]
    pub level: Level,
    /// Whose; `None` for a supervisor's, which many share.
    pub agent: Option<AgentName>,
    /// The next supervisor above that has a budget: what is spent here is spent there as well.
    pub under: Option<Arc<str>>,
    /// Its units.
    pub lines: Vec<Line>,
    /// The length of a window, milliseconds; `None`: it is never full again.
    pub per_ms: Option<u64>,
    /// When this window began, Unix milliseconds; for [`Level::Message`] the turn's number.
    pub since_ms: u64,
    /// A person has said that in this window it may be spent to its limits.
    pub lifted: bool,
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
        self.lifted = false;
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
        self.fit(wants, |line| Some(line.limit))
    }

    /// Whether such a call can be made without a person's word.
    ///
    /// # Errors
    /// The first line whose soft limit it goes beyond.
    pub fn afford_unasked(&self, wants: &Amounts) -> Result<(), Short> {
        self.fit(wants, |line| line.soft.filter(|_| !self.lifted))
    }

    fn fit(&self, wants: &Amounts, most: impl Fn(&Line) -> Option<u64>) -> Result<(), Short> {
        for line in &self.lines {
            let needs = match line.unit {
                Unit::Bytes => wants.bytes.max(1),
                unit => wants.of(unit),
            };
            let used = line.spent.saturating_add(line.reserved);
            if needs > 0 && most(line).is_some_and(|most| used.saturating_add(needs) > most) {
                return Err(Short { line: *line, needs });
            }
        }
        Ok(())
    }

    /// Takes what a call spends at once: itself, and its arguments.
    pub(super) fn take(&mut self, spent: &Amounts) {
        for line in &mut self.lines {
            line.spent = line.spent.saturating_add(spent.of(line.unit));
        }
    }

    /// What a guest is told when a call cannot be made.
    pub fn refusal(&self, short: &Short, now_ms: u64) -> Failure {
        let Short { line: Line { unit, limit, spent, reserved, .. }, needs } = *short;
        let word = unit.as_str();
        let left_ms = self.ends_ms().map(|ends_ms| ends_ms.saturating_sub(now_ms));
        let end = match (&self.level, left_ms) {
            (Level::Message, _) => "the next message has one of its own".to_owned(),
            (_, Some(left_ms)) => format!("its window ends in {}", lasting(left_ms)),
            (_, None) => "it has no window".to_owned(),
        };
        let more = spent.saturating_add(reserved).saturating_add(needs);
        let [most, gone, held, need] = [limit, spent, reserved, needs].map(|n| unit.show(n));
        let more = unit.written(more);
        let text = format!(
            "{} is {most} {word}: {gone} are spent, {held} reserved, and this call may need {need}; {end}. To raise it: \
             `{word}: {more}` or more in {}, then `loket reload`",
            self.named(),
            self.written_in(),
        );
        match left_ms {
            // A call that needs more than all of it is not helped by the next window.
            Some(left_ms) if needs <= limit => {
                Failure::retryable(BUDGET_SPENT, text, Some(left_ms))
            }
            _ => Failure::new(BUDGET_SPENT, text),
        }
    }

    /// Which budget it is, for people.
    pub fn named(&self) -> String {
        let agent = self.agent.as_deref().unwrap_or("an agent");
        match &self.level {
            Level::Grant { capability } => format!("the budget of {agent} for {capability}"),
            Level::Message => format!("the budget of {agent} for one message"),
            Level::Supervisor { supervisor } => {
                format!("the budget that all agents below {supervisor} share")
            }
        }
    }

    /// Where it stands in the fleet file.
    fn written_in(&self) -> String {
        match &self.level {
            Level::Grant { capability } => {
                format!("the budget of its grant (cap: \"{capability}\", ..)")
            }
            Level::Message => "the agent's `per_message`".to_owned(),
            Level::Supervisor { supervisor } => {
                format!("the budget of Supervisor(id: \"{supervisor}\", ..)")
            }
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
