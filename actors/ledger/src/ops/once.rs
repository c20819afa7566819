//! What a call of a turn asks the ledger for is done once (rules C3, C4): see [`loket_turn::ForCall`].

use crate::engine::{Engine, Fault, Op};
use loket_turn::{ForCall, LedgerError};

impl Engine {
    /// Does something; for a call it writes the result in the same step, and does nothing for one that has its result.
    pub(crate) fn once<T>(
        &mut self,
        of: Option<ForCall<T>>,
        work: impl FnOnce(&mut Self) -> Op<T>,
    ) -> Op<T> {
        let Some(of) = of else { return work(self) };
        let (call, now_ms) = (of.call, of.now_ms);
        if let Some((outcome, _)) = self.result_of(call)? {
            return Err(Fault::refused(LedgerError::Answered(Box::new(outcome))));
        }
        let done = work(self)?;
        if let Some(outcome) = of.said(&done)
            && let Some(written) = self.write_result(call, &outcome, None, now_ms)?
        {
            self.tell(&written, call);
        }
        Ok(done)
    }
}
