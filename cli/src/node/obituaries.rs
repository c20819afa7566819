//! Tells the ledger of each child's end, so that who watches an agent gets its Down (rule I2), and of those who will not come back.
//!
//! Never waits: it is called where the child ends. What the ledger's queue has no room for, the next incarnation tells.

use loket_runtime::{Clock, Listener};
use loket_supervision::machine::Exit;
use loket_turn::{Ended, Ledger, LedgerError};
use std::sync::Arc;

/// Hears of every end.
pub(super) struct Obituaries {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Clock,
}

impl Listener for Obituaries {
    /// The ledger knows which names are agents' and who watches them.
    fn down(&self, name: &str, incarnation: u64, reason: &Exit) {
        drop(self.ledger.ended(Ended {
            agent: name.into(),
            incarnation,
            code: reason.code().to_owned(),
            reason: reason.to_string(),
            now_ms: self.clock.now().0,
        }));
    }
}

/// A child that will not come back: its inbox becomes dead letters (rule A4). Children without an inbox are not in the ledger.
/// What the ledger is asked later comes after it, whenever the answer is awaited: a restarted supervisor's child of the same name
/// begins its new life behind it.
pub(super) fn remove(
    ledger: &dyn Ledger,
    agent: Arc<str>,
    why: String,
) -> impl Future<Output = ()> + use<> {
    let removal = ledger.remove(Arc::clone(&agent), why);
    async move {
        match removal.await {
            Ok(removed) => {
                tracing::warn!(
                    agent = &*agent,
                    letters = removed.letters,
                    "an agent has ended for good"
                );
            }
            Err(LedgerError::NoSuchAgent(_)) => {}
            Err(error) => tracing::error!(agent = &*agent, "not removed from the ledger: {error}"),
        }
    }
}

/// A SimpleOneForOne supervisor that will not come back: nobody starts its children again. Those are meant that the ledger knows
/// when it is asked, which is at once.
pub(super) fn remove_below(
    ledger: &Arc<dyn Ledger>,
    under: &str,
) -> impl Future<Output = ()> + use<> {
    let (ledger, under) = (Arc::clone(ledger), under.to_owned());
    let rows = ledger.dynamic_children();
    async move {
        match rows.await {
            Ok(rows) => {
                for row in rows.into_iter().filter(|row| *row.under == *under) {
                    let why = format!("its supervisor {under} has ended for good");
                    remove(&*ledger, row.agent, why).await;
                }
            }
            Err(error) => tracing::error!(under, "dynamic children were not removed: {error}"),
        }
    }
}
