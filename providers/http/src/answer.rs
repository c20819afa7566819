//! What a server answered, as the guest sees it: whole, or a failure.

use crate::request::Request;
use crate::secrets::Secrets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use loket_turn::{Failure, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Read};

#[derive(Serialize)]
struct Shown<'a> {
    status: u16,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// Reads the body up to the request's bound. `Ok(Err(..))`: it is larger.
pub(crate) fn read(
    request: &Request,
    status: u16,
    body: impl Read,
) -> io::Result<Result<Vec<u8>, Failure>> {
    let limit = request.answer_bytes;
    let mut bytes = Vec::new();
    body.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= limit {
        return Ok(Ok(bytes));
    }
    let text = format!(
        "the server answered {status} with more than {limit} bytes; whatever the request asked for was done. \
         A larger `max_bytes` takes more, {} at most",
        crate::request::ANSWER_BYTES_MAX
    );
    Ok(Err(Failure::new("too_large", text)))
}

/// The answer as JSON. A body that is no UTF-8 is base64.
pub(crate) fn show(
    request: &Request,
    secrets: &Secrets,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Outcome {
    let mut shown: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let all = shown.entry(name.as_str()).or_default();
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push_str(&value);
    }
    let echoed = |text: &[u8]| secrets.shows(&request.secrets, text);
    if echoed(body) || shown.values().any(|value| echoed(value.as_bytes())) {
        let text = format!("the server answered {status} and showed the secret it was sent");
        return Err(Failure::new("secret_shown", text));
    }
    let text = str::from_utf8(body).ok();
    let base64 = text.is_none().then(|| BASE64.encode(body));
    let answer = Shown { status, headers: shown, body: text, base64 };
    serde_json::to_vec(&answer).map_err(|error| Failure::new("internal", error.to_string()))
}
