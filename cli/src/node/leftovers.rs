//! Files of brains and snapshots that are nobody's: looked for at the start and once a day. What is nobody's is the store's to say
//! (`loket_store::keep::find_ownerless`), out of what the ledger names.

use super::brains::Files;
use super::metrics;
use loket_ledger::SqliteLedger;
use loket_runtime::Clock;
use loket_store::keep::{find_ownerless, lay_aside, remove_laid_aside};
use loket_turn::{Failure, Ledger, LedgerError};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

/// Between two looks, milliseconds.
const EVERY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A look on its way.
type Looking = Pin<Box<dyn Future<Output = ()>>>;

/// What looks for them, as long as the node runs.
pub(super) fn look(
    data: &Path,
    ledger: &Arc<SqliteLedger>,
    clock: Clock,
) -> impl FnOnce() -> Looking + Send + 'static {
    let (data, ledger) = (data.to_owned(), Arc::clone(ledger));
    move || Box::pin(again_and_again(data, ledger, clock))
}

async fn again_and_again(data: PathBuf, ledger: Arc<SqliteLedger>, clock: Clock) {
    let files = Files::new(&data);
    loop {
        match once(&data, &files, &ledger, clock.of_files()).await {
            Ok((0, 0)) => {}
            Ok((aside, removed)) => {
                metrics::ownerless(aside, removed);
                tracing::info!(aside, removed, "files of brains that are nobody's");
            }
            Err(failure) => tracing::warn!("files that are nobody's stay: {failure}"),
        }
        clock.sleep(EVERY_MS).await;
    }
}

/// How many were laid aside, and how many removed.
async fn once(
    data: &Path,
    files: &Files,
    ledger: &SqliteLedger,
    now: SystemTime,
) -> Result<(u64, u64), Failure> {
    let unread = |error: LedgerError| Failure::new(error.code(), error.to_string());
    let at = data.to_owned();
    let removed = files.apart(move |_| remove_laid_aside(&at, now)).await?;
    let owned = ledger.files().await.map_err(unread)?;
    let at = data.to_owned();
    let found = files.apart(move |_| find_ownerless(&at, &owned, now)).await?;
    if found.count() == 0 {
        return Ok((0, removed));
    }
    // Asked again: whose name has come between is somebody's.
    let owned = ledger.files().await.map_err(unread)?;
    let at = data.to_owned();
    let aside = files.apart(move |_| lay_aside(&at, found, &owned, now)).await?;
    Ok((aside, removed))
}
