//! Grants as they are written: capability, scope, budget, approvals, expiry.
//!
//! Only the form is checked here; whether the capability exists, and knows the scope's keys, is
//! checked in `refs.rs` once all providers are known.

use loket_kernel::{Bound, Capability, MAX_GRANTS, MAX_RULES, Pattern, PatternError, Scope};

use super::budgets;
use super::cx::Cx;
use super::fields::{Fields, head};
use super::spec::GrantSpec;
use super::{slice, units};

/// Reads a list of grants.
pub(crate) fn grants<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Vec<GrantSpec> {
    let items = cx.list(raw, "grants");
    if items.len() > MAX_GRANTS {
        let help = "grant a whole group at once: `fs` covers `fs.list` and `fs.read`";
        cx.help("E305", head(raw), format!("more than {MAX_GRANTS} grants"), help);
        return Vec::new();
    }
    let mut all: Vec<GrantSpec> = Vec::with_capacity(items.len());
    let mut seen = std::collections::BTreeSet::new();
    for item in items {
        let Some(grant) = grant(cx, item) else {
            continue;
        };
        if !seen.insert(grant.cap.clone()) {
            let place = cx.field(grant.place, "cap");
            let message = format!("`{}` is granted twice", grant.cap);
            let help = "join them: of two grants of the same length neither decides".to_owned();
            cx.report("E207", place, None, message, help);
        }
        all.push(grant);
    }
    all
}

fn grant<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<GrantSpec> {
    let mut fields = Fields::open(cx, raw, "grant")?;
    let cap = fields.need(cx, "cap").and_then(|raw| capability(cx, raw, "cap"));
    let anchor = cx.place(raw);
    let scope = fields.take("scope").map(|raw| scope(cx, raw, anchor.offset)).unwrap_or_default();
    let budget = fields.take("budget").and_then(|raw| budgets::grant(cx, raw));
    let approve = match fields.take("approve") {
        Some(raw) => approvals(cx, raw, cap.as_ref()),
        None => Vec::new(),
    };
    let approve_within_ms = fields.take("approve_within").and_then(|raw| {
        let within = cx.duration(raw, "approve_within");
        if within == Some(0) {
            let help = "for example \"2h\"; leave it out for as long as it takes";
            cx.help("E305", raw, "`approve_within` is 0: nobody could approve anything", help);
        }
        within
    });
    let expires_ms = fields
        .take("expires")
        .and_then(|raw| cx.quantity(raw, "expires", units::instant, "2026-12-31T23:59:59Z"));
    fields.close(cx);
    Some(GrantSpec {
        cap: cap?,
        scope,
        budget,
        approve,
        approve_within_ms,
        expires_ms,
        place: anchor,
    })
}

fn capability(cx: &mut Cx<'_>, raw: &str, what: &str) -> Option<Capability> {
    let name = cx.string(raw, what)?;
    let parsed = Capability::parse(&name).ok();
    if parsed.is_none() {
        let help = "1 to 8 parts of a-z, 0-9, `_` and `-`, joined by dots, such as \"store.brain\"";
        cx.help("E203", raw, format!("\"{name}\" is no name of a capability"), help);
    }
    parsed
}

fn approvals<'a>(cx: &mut Cx<'a>, raw: &'a str, cap: Option<&Capability>) -> Vec<Capability> {
    let mut all = Vec::new();
    for item in cx.list(raw, "approve") {
        let Some(name) = capability(cx, item, "approve") else { continue };
        if let Some(cap) = cap
            && !cap.covers(name.as_str())
        {
            let message = format!("`{name}` is not below the granted `{cap}`");
            cx.help("E207", item, message, "an approval can only narrow what is granted");
        }
        all.push(name);
    }
    if all.len() > MAX_RULES {
        let help = "name a whole group at once: `http` covers all that begins with it";
        cx.help("E305", raw, format!("more than {MAX_RULES} approvals in one grant"), help);
    }
    all
}

fn scope<'a>(cx: &mut Cx<'a>, raw: &'a str, anchor: usize) -> Scope {
    let mut scope = Scope::new();
    for (key, key_raw, value) in cx.entries(raw, "scope") {
        cx.mark(anchor, key_raw, key_raw);
        // A refused bound stays as an empty one: the key was given, and is not also missing.
        let bound = bound(cx, value, &key).unwrap_or(Bound::Names(Vec::new()));
        scope.insert(key, bound);
    }
    scope
}

fn bound<'a>(cx: &mut Cx<'a>, raw: &'a str, key: &str) -> Option<Bound> {
    if let Some(items) = slice::list(raw) {
        if items.is_empty() {
            let message = format!("`{key}` is empty, so that nothing is allowed");
            cx.help("E206", raw, message, "name something, or leave the grant out");
        }
        let names = items.into_iter().filter_map(|item| pattern(cx, item, key)).collect();
        return Some(Bound::Names(names));
    }
    if let Some(most) = slice::scalar::<u64>(raw) {
        return Some(Bound::AtMost(most));
    }
    let message = format!("`{key}` is a list of names, or an upper bound");
    let help = format!("write \"{key}\": [\"name\", \"prefix/*\"], or a number");
    cx.help("E208", raw, message, help);
    None
}

fn pattern<'a>(cx: &mut Cx<'a>, raw: &'a str, key: &str) -> Option<Pattern> {
    let text = cx.text(raw, key)?;
    let parsed = Pattern::parse(&text);
    if let Err(error) = &parsed {
        let help = "an exact name, `prefix/*`, or `*` for all";
        cx.help("E208", raw, format!("a pattern of `{key}`: {}", reason(error)), help);
    }
    parsed.ok()
}

fn reason(error: &PatternError) -> &'static str {
    match error {
        PatternError::Empty => "it is empty",
        PatternError::TooLong => "it is too long",
        _ => "a `*` is not its last part",
    }
}
