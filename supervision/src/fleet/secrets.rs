//! Secrets that stand in the file itself (W424).
//!
//! A light look at string literals; it does not understand them. What it finds is never shown:
//! findings blot it out of the lines they quote.

use super::cx::Cx;
use super::slice;

/// Beginnings of well-known tokens.
const TOKENS: [&str; 9] =
    ["sk-", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "-----BEGIN "];
/// Fields whose string is a secret whatever it looks like.
const FIELDS: [&str; 6] = ["api_key", "apikey", "password", "access_token", "auth_token", "token"];
/// Shortest string that is taken for a token.
const MIN_TOKEN: usize = 12;

/// Reports every string literal in `raw` that looks like a secret.
pub(crate) fn look<'a>(cx: &mut Cx<'a>, raw: &'a str) {
    for literal in find(raw) {
        let help = "name it under `secrets`, so that it is read when the provider starts";
        cx.help("W424", literal, "this looks like a secret in the file itself", help);
    }
}

/// The contents of all string literals that look like a secret.
pub(crate) fn find(raw: &str) -> Vec<&str> {
    let mut all = literals(raw);
    all.retain(|(before, literal)| is_secret(before, literal));
    all.into_iter().map(|(_, literal)| literal).collect()
}

fn is_secret(before: &str, literal: &str) -> bool {
    let token = literal.len() >= MIN_TOKEN && TOKENS.iter().any(|t| literal.starts_with(t));
    let named = before.trim_end().strip_suffix(':').is_some_and(|name| {
        let name = name.trim_end().trim_end_matches('"');
        FIELDS.iter().any(|field| {
            let end = name.len().checked_sub(field.len()).and_then(|at| name.get(at..));
            end.is_some_and(|end| end.eq_ignore_ascii_case(field))
        })
    });
    (named && !literal.is_empty()) || token || has_login(literal)
}

/// `scheme://user:password@host`.
fn has_login(literal: &str) -> bool {
    let Some((_, rest)) = literal.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.split_once('@').is_some_and(|(login, _)| login.contains(':'))
}

/// The string literals, plain and raw, with the text that stands before each; comments are skipped.
fn literals(raw: &str) -> Vec<(&str, &str)> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(next) = raw.get(at..).and_then(|rest| rest.find(['"', '/'])) {
        let start = at + next;
        let rest = &raw[start..];
        if rest.starts_with('/') {
            let after = slice::skip_space(rest);
            at = if after.len() < rest.len() { raw.len() - after.len() } else { start + 1 };
            continue;
        }
        let before = &raw[..start];
        let name = before.trim_end_matches('#');
        let hashes = before.len() - name.len();
        let is_raw = name.ends_with('r');
        let inner = &rest[1..];
        let length = if is_raw { inner.find(&closing(hashes)) } else { plain_end(inner) };
        let Some(length) = length else { break };
        all.push((before, &inner[..length]));
        at = start + 1 + length + 1;
    }
    all
}

fn closing(hashes: usize) -> String {
    format!("\"{}", "#".repeat(hashes))
}

/// Where a plain literal ends: at the first quote that no backslash escapes.
fn plain_end(inner: &str) -> Option<usize> {
    let mut escaped = false;
    inner.bytes().position(|byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn secrets_are_found_in_every_kind_of_literal_and_never_in_comments() {
        assert_eq!(find(r#"(api_key: "hunter2", x: "plain")"#), ["hunter2"]);
        assert_eq!(find(r#"{ "Password" : "a\"b" }"#), [r#"a\"b"#]);
        assert_eq!(find("(x: r##\"sk-abcdefghijkl\"#mn\"##)"), ["sk-abcdefghijkl\"#mn"]);
        assert_eq!(find("(url: \"http://u:p@h/\", doc: \"http://h/a@b:c\")"), ["http://u:p@h/"]);
        assert_eq!(find("// it's \" odd\n/* \" */ (token: \"t\")"), ["t"]);
        assert!(find("(secrets: [\"API_KEY\"], api_key: \"\", a: \"sk-short\")").is_empty());
        assert!(find("\"unfinished sk-abcdefghijklm").is_empty());
    }
}
