//! Secrets: read from the environment when the provider starts, put into headers here and nowhere else.

use http::HeaderValue;
use std::collections::BTreeMap;
use std::fmt;

/// Bytes below which an answer is not searched for a secret: every answer has such words.
const ECHO_BYTES_MIN: usize = 8;

/// A secret that the fleet file names and the environment lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0}, named under `secrets`, is not set or is no text")]
pub struct MissingSecret(pub String);

/// Values by name. Its `Debug` shows names only.
#[derive(Clone, Default)]
pub(crate) struct Secrets(BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    /// Looks every name up.
    pub(crate) fn read(
        names: &[String],
        look: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, MissingSecret> {
        let value = |name: &String| {
            let value = look(name).filter(|value| !value.is_empty());
            Ok((name.clone(), value.ok_or_else(|| MissingSecret(name.clone()))?))
        };
        names.iter().map(value).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// `prefix` and the secret as a header's value, marked as sensitive; `None` when it holds what no header may hold.
    pub(crate) fn header(&self, name: &str, prefix: &str) -> Option<HeaderValue> {
        let value = format!("{prefix}{}", self.0.get(name)?);
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether `text` holds the value of one of these: a server that echoes a secret must not show it to the guest.
    pub(crate) fn shows(&self, names: &[String], text: &[u8]) -> bool {
        let values = names.iter().filter_map(|name| self.0.get(name));
        values
            .filter(|value| value.len() >= ECHO_BYTES_MIN)
            .any(|value| text.windows(value.len()).any(|window| window == value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn secrets() -> Secrets {
        Secrets::read(&["TOKEN".to_owned()], |_| Some("a-long-secret".to_owned())).unwrap()
    }

    #[test]
    fn a_secret_is_shown_nowhere_but_in_its_header() {
        let secrets = secrets();
        let header = secrets.header("TOKEN", "Bearer ").unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer a-long-secret");
        assert!(!format!("{secrets:?} {header:?}").contains("a-long-secret"));
        assert!(secrets.shows(&["TOKEN".to_owned()], b"you sent a-long-secret!"));
        assert!(!secrets.shows(&["TOKEN".to_owned()], b"you sent nothing"));
        assert!(!secrets.shows(&[], b"a-long-secret"));
    }

    #[test]
    fn a_secret_that_is_not_there_is_told_by_name() {
        let missing = Secrets::read(&["TOKEN".to_owned()], |_| None).unwrap_err();
        assert!(missing.to_string().contains("TOKEN"));
        assert!(Secrets::read(&["TOKEN".to_owned()], |_| Some(String::new())).is_err());
    }
}
