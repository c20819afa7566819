//! Grants as they are written: capability, scope, budget, approvals, expiry.
//!
//! Only the form is checked here; whether the capability exists, and knows the scope's keys, is
//! checked in `refs.rs` once all providers are known.

use std::collections::BTreeMap;

use super::cx::Cx;
use super::fields::Fields;
use super::spec::{BoundSpec, BudgetSpec, GrantSpec};
use super::{slice, units};

/// Most segments of a capability's name, and most characters of one: the kernel's own bounds.
const MAX_SEGMENTS: usize = 8;
const MAX_SEGMENT_CHARS: usize = 64;
/// Longest name in a scope, in bytes: longer than any path or host.
const MAX_PATTERN_BYTES: usize = 4096;

/// Reads a list of grants.
pub(crate) fn grants<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Vec<GrantSpec> {
    let items = cx.list(raw, "grants");
    let mut all: Vec<GrantSpec> = Vec::with_capacity(items.len());
    let mut seen = std::collections::BTreeSet::new();
    for item in items {
        let Some(grant) = grant(cx, item) else {
            continue;
        };
        if !grant.cap.is_empty() && !seen.insert(grant.cap.clone()) {
            let place = cx.field(grant.place, "cap");
            let message = format!("`{}` is granted twice", grant.cap);
            let help = "join them: of two grants of the same length neither decides".to_owned();
            cx.report("E207", place, None, message, Some(help));
        }
        all.push(grant);
    }
    all
}

fn grant<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<GrantSpec> {
    let mut fields = Fields::open(cx, raw, "grant")?;
    let cap = fields.need(cx, "cap").and_then(|raw| capability(cx, raw, "cap")).unwrap_or_default();
    let anchor = cx.place(raw);
    let scope = fields.take("scope").map(|raw| scope(cx, raw, anchor.offset)).unwrap_or_default();
    let budget = fields.take("budget").and_then(|raw| budget(cx, raw));
    let approve = match fields.take("approve") {
        Some(raw) => approvals(cx, raw, &cap),
        None => Vec::new(),
    };
    let expires_ms = fields
        .take("expires")
        .and_then(|raw| cx.quantity(raw, "expires", units::instant, "2026-12-31T23:59:59Z"));
    fields.close(cx);
    Some(GrantSpec { cap, scope, budget, approve, expires_ms, place: anchor })
}

fn capability(cx: &mut Cx<'_>, raw: &str, what: &str) -> Option<String> {
    let name = cx.string(raw, what)?;
    if is_capability(&name) {
        return Some(name);
    }
    let help = "1 to 8 parts of a-z, 0-9, `_` and `-`, joined by dots, such as \"store.brain\"";
    cx.help("E203", raw, format!("\"{name}\" is no name of a capability"), help);
    None
}

/// Whether the kernel would take the name.
pub(crate) fn is_capability(name: &str) -> bool {
    let good = |segment: &str| {
        (1..=MAX_SEGMENT_CHARS).contains(&segment.len())
            && segment.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    name.split('.').count() <= MAX_SEGMENTS && name.split('.').all(good)
}

/// Whether `grant` covers `capability`, part by part.
pub(crate) fn covers(grant: &str, capability: &str) -> bool {
    capability.strip_prefix(grant).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn approvals<'a>(cx: &mut Cx<'a>, raw: &'a str, cap: &str) -> Vec<String> {
    let mut all = Vec::new();
    for item in cx.list(raw, "approve") {
        let Some(name) = capability(cx, item, "approve") else {
            continue;
        };
        if !cap.is_empty() && !covers(cap, &name) {
            let message = format!("`{name}` is not below the granted `{cap}`");
            cx.help("E207", item, message, "an approval can only narrow what is granted");
        }
        all.push(name);
    }
    all
}

fn scope<'a>(cx: &mut Cx<'a>, raw: &'a str, anchor: usize) -> BTreeMap<String, BoundSpec> {
    let mut scope = BTreeMap::new();
    for (key, key_raw, value) in cx.entries(raw, "scope") {
        cx.mark(anchor, key_raw, key_raw);
        // A refused bound stays as an empty one: the key was given, and is not also missing.
        let bound = bound(cx, value, &key).unwrap_or(BoundSpec::Names(Vec::new()));
        scope.insert(key, bound);
    }
    scope
}

fn bound<'a>(cx: &mut Cx<'a>, raw: &'a str, key: &str) -> Option<BoundSpec> {
    if let Some(items) = slice::list(raw) {
        if items.is_empty() {
            let message = format!("`{key}` is empty, so that nothing is allowed");
            cx.help("E206", raw, message, "name something, or leave the grant out");
        }
        let names = items.into_iter().filter_map(|item| pattern(cx, item, key)).collect();
        return Some(BoundSpec::Names(names));
    }
    if let Some(most) = slice::scalar::<u64>(raw) {
        return Some(BoundSpec::AtMost(most));
    }
    let message = format!("`{key}` is a list of names, or an upper bound");
    cx.help(
        "E208",
        raw,
        message,
        format!("write \"{key}\": [\"name\", \"prefix/*\"], or a number"),
    );
    None
}

fn pattern<'a>(cx: &mut Cx<'a>, raw: &'a str, key: &str) -> Option<String> {
    let text = cx.text(raw, key)?;
    let stem = if text == "*" { "x" } else { text.strip_suffix("/*").unwrap_or(&text) };
    let why = if text.is_empty() || stem.is_empty() {
        "is empty"
    } else if text.len() > MAX_PATTERN_BYTES {
        "is too long"
    } else if stem.contains('*') {
        "has a `*` that is not its last part"
    } else {
        return Some(text);
    };
    let help = "an exact name, `prefix/*`, or `*` for all";
    cx.help("E208", raw, format!("a pattern of `{key}` {why}"), help);
    None
}

fn budget<'a>(cx: &mut Cx<'a>, raw: &'a str) -> Option<BudgetSpec> {
    let mut fields = Fields::open(cx, raw, "budget")?;
    let amount = |cx: &mut Cx<'a>, fields: &mut Fields<'a>, name: &'static str| {
        fields.take(name).and_then(|raw| cx.number(raw, name, "E305", 1..=u64::MAX >> 1))
    };
    let spec = BudgetSpec {
        calls: amount(cx, &mut fields, "calls"),
        tokens: amount(cx, &mut fields, "tokens"),
        bytes: amount(cx, &mut fields, "bytes"),
        money_micros: fields
            .take("money")
            .and_then(|raw| cx.quantity(raw, "money", units::money, "2.50")),
        per_ms: fields.take("per").and_then(|raw| cx.duration(raw, "per")),
    };
    if spec.per_ms == Some(0) {
        cx.say("E305", raw, "`per` is 0: the budget would never be spent");
    }
    if spec == (BudgetSpec { per_ms: spec.per_ms, ..BudgetSpec::default() }) && !cx.has_errors() {
        let help = "give calls, tokens, bytes or money";
        cx.help("E305", raw, "the budget bounds nothing", help);
    }
    fields.close(cx);
    Some(spec)
}
