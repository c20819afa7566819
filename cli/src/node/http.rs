//! `GET /metrics`, `/livez`, `/readyz`, `/version`, when the fleet file says `listen:`. Loopback by default; the Host header is
//! checked, so that no web page in a browser reaches it by a name of its own.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use loket_runtime::{PlaceState, Runtime, TreeControl};
use loket_turn::Ledger;
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// What the pages show.
#[derive(Clone)]
pub(super) struct Pages {
    metrics: PrometheusHandle,
    tree: Arc<dyn TreeControl>,
    ledger: Arc<dyn Ledger>,
}

impl Pages {
    /// Those of a node.
    pub(super) fn of(
        metrics: PrometheusHandle,
        runtime: &Runtime,
        ledger: &Arc<dyn Ledger>,
    ) -> Self {
        Self { metrics, tree: runtime.control(), ledger: Arc::clone(ledger) }
    }
}

/// How long the ledger may take to say how many wait for a person; after that the page shows what it said last.
const STATS_WITHIN: Duration = Duration::from_millis(500);

/// Binds `listen`, an address with a port.
pub(super) fn bind(listen: &str) -> Result<TcpListener, String> {
    let address: SocketAddr = match listen.parse() {
        Ok(address) => address,
        Err(_) => {
            return Err(format!("{listen:?} is no address with a port, such as 127.0.0.1:9464"));
        }
    };
    let listener = TcpListener::bind(address).map_err(|error| format!("{listen}: {error}"))?;
    listener.set_nonblocking(true).map_err(|error| format!("{listen}: {error}"))?;
    Ok(listener)
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, pages: Pages) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("HTTP cannot be served: {error}");
            return;
        }
    };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/version", get(|| async { concat!(env!("CARGO_PKG_VERSION"), "\n") }))
        .layer(middleware::from_fn(check_host))
        .with_state(pages);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("HTTP ended: {error}");
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    if let Ok(Ok(stats)) = tokio::time::timeout(STATS_WITHIN, pages.ledger.stats()).await {
        super::metrics::waiting_for_people(&stats);
    }
    pages.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], pages.metrics.render())
}

/// Ready when the whole tree is up.
async fn ready(State(pages): State<Pages>) -> Response {
    match pages.tree.snapshot() {
        Some(top) if top.state == PlaceState::Running => "ok\n".into_response(),
        Some(top) => {
            let text = format!("the fleet is {}\n", top.state.as_str());
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "the fleet is starting\n").into_response(),
    }
}

/// Only by an address or `localhost`: a name that somebody else's DNS points here is refused.
async fn check_host(headers: HeaderMap, request: Request, next: Next) -> Response {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        // None or several: nobody can say which was meant.
        _ => "",
    };
    if is_own_host(host) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "unknown host: use an address, or localhost\n")
        .into_response()
}

/// Whether a Host header names a machine in a way that no DNS has a say in: by an IPv4 address, an IPv6 address in brackets, or as
/// `localhost`; with a port or without.
fn is_own_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.split_once(']').is_some_and(|(address, rest)| {
            address.parse::<Ipv6Addr>().is_ok() && is_port_or_nothing(rest)
        });
    }
    let (name, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
    let known = name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok();
    known && is_port_or_nothing(rest)
}

/// What may stand behind a host: nothing, or a colon and a port, which may be empty (RFC 3986, 3.2.3).
fn is_port_or_nothing(rest: &str) -> bool {
    let Some(port) = rest.strip_prefix(':') else { return rest.is_empty() };
    port.is_empty() || (port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_own_host;

    #[test]
    fn addresses_and_localhost_are_own_hosts() {
        for host in [
            "localhost",
            "LocalHost:9464",
            "localhost:",
            "127.0.0.1",
            "127.0.0.1:9464",
            "192.168.1.7:80",
            "[::1]",
            "[::1]:9464",
            "[::1]:",
            "[fe80::1:2]:65535",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_own_host(host), "{host}");
        }
    }

    #[test]
    fn names_and_what_is_no_host_are_refused() {
        for host in [
            "",
            ":9464",
            "example.com",
            "example.com:9464",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
            "localhost:80:80",
            "localhost:port",
            "localhost:+80",
            "127.0.0.1:65536",
            "127.0.0.1:80.example.com",
            "[localhost]",
            "[127.0.0.1]",
            "[::1",
            "[::1]9464",
            "[::1].example.com",
            "[[::1]]",
            "::1",
            "::1:9464",
            "user@localhost",
            "localhost/",
            " localhost",
            "127.1",
            "0x7f000001",
        ] {
            assert!(!is_own_host(host), "{host}");
        }
    }
}
