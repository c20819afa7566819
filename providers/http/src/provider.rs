//! `http.get`, `http.put`, `http.post`, `http.send`: classes, scope keys, and how often a request is sent.

use crate::config::HttpConfig;
use crate::metrics;
use crate::request::{self, Request};
use crate::secrets::{MissingSecret, Secrets};
use crate::send::{Client, Sent};
use crate::worker::{QUEUE_MAX, Threads};
use loket_contract::{CallView, Flow, Operation, Performed, Provider, ScopeForm, ScopeKey};
use loket_turn::{EffectClass, Failure, Outcome};
use std::time::Duration;

/// Before the first re-sending; doubled each time. Long enough for a server's restart to be half over.
const RESEND_AFTER: Duration = Duration::from_millis(100);

/// What a caller of an overloaded provider should wait, milliseconds.
const RETRY_MS: u64 = 200;

const SCOPE: &[ScopeKey] = &[
    ScopeKey { name: "hosts", mandatory: true, form: ScopeForm::Names },
    ScopeKey { name: "methods", mandatory: true, form: ScopeForm::Names },
    ScopeKey { name: "secrets", mandatory: false, form: ScopeForm::Names },
    ScopeKey { name: "max_bytes", mandatory: false, form: ScopeForm::AtMost },
];

const fn operation(
    capability: &'static str,
    class: EffectClass,
    summary: &'static str,
) -> Operation {
    Operation { capability, class, scope: SCOPE, flow: Flow::OUTSIDE, tokens: false, summary }
}

/// What it serves.
pub const OPERATIONS: &[Operation] = &[
    operation("http.get", EffectClass::Observe, "GET or HEAD"),
    operation("http.put", EffectClass::Keyed, "PUT or DELETE, with the call's key in a header"),
    operation("http.post", EffectClass::Keyed, "POST or PATCH, with the call's key in a header"),
    operation("http.send", EffectClass::Once, "for servers that honour no key: sent once"),
];

/// The provider.
#[derive(Debug)]
pub struct HttpProvider {
    config: HttpConfig,
    secrets: Secrets,
    threads: Threads,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The fleet file names a secret that is not there.
    #[error(transparent)]
    Secret(#[from] MissingSecret),
    /// The machine gives no thread.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl HttpProvider {
    /// A provider; `look` finds a secret by its name, in the environment usually.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(
        config: HttpConfig,
        look: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StartError> {
        let secrets = Secrets::read(&config.secrets, look)?;
        let client = Client::new(&config, secrets.clone());
        let threads = Threads::start(&client, config.connections)?;
        Ok(Self { config, secrets, threads })
    }
}

/// A request that may go out, and whether a lost answer leaves it open what it did.
#[derive(Debug)]
pub struct Prepared {
    request: Request,
    class: EffectClass,
}

impl Provider for HttpProvider {
    type Prepared = Prepared;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        let request = request::request(call, &self.config, &self.secrets)?;
        Ok(Prepared { request, class: call.operation.class })
    }

    fn perform(&mut self, prepared: Prepared) -> Performed {
        let threads = self.threads.clone();
        Performed::Later(Box::pin(async move { Performed::Done(send(&threads, &prepared).await) }))
    }
}

/// Sends until there is an answer, as often as the request allows. A request that may have arrived is sent again only under its
/// key.
async fn send(threads: &Threads, prepared: &Prepared) -> Outcome {
    let Prepared { request, class } = prepared;
    let mut pause = RESEND_AFTER;
    let mut arrived = false;
    let mut sending = 1;
    loop {
        let sent = match threads.send(request.clone()) {
            Ok(answered) => answered
                .await
                .unwrap_or_else(|_| Sent::Unknown("the thread that had sent it died".to_owned())),
            Err(_) => Sent::Stayed(format!("{QUEUE_MAX} requests wait for a connection")),
        };
        let why = match sent {
            Sent::Over(outcome) => {
                metrics::request(if outcome.is_ok() { "answered" } else { "refused" });
                return outcome;
            }
            Sent::Stayed(why) => {
                metrics::request("not_sent");
                why
            }
            Sent::Unknown(why) => {
                metrics::request("unknown");
                arrived = true;
                why
            }
        };
        if sending >= request.sendings {
            return Err(given_up(*class, arrived, sending, &why));
        }
        sending += 1;
        metrics::resent();
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

fn given_up(class: EffectClass, arrived: bool, sendings: u32, why: &str) -> Failure {
    if !arrived {
        let text = format!("nothing was sent: {why}");
        return Failure::retryable("not_sent", text, Some(RETRY_MS));
    }
    if class == EffectClass::Observe {
        let text = format!("no answer came: {why}");
        return Failure::retryable("no_answer", text, Some(RETRY_MS));
    }
    let text = format!(
        "sent {sendings} times under one key at most, and no answer came, so whether it was carried out is \
         unknown: {why}"
    );
    Failure::new("outcome_unknown", text)
}
