//! What happened in a run, in order: its hash, and its lines for people.

use loket_turn::LedgerEvent;

/// What happened, hashed.
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    shown: bool,
}

impl Trace {
    /// A trace of nothing yet; `shown`: its lines are printed.
    pub(crate) fn new(shown: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), shown }
    }

    /// The hash of all so far.
    pub(crate) fn hash(&self) -> String {
        self.hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Adds a line.
    pub(crate) fn note(&mut self, line: String) {
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        if self.shown {
            println!("{line}");
        }
    }
}

/// An event of the ledger, as a line.
pub(crate) fn shown(event: &LedgerEvent) -> String {
    match event {
        LedgerEvent::Arrived { agent } => format!("arrived {agent}"),
        LedgerEvent::Result { agent, intent, outcome, .. } => {
            format!("result {agent} {intent} {}", outcome.is_ok())
        }
        LedgerEvent::Resend { agent, intent } => format!("resend {agent} {intent}"),
        LedgerEvent::Finished { agent, message, outcome } => match outcome {
            Ok(answer) => format!("finished {agent} {message} {}", String::from_utf8_lossy(answer)),
            Err(failure) => format!("finished {agent} {message} {}", failure.code),
        },
        other => format!("{other:?}"),
    }
}
