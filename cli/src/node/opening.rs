//! The opening messages: sent once per data directory, one after the other, each when the fleet is quiet.

use super::operator::Outsider;
use super::walk;
use loket_supervision::fleet::{Opening, SupervisorSpec};
use loket_turn::{InboxDepth, Ledger};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// How often the inboxes are looked at while the fleet is busy.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long an opening message may wait for a quiet fleet, and then for its answer.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What became of an opening message.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    title: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl Told {
    /// Whether there was no answer.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.title)?;
        if let Some(failure) = &self.failure {
            return write!(f, "  failed: {failure}");
        }
        let Some(answer) = &self.answer else { return Ok(()) };
        let text = crate::commands::readable(answer);
        write!(f, "  {}", text.replace('\n', "\n  "))
    }
}

/// Sends them all. The key makes each the same message at every start (rule A2).
pub(super) async fn run(
    openings: &[Opening],
    root: &SupervisorSpec,
    (operator, ledger): (&Outsider, &dyn Ledger),
    tell: Sender<Told>,
) {
    let restless = restless(root);
    for (index, opening) in openings.iter().enumerate() {
        quiet(ledger, &restless).await;
        let body = opening.body.to_string();
        let key = format!("opening:{index}:{}", blake3::hash(body.as_bytes()).to_hex());
        let patience = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        let args = json!({
            "to": opening.to, "kind": opening.kind, "body": opening.body, "key": key,
            "timeout_ms": patience,
        });
        let outcome = operator.call("agent.call", args.to_string().into_bytes()).await;
        let title = match (&opening.title, &opening.body) {
            (Some(title), Value::String(text)) => format!("{title}: {text}"),
            (Some(title), _) => title.clone(),
            (None, body) => format!("{}: {body}", opening.to),
        };
        let (answer, failure) = match outcome {
            Ok(answer) => {
                let text = || Value::String(String::from_utf8_lossy(&answer).into_owned());
                (Some(serde_json::from_slice(&answer).unwrap_or_else(|_| text())), None)
            }
            Err(failure) => (None, Some(failure.to_string())),
        };
        let told = Told { title, to: opening.to.clone(), answer, failure };
        if tell.send(told).await.is_err() {
            return;
        }
    }
    quiet(ledger, &restless).await;
}

/// Agents that are never quiet: those with `every`.
fn restless(root: &SupervisorSpec) -> HashSet<String> {
    walk::static_agents(root)
        .filter(|agent| agent.every_ms.is_some())
        .map(|agent| agent.id.clone())
        .collect()
}

/// Waits until no inbox but those of the restless holds a message. The ledger itself is asked: a look at the tree of a fleet of ten
/// thousand agents, ten times a second, would be a good part of the fleet's own work.
async fn quiet(ledger: &dyn Ledger, restless: &HashSet<String>) {
    let looked = async {
        loop {
            let inboxes = ledger.inboxes().await;
            if inboxes.is_ok_and(|inboxes| waiting(&inboxes, restless) == 0) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(PATIENCE, looked).await.is_err() {
        tracing::warn!(
            "the fleet was not quiet for an hour; the next opening message goes out all the same"
        );
    }
}

fn waiting(inboxes: &[InboxDepth], restless: &HashSet<String>) -> u64 {
    let others = inboxes.iter().filter(|inbox| !restless.contains(&*inbox.agent));
    others.map(|inbox| inbox.waiting).sum()
}
