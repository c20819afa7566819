//! Words, strings, numbers, durations and sizes: one value in, or a finding that says its form.

use super::cx::Cx;
use super::nearest::nearest;
use super::{slice, units};

impl Cx<'_> {
    /// An unknown name: E002 with the nearest known one.
    pub(crate) fn unknown(&mut self, part: &str, what: &str, name: &str, known: &[&str]) {
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        self.help("E002", part, format!("unknown {what} `{name}`"), help);
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        raw: &str,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        match slice::split(raw) {
            (Some(word), "") => {
                let found = words.iter().find(|(known, _)| *known == word).map(|(_, v)| *v);
                if found.is_none() {
                    self.unknown(raw, what, word, &known);
                }
                found
            }
            _ => {
                let help = format!("write one of {}, without quotes", known.join(", "));
                self.help("E005", raw, format!("`{what}` is a word"), help);
                None
            }
        }
    }

    /// A string.
    pub(crate) fn string(&mut self, raw: &str, what: &str) -> Option<String> {
        let found = slice::scalar::<String>(raw).filter(|_| raw.starts_with(['"', 'r']));
        if found.is_none() {
            self.help("E005", raw, format!("`{what}` is a string"), "put it in double quotes");
        }
        found
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, raw: &str, what: &str) -> Option<bool> {
        let found = slice::scalar(raw);
        if found.is_none() {
            let help = "write true or false, without quotes";
            self.help("E005", raw, format!("`{what}` is `true` or `false`"), help);
        }
        found
    }

    /// A whole number within `range`; `code` is reported when it is outside.
    pub(crate) fn number(
        &mut self,
        raw: &str,
        what: &str,
        code: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let (low, high) = (*range.start(), *range.end());
        match slice::scalar::<u64>(raw) {
            Some(n) if range.contains(&n) => Some(n),
            Some(n) => {
                let message = format!("`{what}` is {n}, not between {low} and {high}");
                let help = match n < low {
                    true => format!("write {low} or more"),
                    false => format!("write {high} or less"),
                };
                self.help(code, raw, message, help);
                None
            }
            None => {
                let message = format!("`{what}` is a whole number between {low} and {high}");
                let help = format!("write it in digits, without quotes: `{what}: {}`", low.max(1));
                self.help("E005", raw, message, help);
                None
            }
        }
    }

    /// The same, for what is kept in 32 bits.
    pub(crate) fn count(
        &mut self,
        raw: &str,
        what: &str,
        code: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        self.number(raw, what, code, wide).and_then(|n| u32::try_from(n).ok())
    }

    /// A fraction such as a jitter; ranges are the caller's to check.
    pub(crate) fn fraction(&mut self, raw: &str, what: &str) -> Option<f64> {
        let found = slice::scalar::<f64>(raw).filter(|f| f.is_finite());
        if found.is_none() {
            let help = "write it in digits, without quotes, such as 0.5";
            self.help("E005", raw, format!("`{what}` is a number"), help);
        }
        found
    }

    /// A duration in milliseconds.
    pub(crate) fn duration(&mut self, raw: &str, what: &str) -> Option<u64> {
        self.quantity(raw, what, units::duration, "5s")
    }

    /// A size in bytes.
    pub(crate) fn size(&mut self, raw: &str, what: &str) -> Option<u64> {
        self.quantity(raw, what, units::size, "32MiB")
    }

    /// A string with a grammar of its own: E008 when it breaks it.
    pub(crate) fn quantity(
        &mut self,
        raw: &str,
        what: &str,
        read: fn(&str) -> Result<u64, String>,
        example: &str,
    ) -> Option<u64> {
        let Some(text) = slice::scalar::<String>(raw).filter(|_| raw.starts_with(['"', 'r']))
        else {
            let help = format!("write it as a string, such as \"{example}\"");
            self.help("E008", raw, format!("`{what}` is written as a string"), help);
            return None;
        };
        match read(&text) {
            Ok(n) => Some(n),
            Err(why) => {
                let help = format!("for example \"{example}\"");
                self.help("E008", raw, format!("`{what}`: {why}"), help);
                None
            }
        }
    }
}
