//! What a budget counts, and how much of it.

use serde::{Deserialize, Serialize};

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
    pub(super) fn written(self, amount: u64) -> String {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

    /// The sum of two; it ends at the largest number.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self.tokens.saturating_add(other.tokens),
            bytes: self.bytes.saturating_add(other.bytes),
            money: self.money.saturating_add(other.money),
        }
    }

    /// One call with these arguments, that can use no more of a model than this.
    pub fn of_call(args: &[u8], most: Used) -> Self {
        let Used { tokens, money } = most;
        Self { calls: 1, tokens, bytes: args.len() as u64, money }
    }
}
