//! The tree: supervisors and what they hold; the workers themselves are in `workers.rs`.
//!
//! Reads and checks what one child says by itself. What takes more than one child to see is in
//! `otp.rs` and `refs.rs`. Start reading at [`root`].

use std::collections::BTreeMap;

use super::bounds::{self, MAX_ID, RESERVED};
use super::budgets;
use super::catalog::{CapabilityFact, Catalog, ModuleFact};
use super::common::{
    self, AUTO_SHUTDOWNS, DYNAMICS, ESCALATIONS, RESTARTS, STOPS, STRATEGIES, WINDOWS,
};
use super::cx::Cx;
use super::fields::{Fields, head};
use super::policy::{AutoShutdown, Dynamic, Escalation, Restart, Shutdown, Stop, Strategy, Window};
use super::reactions;
use super::slice;
use super::spec::{Defaults, Node, Place, SupervisorSpec};
use super::workers;

/// Deepest nesting of supervisors: beyond, nobody can say who escalates to whom.
const MAX_DEPTH: usize = 16;

/// What reading the tree needs and learns.
pub(crate) struct Tree<'c> {
    /// The world outside.
    pub(crate) catalog: &'c dyn Catalog,
    /// What workers fall back to.
    pub(crate) defaults: Defaults,
    /// What each provider serves, in the order of the file; none where its config is refused.
    pub(crate) served: Vec<Option<Vec<CapabilityFact>>>,
    /// The kinds of providers that exist.
    pub(crate) kinds: Vec<String>,
    /// What is known of the modules named so far.
    pub(crate) modules: BTreeMap<String, ModuleFact>,
}

impl<'c> Tree<'c> {
    pub(crate) fn new(catalog: &'c dyn Catalog, defaults: Defaults) -> Self {
        let kinds = catalog.provider_kinds();
        Self { catalog, defaults, served: Vec::new(), kinds, modules: BTreeMap::new() }
    }
}

/// Reads the root, which is a supervisor.
pub(crate) fn root<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str) -> SupervisorSpec {
    match slice::split(raw) {
        (Some("Supervisor") | None, _) => supervisor(cx, tree, raw, 0),
        (Some(word), _) => {
            let help = "write root: Supervisor(id: \"root\", children: [..])";
            let message = format!("the root is a `Supervisor`, not `{word}`");
            cx.help("E005", head(raw), message, help);
            no_supervisor(cx)
        }
    }
}

/// What stands in for a root that could not be read; its emptiness is not reported.
pub(crate) fn no_supervisor(cx: &mut Cx<'_>) -> SupervisorSpec {
    let out = empty_supervisor();
    cx.broken.insert(out.place.offset);
    out
}

/// A supervisor that says nothing.
fn empty_supervisor() -> SupervisorSpec {
    SupervisorSpec {
        id: String::new(),
        strategy: Strategy::default(),
        intensity: 1,
        period_ms: 5_000,
        auto_shutdown: AutoShutdown::default(),
        max_children: None,
        window: Window::default(),
        escalation: Escalation::default(),
        stop: Stop::default(),
        restart: Restart::default(),
        shutdown: Shutdown::Infinity,
        significant: false,
        backoff: None,
        dynamic: Dynamic::default(),
        budget: None,
        rules: Vec::new(),
        children: Vec::new(),
        place: Place::default(),
    }
}

fn node<'a>(cx: &mut Cx<'a>, tree: &mut Tree<'_>, raw: &'a str, depth: usize) -> Option<Node> {
    match slice::split(raw) {
        (Some("Supervisor"), _) if depth >= MAX_DEPTH => {
            let message = format!("supervisors are nested deeper than {MAX_DEPTH}");
            cx.help("E007", head(raw), message, "flatten the tree");
            None
        }
        (Some("Supervisor"), _) => Some(Node::Supervisor(supervisor(cx, tree, raw, depth))),
        (Some("Provider"), _) => workers::provider(cx, tree, raw).map(Node::Provider),
        (Some("Agent"), _) => workers::agent(cx, tree, raw).map(Node::Agent),
        (Some(word), _) => {
            cx.unknown(head(raw), "kind of child", word, &["Supervisor", "Provider", "Agent"]);
            None
        }
        (None, _) => {
            let help = "write Supervisor(..), Provider(..) or Agent(..)";
            cx.help("E005", head(raw), "a child has a kind", help);
            None
        }
    }
}

fn supervisor<'a>(
    cx: &mut Cx<'a>,
    tree: &mut Tree<'_>,
    raw: &'a str,
    depth: usize,
) -> SupervisorSpec {
    let mut out = empty_supervisor();
    out.place = cx.place(head(raw));
    let Some(mut fields) = Fields::open(cx, raw, "Supervisor") else {
        cx.broken.insert(out.place.offset);
        return out;
    };
    out.id = id(cx, &mut fields, depth == 0);
    cx.enter(&out.id);
    if let Some(raw) = fields.take("strategy") {
        out.strategy = cx.word(raw, "strategy", &STRATEGIES).unwrap_or_default();
    }
    if let Some(raw) = fields.take("intensity") {
        out.intensity = cx.count(raw, "intensity", "E005", bounds::INTENSITY).unwrap_or(1);
    }
    if let Some(raw) = fields.take("period") {
        out.period_ms = common::period(cx, raw).unwrap_or(5_000);
    }
    if let Some(raw) = fields.take("auto_shutdown") {
        out.auto_shutdown = cx.word(raw, "auto_shutdown", &AUTO_SHUTDOWNS).unwrap_or_default();
    }
    if let Some(raw) = fields.take("max_children") {
        out.max_children = cx.count(raw, "max_children", "E112", bounds::CHILDREN);
    }
    beyond_otp(cx, &mut fields, &mut out);
    if let Some(raw) = fields.take("restart") {
        out.restart = cx.word(raw, "restart", &RESTARTS).unwrap_or_default();
    }
    if let Some(raw) = fields.take("shutdown") {
        out.shutdown = common::shutdown(cx, raw).unwrap_or(Shutdown::Infinity);
    }
    out.significant = significant(cx, &mut fields);
    out.backoff = common::backoff_field(cx, &mut fields, None);
    let rules = fields.take("on").map(|raw| reactions::rules(cx, raw)).unwrap_or_default();
    if let Some(raw) = fields.take("children") {
        out.children = children(cx, tree, raw, depth, out.place.offset);
    }
    out.children.iter_mut().for_each(|child| child.inherit(&rules));
    if out.budget.is_some() {
        out.children.iter_mut().for_each(|child| child.draw_on(&out.id));
    }
    fields.close(cx);
    cx.leave();
    out
}

/// The flags that OTP does not have.
fn beyond_otp<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>, out: &mut SupervisorSpec) {
    out.budget = fields.take("budget").and_then(|raw| budgets::supervisor(cx, raw));
    if let Some(raw) = fields.take("window") {
        out.window = cx.word(raw, "window", &WINDOWS).unwrap_or_default();
        if out.window == Window::OtpSeconds && !out.period_ms.is_multiple_of(1_000) {
            let help = "OTP counts whole seconds; round `period`, or leave `window` out";
            cx.help("E104", raw, "`period` is not in whole seconds", help);
        }
    }
    if let Some(raw) = fields.take("escalation") {
        out.escalation = cx.word(raw, "escalation", &ESCALATIONS).unwrap_or_default();
    }
    if let Some(raw) = fields.take("stop") {
        out.stop = cx.word(raw, "stop", &STOPS).unwrap_or_default();
    }
    if let Some(raw) = fields.take("dynamic") {
        out.dynamic = cx.word(raw, "dynamic", &DYNAMICS).unwrap_or_default();
        if out.strategy != Strategy::SimpleOneForOne {
            let help = "leave it out: the children of this supervisor are all in the file";
            cx.help("E113", raw, "`dynamic` is for SimpleOneForOne only", help);
        } else if out.dynamic == Dynamic::Otp {
            let help = "as in OTP; without the field they come back, with what waited for them";
            cx.help("W421", raw, "dynamic children are lost when this supervisor restarts", help);
        }
    }
}

/// Reads a list of children; one that cannot be read marks its supervisor as broken.
fn children<'a>(
    cx: &mut Cx<'a>,
    tree: &mut Tree<'_>,
    raw: &'a str,
    depth: usize,
    anchor: usize,
) -> Vec<Node> {
    let items = cx.list(raw, "children");
    let count = items.len();
    let all: Vec<Node> =
        items.into_iter().filter_map(|child| node(cx, tree, child, depth + 1)).collect();
    if all.len() < count || slice::list(raw).is_none() {
        cx.broken.insert(anchor);
    }
    all
}

/// The field `significant`.
pub(crate) fn significant<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>) -> bool {
    fields.take("significant").and_then(|raw| cx.flag(raw, "significant")).unwrap_or_default()
}

/// The field `id`; only the root may leave it out, or bear a reserved name.
pub(crate) fn id<'a>(cx: &mut Cx<'a>, fields: &mut Fields<'a>, is_root: bool) -> String {
    let raw = if is_root { fields.take("id") } else { fields.need(cx, "id") };
    let Some(raw) = raw else {
        return if is_root { "root".to_owned() } else { String::new() };
    };
    let Some(id) = cx.string(raw, "id") else {
        return String::new();
    };
    name(cx, raw, &id);
    if RESERVED.contains(&id.as_str()) && !(is_root && id == "root") {
        let help = "`root` is the root supervisor, `system` the fleet's own";
        cx.help("E103", raw, format!("the id \"{id}\" is reserved"), help);
    }
    id
}

/// Reports a name that is not well formed.
pub(crate) fn name(cx: &mut Cx<'_>, raw: &str, name: &str) {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > MAX_ID || !name.bytes().all(good) {
        let help = format!("1 to {MAX_ID} of a-z, 0-9, `_` and `-`");
        cx.help("E103", raw, format!("\"{name}\" is not well formed as a name"), help);
    }
}
