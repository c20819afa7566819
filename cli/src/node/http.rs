//! `GET /metrics`, `/livez`, `/readyz`, `/version`, when the fleet file says `listen:`. Loopback by default; the Host header is
//! checked, so that no web page in a browser reaches it by a name of its own.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use loket_runtime::{PlaceState, TreeControl};
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// What the pages show.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) metrics: PrometheusHandle,
    pub(super) tree: Arc<dyn TreeControl>,
}

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
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .strip_suffix(|c: char| c.is_ascii_digit())
        .map_or(host, |_| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if name == "localhost" || name.parse::<std::net::IpAddr>().is_ok() {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "unknown host\n").into_response()
}
