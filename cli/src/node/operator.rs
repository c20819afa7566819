//! Calls of the principals that have no turns: `@operator` and `@timer`. Through the kernel, like everyone.

use loket_kernel::{Address, Chain, Envelope, Principal};
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
            Ok(Reply::Deferred { .. } | Reply::Held) => {
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
