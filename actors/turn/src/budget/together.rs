//! What the turns of a node have spent of their supervisors' calls and bytes, whether the ledger has it yet or not.
//!
//! A turn counts its calls without an intent in memory, and others draw on the same budget meanwhile. Here they see each other, so that
//! together they stay within it. It is never the truth: what a process forgets the ledger says again, to the next turn that begins.

use super::{Amounts, Budget, Level, Unit};
use std::collections::HashMap;
use std::sync::Arc;

/// For all turns of a node. As large as there are supervisors with budgets.
#[derive(Debug, Default)]
pub struct Together(HashMap<Arc<str>, Window>);

/// One supervisor's.
#[derive(Debug, Default)]
struct Window {
    since_ms: u64,
    /// Calls and bytes of this window.
    spent: Amounts,
}

impl Window {
    /// What is spent of a unit that turns count.
    fn of(&mut self, unit: Unit) -> Option<&mut u64> {
        match unit {
            Unit::Calls => Some(&mut self.spent.calls),
            Unit::Bytes => Some(&mut self.spent.bytes),
            Unit::Tokens | Unit::Money => None,
        }
    }
}

impl Together {
    /// The window that a budget is in; `None` for one that a single agent draws on, and for a window that is over.
    fn window(&mut self, budget: &Budget) -> Option<&mut Window> {
        let Level::Supervisor { supervisor } = &budget.level else { return None };
        let window = self.0.entry(Arc::clone(supervisor)).or_default();
        if window.since_ms < budget.since_ms {
            *window = Window { since_ms: budget.since_ms, spent: Amounts::default() };
        }
        (window.since_ms == budget.since_ms).then_some(window)
    }

    /// What the ledger says to a turn that begins: at least so much is spent.
    pub(super) fn hear(&mut self, budget: &Budget) {
        let Some(window) = self.window(budget) else { return };
        for line in &budget.lines {
            if let Some(known) = window.of(line.unit) {
                *known = line.spent.max(*known);
            }
        }
    }

    /// Brings a turn's view of a budget to what is known here.
    pub(super) fn show(&mut self, budget: &mut Budget) {
        let Some(window) = self.window(budget) else { return };
        for line in &mut budget.lines {
            if let Some(known) = window.of(line.unit) {
                line.spent = *known;
            }
        }
    }

    /// A turn has spent so much.
    pub(super) fn add(&mut self, budget: &Budget, spent: &Amounts) {
        if let Some(window) = self.window(budget) {
            window.spent = window.spent.and(spent);
        }
    }

    /// A turn is over, and so much of what it counted was never written: it was broken off, or is made again.
    pub(super) fn give_back(&mut self, budget: &Budget, counted: &Amounts) {
        if let Some(window) = self.window(budget) {
            window.spent.calls = window.spent.calls.saturating_sub(counted.calls);
            window.spent.bytes = window.spent.bytes.saturating_sub(counted.bytes);
        }
    }
}
