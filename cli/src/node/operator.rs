//! Calls of the principals that have no turns: `@operator` and `@timer`. Through the kernel, like everyone.

use loket_kernel::{Address, Admission, Chain, Envelope, Moment, Principal, admit};
use loket_runtime::{Authority, CallEnvelope, Cargo, Mailbox, Reply};
use loket_turn::{Failure, Outcome};
use tokio::sync::oneshot;

/// Principals that are searched by name at a start: those of the node itself come first.
const SEARCHED: u32 = 16;

/// A caller without turns.
#[derive(Debug, Clone)]
pub(super) struct Outsider {
    address: Address,
    kernel: Mailbox<CallEnvelope>,
}

impl Outsider {
    /// The principal of this name; calls go through this kernel shard.
    pub(super) fn new(
        authority: &Authority,
        name: &str,
        kernel: Mailbox<CallEnvelope>,
    ) -> Option<Self> {
        let table = authority.table();
        let principal = (0..SEARCHED)
            .map(Principal)
            .find(|&principal| table.name(principal).is_some_and(|known| &**known == name))?;
        let incarnation = table.incarnation(principal)?;
        Some(Self { address: Address { principal, incarnation }, kernel })
    }

    /// Asks the kernel whether it may call this, without calling it.
    ///
    /// # Errors
    /// The refusal, or that a person must approve it first.
    pub(super) fn may(
        &self,
        authority: &Authority,
        capability: &str,
        args: Vec<u8>,
        now: Moment,
    ) -> Result<(), Failure> {
        let envelope = Envelope {
            from: self.address,
            capability: capability.into(),
            args,
            chain: Chain::default(),
            deadline: None,
            cargo: (),
        };
        match admit(&authority.table(), envelope, now) {
            Admission::Admitted(_) => Ok(()),
            Admission::Hold(held) => {
                let text =
                    format!("{capability} needs an approval (approve: {})", held.rule.as_str());
                Err(Failure::new("approval_required", text))
            }
            Admission::Refused(refusal, _) => Err(Failure::new("refused", refusal.to_string())),
        }
    }

    /// Calls a capability.
    pub(super) async fn call(&self, capability: &str, args: Vec<u8>) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let envelope = Envelope {
            from: self.address,
            capability: capability.into(),
            args,
            chain: Chain::default(),
            deadline: None,
            cargo: Cargo { turn: None, reply },
        };
        if let Err(rejected) = self.kernel.send(envelope) {
            let text = format!("the kernel did not take the call: {}", rejected.error);
            return Err(Failure::retryable("overloaded", text, Some(100)));
        }
        match answer.await {
            Ok(Reply::Done { outcome, .. }) => outcome,
            Ok(Reply::Deferred { .. } | Reply::Held(_) | Reply::Away(_) | Reply::Unanswered(_)) => {
                Err(Failure::new("internal", "a caller without a turn cannot wait for a record"))
            }
            Err(_) => Err(Failure::retryable(
                "restarting",
                format!(
                    "the provider of {capability} ended under the call; what it had accepted stays \
                     accepted, so send it again only with the same key"
                ),
                Some(1_000),
            )),
        }
    }
}
