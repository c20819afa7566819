//! A call that the kernel holds for a person: put before the ledger, waited for, let go on or answered with the denial (rule H1).
//!
//! Must never let a call pass that nobody approved: a lease is for this agent, this capability and one call, and the ledger gives
//! an approval for the very arguments only.

use super::calls::Counter;
use super::end::Halt;
use super::sending::Call;
use loket_kernel::Moment;
use loket_runtime::{Lease, TurnPurse};
use loket_turn::{Answered, Ask, Asked, Counted, EffectClass, IntentId, Level, Live, beyond_key};
use std::sync::Arc;

/// How long a lease lasts at most, milliseconds: from the driver to the kernel shard, a queue's length away.
const LEASE_MS: u64 = 60_000;

/// What a held call has come to.
pub(super) enum Approval {
    /// It may be sent once, under this lease; `None` for a call that its grant does not hold.
    Go(Option<Lease>),
    /// It may not.
    Denied(Answered),
}

/// A held call.
struct Held<'a> {
    /// What the verdict comes under.
    key: IntentId,
    live: &'a Live,
    name: &'a Arc<str>,
    args: &'a [u8],
    beyond: Option<&'a Level>,
}

impl Counter {
    /// Asks for the approval of a call, or finds what was said. An unanswered one parks the turn. `beyond`: the call is not held by
    /// its grant, but goes beyond the soft limit of this budget.
    pub(super) async fn held(&self, call: &Call, beyond: Option<&Level>) -> Result<Approval, Halt> {
        let Call { live, name, args, .. } = call;
        let key = beyond.map_or_else(|| live.key(), |level| beyond_key(live.key(), level));
        // Who waits registers first and asks then, so that no verdict is missed in between.
        let said = self.waiters.result(key);
        let said = said.map_err(|error| Halt::Environment(error.to_string()))?;
        let held = Held { key, live, name, args, beyond };
        let id = match self.ask(&held).await? {
            Asked::Waits { id } => id,
            decided => return self.decided(&held, decided),
        };
        tracing::info!(
            agent = %self.turn.key.agent, capability = &**name,
            "waits for a person: loket approvals show {}", id.0
        );
        tokio::select! {
            biased;
            _ = said => {}
            () = self.slots.contended() => return Err(Halt::Park(key)),
            () = self.clock.sleep(self.park_after_ms) => return Err(Halt::Park(key)),
        }
        let decided = self.ask(&held).await?;
        self.decided(&held, decided)
    }

    fn decided(&self, held: &Held<'_>, asked: Asked) -> Result<Approval, Halt> {
        match asked {
            Asked::Waits { .. } => Err(Halt::Park(held.key)),
            Asked::Denied(failure) => {
                let denied = self.unrecorded(EffectClass::Pure, Err(failure));
                Ok(Approval::Denied(denied))
            }
            Asked::Approved if held.beyond.is_some() => {
                if let (Some(level), Some(purse)) = (held.beyond, self.purse()) {
                    purse.with(|purse, _| purse.lift(level));
                }
                Ok(Approval::Go(None))
            }
            Asked::Approved => {
                let name = &**held.name;
                let until = Moment(self.clock.now().0.saturating_add(LEASE_MS));
                let lease = self.authority.lease(self.from.principal, name, until);
                // The grants have changed under the call: judged anew, it is held no more, or refused.
                lease.map(|lease| Approval::Go(Some(lease))).ok_or_else(|| {
                    Halt::Environment(format!("the grant of {name} asks for no approval any more"))
                })
            }
        }
    }

    /// What goes with a question to the ledger: the run that comes after makes the calls behind the last record again.
    fn counted_with_records(&self) -> Vec<Counted> {
        let counted = |purse: &TurnPurse| purse.with(|purse, _| purse.counted_with_records());
        self.purse().map_or_else(Vec::new, counted)
    }

    /// When a call that waits for a person is denied by itself, Unix milliseconds.
    fn expires_ms(&self, name: &str) -> Option<u64> {
        let within_ms = self.spec.grant_of(name)?.approve_within_ms?;
        Some(self.clock.now().0.saturating_add(within_ms))
    }

    async fn ask(&self, held: &Held<'_>) -> Result<Asked, Halt> {
        let ask = {
            let journal = self.journal();
            Ask {
                turn: self.turn.key.clone(),
                begin: journal.unwritten_begin().cloned(),
                records: journal.unwritten().to_vec(),
                counted: self.counted_with_records(),
                intent: held.key,
                beyond: held.beyond.cloned(),
                call: held.live.call,
                capability: held.name.to_string(),
                args: held.args.to_vec(),
                expires_ms: self.expires_ms(held.name),
                now_ms: self.clock.now().0,
            }
        };
        let asked = self.ledger.ask(ask).await;
        let asked = asked.map_err(|error| Halt::Environment(error.to_string()))?;
        // Begin and records are durable by now, whoever wrote them first.
        self.journal().mark_written();
        if let Some(purse) = self.purse() {
            purse.with(|purse, _| purse.written_with_records());
        }
        Ok(asked)
    }
}
