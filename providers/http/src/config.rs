//! What the fleet file says behind `use: Http`.

use http::HeaderName;
use loket_supervision::fleet::parse_duration;
use serde::Deserialize;
use std::time::Duration;

/// Secrets of one provider at most: each is named by hand.
const SECRETS_MAX: usize = 64;

/// Requests that are out at the same time at most: a thread each.
const CONNECTIONS_MAX: usize = 64;

/// The longest a request may take: above it the agent waits better for a message that tells the end.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// Further sendings of a keyed request at most.
const RESENDS_MAX: u32 = 10;

/// `Http(...)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Names of the environment variables whose values may stand in headers.
    pub secrets: Vec<String>,
    /// The header that carries the key of a Keyed call.
    pub key_header: HeaderName,
    /// Until a connection stands, name resolution included.
    pub connect_timeout: Duration,
    /// From the first byte out to the last byte in.
    pub timeout: Duration,
    /// Requests that are out at the same time.
    pub connections: usize,
    /// How often a keyed request without an answer is sent again under its key.
    pub resends: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    secrets: Vec<String>,
    key_header: String,
    connect_timeout: String,
    timeout: String,
    connections: usize,
    resends: u32,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            key_header: "Idempotency-Key".to_owned(),
            connect_timeout: "5s".to_owned(),
            timeout: "30s".to_owned(),
            connections: 8,
            resends: 2,
        }
    }
}

/// Reads the RON behind `Http`.
///
/// # Errors
/// What is wrong, and the byte offset where it is known.
pub fn parse_config(ron: &str) -> Result<HttpConfig, (String, Option<usize>)> {
    let options =
        ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let written: Written = options.from_str(ron).map_err(|error| {
        let offset = offset_of(ron, error.span.start.line, error.span.start.col);
        (error.code.to_string(), offset)
    })?;
    written.checked().map_err(|text| (text, None))
}

impl Written {
    fn checked(self) -> Result<HttpConfig, String> {
        if self.secrets.len() > SECRETS_MAX {
            return Err(format!("`secrets` names at most {SECRETS_MAX}"));
        }
        for (index, name) in self.secrets.iter().enumerate() {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(word) {
                return Err(format!("{name:?} is no name of an environment variable"));
            }
            if self.secrets[..index].contains(name) {
                return Err(format!("secret {name:?} stands there twice"));
            }
        }
        if self.connections == 0 || self.connections > CONNECTIONS_MAX {
            return Err(format!("`connections` is 1 to {CONNECTIONS_MAX}"));
        }
        if self.resends > RESENDS_MAX {
            return Err(format!("`resends` is at most {RESENDS_MAX}"));
        }
        let key_header = HeaderName::from_bytes(self.key_header.as_bytes())
            .map_err(|_| format!("{:?} is no name of a header", self.key_header))?;
        Ok(HttpConfig {
            secrets: self.secrets,
            key_header,
            connect_timeout: timeout("connect_timeout", &self.connect_timeout)?,
            timeout: timeout("timeout", &self.timeout)?,
            connections: self.connections,
            resends: self.resends,
        })
    }
}

fn timeout(field: &str, text: &str) -> Result<Duration, String> {
    let ms = parse_duration(text).map_err(|why| format!("`{field}`: {why}"))?;
    let time = Duration::from_millis(ms);
    if time.is_zero() || time > TIMEOUT_MAX {
        return Err(format!("`{field}` is 1ms to {}s", TIMEOUT_MAX.as_secs()));
    }
    Ok(time)
}

fn offset_of(text: &str, line: usize, column: usize) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    Some(start + column.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_said_is_a_provider_without_secrets() {
        let config = parse_config("()").unwrap();
        assert_eq!(config.secrets, [""; 0]);
        assert_eq!(config.key_header, "idempotency-key");
        assert_eq!(config.timeout, Duration::from_secs(30));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (ron, part) in [
            ("(secret: [])", "secret"),
            ("(secrets: [\"A B\"])", "environment variable"),
            ("(secrets: [\"A\", \"A\"])", "twice"),
            ("(key_header: \"a b\")", "header"),
            ("(timeout: \"5\")", "unit"),
            ("(timeout: \"11m\")", "600s"),
            ("(connect_timeout: \"0s\")", "connect_timeout"),
            ("(connections: 0)", "1 to"),
            ("(resends: 11)", "at most"),
        ] {
            let (message, _) = parse_config(ron).unwrap_err();
            assert!(message.contains(part), "{ron}: {message}");
        }
    }
}
