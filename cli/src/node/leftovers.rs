//! Files of brains and snapshots that are nobody's: looked for at the start and once a day. What is nobody's is the store's to say
//! (`loket_store::keep::remove_ownerless`), out of what the ledger names.

use super::brains::Files;
use super::metrics;
use loket_ledger::SqliteLedger;
use loket_runtime::Clock;
use loket_store::keep::remove_ownerless;
use loket_turn::Ledger;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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
        // What the ledger says comes first: a file that is made after it is too young to be taken.
        match ledger.files().await {
            Ok(owned) => {
                let (data, now) = (data.clone(), Duration::from_millis(clock.now().0));
                let now = SystemTime::UNIX_EPOCH + now;
                match files.apart(move |_| remove_ownerless(&data, &owned, now)).await {
                    Ok(done) if done.aside + done.removed > 0 => {
                        metrics::ownerless(done);
                        let (aside, removed) = (done.aside, done.removed);
                        tracing::info!(aside, removed, "files of brains that are nobody's");
                    }
                    Ok(_) => {}
                    Err(failure) => tracing::warn!("files that are nobody's stay: {failure}"),
                }
            }
            Err(error) => tracing::debug!("nobody's files are not looked for: {error}"),
        }
        clock.sleep(EVERY_MS).await;
    }
}
