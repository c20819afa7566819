//! One sending of a request, on a thread that may block.
//!
//! Every sending has a connection of its own: one that was kept open and has died meanwhile would hide whether the request arrived.

use crate::address::{Anywhere, NotPublic, Public};
use crate::answer;
use crate::config::HttpConfig;
use crate::request::Request;
use crate::secrets::Secrets;
use loket_turn::{Failure, Outcome};
use std::error::Error as _;
use std::io::ErrorKind;
use ureq::config::Config;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Error, Timeout};

/// Bytes of an answer's head at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a failure's chain of causes that are shown: enough to know it by.
const REASON_BYTES: usize = 300;

/// What one sending came to.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The server answered, or the request can never be answered otherwise.
    Over(Outcome),
    /// Nothing left the machine.
    Stayed(String),
    /// It left, and no whole answer came: it may have been carried out.
    Unknown(String),
}

/// The client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// For hosts that a grant spells out.
    anywhere: Agent,
    /// For all others.
    public: Agent,
    secrets: Secrets,
}

impl Client {
    pub(crate) fn new(config: &HttpConfig, secrets: Secrets) -> Self {
        let anywhere = agent(config, Anywhere::default());
        Self { anywhere, public: agent(config, Public::default()), secrets }
    }

    /// Sends the request once. Blocks, at most as long as its timeout.
    pub(crate) fn send(&self, request: &Request) -> Sent {
        let agent = if request.target.spelled_out { &self.anywhere } else { &self.public };
        let mut builder =
            http::Request::builder().method(request.method.clone()).uri(request.target.uri.clone());
        if let Some(headers) = builder.headers_mut() {
            headers.extend(request.headers.clone());
        }
        let timeout = Some(request.timeout);
        let answered = match &request.body {
            Some(body) => builder.body(&body[..]).map_err(Error::Http).and_then(|ready| {
                agent.run(agent.configure_request(ready).timeout_global(timeout).build())
            }),
            None => builder.body(()).map_err(Error::Http).and_then(|ready| {
                agent.run(agent.configure_request(ready).timeout_global(timeout).build())
            }),
        };
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => return sort(&error),
        };
        let (head, mut body) = answered.into_parts();
        let status = head.status.as_u16();
        match answer::read(request, status, body.as_reader()) {
            Ok(Ok(body)) => {
                Sent::Over(answer::show(request, &self.secrets, status, &head.headers, &body))
            }
            Ok(Err(failure)) => Sent::Over(Err(failure)),
            Err(error) => Sent::Unknown(format!(
                "the server answered {status}, then the body broke off: {error}"
            )),
        }
    }
}

fn agent(config: &HttpConfig, resolver: impl Resolver) -> Agent {
    let config: Config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .max_idle_connections_per_host(0)
        .max_response_header_size(HEAD_BYTES_MAX)
        // A proxy of the environment would connect for us, past the check of addresses.
        .proxy(None)
        .timeout_connect(Some(config.connect_timeout))
        .timeout_resolve(Some(config.connect_timeout))
        .user_agent(concat!("loket/", env!("CARGO_PKG_VERSION")))
        .build();
    Agent::with_parts(config, DefaultConnector::default(), resolver)
}

/// What an error says of where the request got to. In doubt it may have arrived.
fn sort(error: &Error) -> Sent {
    if let Error::Other(inner) = error
        && let Some(private) = inner.downcast_ref::<NotPublic>()
    {
        let text = format!(
            "{private}, and the grant does not spell this host out: name it in `hosts` with its port"
        );
        return Sent::Over(Err(Failure::new("out_of_scope", text)));
    }
    let text = reason(error);
    match error {
        Error::HostNotFound
        | Error::ConnectionFailed
        | Error::BadUri(_)
        | Error::Http(_)
        | Error::TlsRequired
        | Error::Tls(_)
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => Sent::Stayed(text),
        Error::Io(io) => match io.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable => Sent::Stayed(text),
            // A look-up that failed comes as an error without a kind of its own.
            _ if text.contains("failed to lookup") => Sent::Stayed(text),
            _ => Sent::Unknown(text),
        },
        _ => Sent::Unknown(text),
    }
}

fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner.filter(|_| text.len() < REASON_BYTES) {
        text.push_str(&format!(": {error}"));
        inner = error.source();
    }
    text
}
