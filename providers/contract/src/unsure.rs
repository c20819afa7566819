//! A Once call whose intent or result the ledger could not write, for a full disk or a failed fsync. Nobody sends it again and nobody
//! else has its answer: its provider sees to it until the ledger is back (rules C4, J2, J3). With the provider's incarnation all this
//! ends, and the call is in doubt.

use crate::ProviderServices;
use loket_turn::{CallState, IntentId, LedgerError, Outcome, ResultWrite};

/// Before the first further try, milliseconds; doubled each time.
const AGAIN_FIRST_MS: u64 = 100;

/// The longest pause between two tries, milliseconds: how late a call goes on when the disk has space again.
const AGAIN_MOST_MS: u64 = 5_000;

/// Whether it is to be tried again.
fn is_over<T>(done: &Result<T, LedgerError>) -> bool {
    match done {
        Err(error) => !error.is_no_answer() || *error == LedgerError::Stopped,
        Ok(_) => true,
    }
}

/// The intent may stand in the ledger although its writing failed, and the call has not left: its holder lives and would never answer.
/// It is in doubt, as when the holder had ended. To be done before the caller is told: a call that it sends anew is another.
pub(crate) async fn intent(services: &ProviderServices, intent: IntentId) {
    let mut pause_ms = AGAIN_FIRST_MS;
    loop {
        let settled = match services.ledger.state_of(intent).await {
            Ok(CallState::Held) => services.ledger.doubt(intent).await.map(drop),
            other => other.map(drop),
        };
        if is_over(&settled) {
            return;
        }
        services.clock.sleep(pause_ms).await;
        pause_ms = (pause_ms * 2).min(AGAIN_MOST_MS);
    }
}

/// Writes a result, as often as it takes.
pub(crate) async fn result(
    services: &ProviderServices,
    write: ResultWrite,
) -> Result<(Outcome, u64), LedgerError> {
    let mut pause_ms = AGAIN_FIRST_MS;
    loop {
        let written = services.ledger.result(write.clone()).await;
        if is_over(&written) {
            return written;
        }
        if let Err(error) = &written {
            tracing::warn!(code = error.code(), "result not written, it will be: {error}");
        }
        services.clock.sleep(pause_ms).await;
        pause_ms = (pause_ms * 2).min(AGAIN_MOST_MS);
    }
}
