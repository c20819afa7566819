//! Secrets that stand in the file itself (W424).
//!
//! A light look at string literals; it does not understand them. It never prints what it found.

use super::cx::Cx;

/// Beginnings of well-known tokens.
const TOKENS: [&str; 9] =
    ["sk-", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "-----BEGIN "];
/// Fields whose string is a secret whatever it looks like.
const FIELDS: [&str; 6] = ["api_key", "apikey", "password", "access_token", "auth_token", "token"];
/// Shortest string that is taken for a token.
const MIN_TOKEN: usize = 12;

/// Reports every string literal in `raw` that looks like a secret.
pub(crate) fn look<'a>(cx: &mut Cx<'a>, raw: &'a str) {
    for (before, literal) in literals(raw) {
        let name = before.trim_end().trim_end_matches(':').trim_end().trim_end_matches('"');
        let named = FIELDS.iter().any(|field| {
            let rest = name.len().checked_sub(field.len()).and_then(|at| name.get(at..));
            rest.is_some_and(|end| end.eq_ignore_ascii_case(field))
                && before.trim_end().ends_with(':')
        });
        let token = literal.len() >= MIN_TOKEN && TOKENS.iter().any(|t| literal.starts_with(t));
        if (named && !literal.is_empty()) || token || has_login(literal) {
            let help = "name it under `secrets`, so that it is read when the provider starts";
            cx.help("W424", literal, "this looks like a secret in the file itself", help);
        }
    }
}

/// `scheme://user:password@host`.
fn has_login(literal: &str) -> bool {
    let Some((_, rest)) = literal.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.split_once('@').is_some_and(|(login, _)| login.contains(':'))
}

/// The plain string literals with the text that stands before each.
fn literals(raw: &str) -> Vec<(&str, &str)> {
    let mut all = Vec::new();
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'"' {
            at += 1;
            continue;
        }
        let mut end = at + 1;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if let (Some(before), Some(literal)) = (raw.get(..at), raw.get(at + 1..end)) {
            all.push((before, literal));
        }
        at = end + 1;
    }
    all
}
