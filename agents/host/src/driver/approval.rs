//! A call that the kernel holds for a person: put before the ledger, waited for, let go on or answered with the denial (rule H1).
//!
//! Must never let a call pass that nobody approved: a lease is for this agent, this capability and one call, and the ledger gives
//! an approval for the very arguments only.

use super::calls::Counter;
use super::end::Halt;
use super::turn::counted;
use loket_kernel::Moment;
use loket_runtime::Lease;
use loket_turn::{Answered, Ask, Asked, EffectClass, Live};
use std::sync::{Arc, PoisonError};

/// How long a lease lasts at most, milliseconds: from the driver to the kernel shard, a queue's length away.
const LEASE_MS: u64 = 60_000;

/// What a held call has come to.
pub(super) enum Approval {
    /// It may be sent once, under this lease.
    Lease(Lease),
    /// It may not.
    Denied(Answered),
}

impl Counter {
    /// Asks for the approval of a call, or finds what was said. An unanswered one parks the turn.
    pub(super) async fn held(
        &self,
        live: &Live,
        name: &Arc<str>,
        args: &[u8],
    ) -> Result<Approval, Halt> {
        // Who waits registers first and asks then, so that no verdict is missed in between.
        let said = self.waiters.result(live.key());
        let said = said.map_err(|error| Halt::Environment(error.to_string()))?;
        let id = match self.ask(live, name, args).await? {
            Asked::Waits { id } => id,
            decided => return self.decided(live, name, decided),
        };
        tracing::info!(
            agent = %self.turn.key.agent, capability = &**name,
            "waits for a person: loket approvals show {}", id.0
        );
        tokio::select! {
            biased;
            _ = said => {}
            () = self.slots.contended() => return Err(Halt::Park(live.key())),
            () = self.clock.sleep(self.park_after_ms) => return Err(Halt::Park(live.key())),
        }
        let decided = self.ask(live, name, args).await?;
        self.decided(live, name, decided)
    }

    fn decided(&self, live: &Live, name: &str, asked: Asked) -> Result<Approval, Halt> {
        match asked {
            Asked::Waits { .. } => Err(Halt::Park(live.key())),
            Asked::Denied(failure) => {
                let denied = self.unrecorded(EffectClass::Pure, Err(failure));
                Ok(Approval::Denied(denied))
            }
            Asked::Approved => {
                let until = Moment(self.clock.now().0.saturating_add(LEASE_MS));
                let lease = self.authority.lease(self.from.principal, name, until);
                // The grants have changed under the call: judged anew, it is held no more, or refused.
                lease.map(Approval::Lease).ok_or_else(|| {
                    Halt::Environment(format!("the grant of {name} asks for no approval any more"))
                })
            }
        }
    }

    async fn ask(&self, live: &Live, name: &str, args: &[u8]) -> Result<Asked, Halt> {
        let ask = {
            let journal = self.journal();
            Ask {
                turn: self.turn.key.clone(),
                begin: journal.unwritten_begin().cloned(),
                records: journal.unwritten().to_vec(),
                counted: counted(self.turn.purse.as_deref()),
                intent: live.key(),
                call: live.call,
                capability: name.to_owned(),
                args: args.to_vec(),
                now_ms: self.clock.now().0,
            }
        };
        let asked = self.ledger.ask(ask).await;
        let asked = asked.map_err(|error| Halt::Environment(error.to_string()))?;
        // Begin and records are durable by now, whoever wrote them first.
        self.journal().mark_written();
        if let Some(purse) = &self.turn.purse {
            purse.lock().unwrap_or_else(PoisonError::into_inner).written();
        }
        Ok(asked)
    }
}
