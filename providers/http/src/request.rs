//! From a call's arguments to a request: scope, form, headers. Nothing is sent here.

use crate::config::HttpConfig;
use crate::secrets::Secrets;
use crate::url::{self, Target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use loket_contract::{CallView, parse_args};
use loket_turn::{EffectClass, Failure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of an answer's body when neither caller nor grant says: most documents and API answers.
pub(crate) const ANSWER_BYTES_DEFAULT: u64 = 1024 * 1024;

/// Bytes of an answer's body at most, whatever the grant says: it is copied into the guest and kept in the ledger.
pub(crate) const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bytes of a request's body at most: it is kept in the ledger with the call's arguments.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Headers that a caller may set at most.
const HEADERS_MAX: usize = 64;

/// Headers that the client sets itself, or that would tell a proxy another story than the server.
const RESERVED: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "expect",
    "te",
    "trailer",
    "keep-alive",
];

/// A request that may go out.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) target: Target,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    /// Names of the secrets in the headers.
    pub(crate) secrets: Vec<String>,
    pub(crate) timeout: Duration,
    pub(crate) answer_bytes: u64,
    /// Sendings at most: more than one only under a key.
    pub(crate) sendings: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Written>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    json: Option<Box<serde_json::value::RawValue>>,
    #[serde(default)]
    base64: Option<String>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default)]
    max_bytes: Option<u64>,
    #[serde(default)]
    key: Option<String>,
}

/// A header's value: a text, or a secret by its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Secret(Named),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    secret: String,
    #[serde(default)]
    prefix: String,
}

fn bad(text: impl Into<String>) -> Failure {
    Failure::new("bad_args", text)
}

/// Methods of an operation; the first one is meant when the caller names none.
fn methods(capability: &str) -> &'static [Method] {
    match capability {
        "http.get" => &[Method::GET, Method::HEAD],
        "http.put" => &[Method::PUT, Method::DELETE],
        "http.post" => &[Method::POST, Method::PATCH],
        _ => &[Method::POST, Method::PUT, Method::PATCH, Method::DELETE],
    }
}

/// Checks a call and builds its request.
pub(crate) fn request(
    call: &CallView<'_>,
    config: &HttpConfig,
    secrets: &Secrets,
) -> Result<Request, Failure> {
    let args: Args = parse_args(call)?;
    let method = method(call, args.method.as_deref())?;
    let target = url::target(&args.url, call.scope())?;
    let (mut headers, used) = headers(call, config, secrets, args.headers)?;
    let body = body(&mut headers, args.body, args.json, args.base64)?;
    if body.is_some() && matches!(method, Method::GET | Method::HEAD | Method::DELETE) {
        return Err(bad(format!("{method} takes no body")));
    }
    let sendings = match key(call, args.key)? {
        Some(key) => {
            headers.insert(&config.key_header, key);
            1 + config.resends
        }
        None => 1,
    };
    let timeout = args.timeout_ms.map_or(config.timeout, Duration::from_millis);
    if timeout.is_zero() || timeout > config.timeout {
        let limit = config.timeout.as_millis();
        return Err(bad(format!("timeout_ms is 1 to {limit}, the provider's `timeout`")));
    }
    let bound = call.scope().at_most("max_bytes").unwrap_or(ANSWER_BYTES_MAX).min(ANSWER_BYTES_MAX);
    let answer_bytes = args.max_bytes.unwrap_or(ANSWER_BYTES_DEFAULT.min(bound));
    if answer_bytes > bound {
        return Err(bad(format!("max_bytes is at most {bound} here, not {answer_bytes}")));
    }
    let secrets = used;
    Ok(Request { target, method, headers, body, secrets, timeout, answer_bytes, sendings })
}

fn method(call: &CallView<'_>, named: Option<&str>) -> Result<Method, Failure> {
    let capability = call.operation.capability;
    let known = methods(capability);
    let wanted = named.unwrap_or(known[0].as_str());
    let Some(method) = known.iter().find(|method| method.as_str() == wanted) else {
        let names: Vec<_> = known.iter().map(Method::as_str).collect();
        return Err(bad(format!("{capability} takes the methods {}", names.join(", "))));
    };
    if !call.scope().allows("methods", wanted) {
        let text = format!(
            "the grant does not allow {wanted}; add it: scope: {{\"methods\": [{wanted:?}]}}"
        );
        return Err(Failure::new("out_of_scope", text));
    }
    Ok(method.clone())
}

fn headers(
    call: &CallView<'_>,
    config: &HttpConfig,
    secrets: &Secrets,
    written: BTreeMap<String, Written>,
) -> Result<(HeaderMap, Vec<String>), Failure> {
    if written.len() > HEADERS_MAX {
        return Err(bad(format!("at most {HEADERS_MAX} headers, not {}", written.len())));
    }
    let (mut headers, mut used) = (HeaderMap::new(), Vec::new());
    for (name, value) in written {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| bad(format!("{name:?} is no name of a header")))?;
        let proxy = name.as_str().starts_with("proxy-");
        if proxy || name == config.key_header || RESERVED.contains(&name.as_str()) {
            return Err(bad(format!("the header {name} is the provider's to set")));
        }
        let value = match value {
            Written::Text(text) => HeaderValue::from_str(&text)
                .map_err(|_| bad(format!("the header {name} holds what no header may hold")))?,
            Written::Secret(Named { secret, prefix }) => {
                let value = secret_header(call, secrets, &secret, &prefix)?;
                used.push(secret);
                value
            }
        };
        if headers.insert(&name, value).is_some() {
            return Err(bad(format!("the header {name} stands there twice")));
        }
    }
    Ok((headers, used))
}

fn secret_header(
    call: &CallView<'_>,
    secrets: &Secrets,
    name: &str,
    prefix: &str,
) -> Result<HeaderValue, Failure> {
    if !call.scope().allows("secrets", name) {
        let text = format!(
            "the grant does not allow secret {name:?}; add it: scope: {{\"secrets\": [{name:?}]}}"
        );
        return Err(Failure::new("out_of_scope", text));
    }
    if !secrets.has(name) {
        let text = format!("no secret {name:?}; name it under the provider's `secrets`");
        return Err(Failure::new("not_found", text));
    }
    let header = secrets.header(name, prefix);
    header.ok_or_else(|| bad(format!("secret {name:?} holds what no header may hold")))
}

fn body(
    headers: &mut HeaderMap,
    text: Option<String>,
    json: Option<Box<serde_json::value::RawValue>>,
    base64: Option<String>,
) -> Result<Option<Vec<u8>>, Failure> {
    let (bytes, kind) = match (text, json, base64) {
        (None, None, None) => return Ok(None),
        (Some(text), None, None) => (text.into_bytes(), "text/plain; charset=utf-8"),
        (None, Some(json), None) => (json.get().as_bytes().to_vec(), "application/json"),
        (None, None, Some(text)) => {
            let bytes = BASE64.decode(text).map_err(|why| bad(format!("base64: {why}")))?;
            (bytes, "application/octet-stream")
        }
        _ => return Err(bad("one of `body`, `json`, `base64`, not several")),
    };
    if bytes.len() > BODY_BYTES_MAX {
        let text = format!("the body has {} bytes, the limit is {BODY_BYTES_MAX}", bytes.len());
        return Err(Failure::new("too_large", text));
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    Ok(Some(bytes))
}

/// The key of a Keyed call: derived in a turn (rule C3), named by a caller who has none.
fn key(call: &CallView<'_>, named: Option<String>) -> Result<Option<HeaderValue>, Failure> {
    let keyed = call.operation.class == EffectClass::Keyed;
    match (keyed, call.turn, named) {
        (false, _, None) => Ok(None),
        (true, Some(turn), None) => {
            let key = turn.call_key().to_string();
            HeaderValue::from_str(&key).map(Some).map_err(|why| bad(why.to_string()))
        }
        (true, None, Some(key)) => HeaderValue::from_str(&key)
            .map(Some)
            .map_err(|_| bad("the key holds what no header may hold")),
        (true, None, None) => Err(bad("outside a turn the caller names the request's `key`")),
        (_, _, Some(_)) => Err(bad("`key` is for keyed requests outside a turn")),
    }
}
