//! What a live reload from one fleet to another does, step by step, by OTP's code change rules and what follows them.
//!
//! OTP's code change replaces flags and specs by id, starts no new child, and keeps those that are gone. A reload goes on: it ends
//! the children that are gone, gives those that must notice it a new life, and starts the new ones; each is a step of its own.
//! What cannot be changed while the fleet runs is refused, and then nothing is done. Start reading at [`diff`].

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::fmt;
use super::policy::Strategy;
use super::spec::{Fleet, Node, SupervisorSpec};

/// Longest value of a field that is shown.
const SHOWN_CHARS: usize = 80;

/// Fields of an agent that count at once, without a new life. All others, also those that a later version adds, need one.
const AGENT_NOW: [&str; 10] = [
    "rules",
    "restart",
    "shutdown",
    "significant",
    "backoff",
    "restarts",
    "charge",
    "every_ms",
    "mailbox",
    "inbox_bytes",
];
/// Fields of a provider that count at once.
const PROVIDER_NOW: [&str; 7] =
    ["restart", "shutdown", "significant", "backoff", "restarts", "rules", "start_timeout_ms"];
/// Fields of a provider that others have come to rely on: its way in, and what it serves.
const PROVIDER_FIXED: [&str; 3] = ["kind", "capabilities", "mailbox"];
/// Fields of the fleet that the process was started with.
const FLEET_FIXED: [&str; 8] =
    ["name", "data", "durability", "listen", "lanes", "slots", "keep_turns", "quarantine"];
/// Fields whose values may be secret: only that they have changed is told.
const HIDDEN: [&str; 2] = ["config", "settings"];

/// One field that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Which.
    pub field: String,
    /// As it was, JSON; none where it is not shown.
    pub from: Option<String>,
    /// As it is to be.
    pub to: Option<String>,
}

/// What is done, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It cannot be done while the fleet runs.
    Refuse,
    /// It counts at once; what runs goes on running.
    Change,
    /// It is ended for good; what waits for an agent becomes dead letters (rule A4).
    End,
    /// It is stopped in order and started again.
    Restart,
    /// It is started.
    Start,
}

/// One step of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What is done.
    pub deed: Deed,
    /// Path in the tree; `@operator` for its grants, empty for the fleet itself.
    pub path: String,
    /// The child's name.
    pub child: String,
    /// `fleet`, `operator`, `supervisor`, `agent`, `provider`, or `template` of a SimpleOneForOne supervisor.
    pub kind: &'static str,
    /// What has changed.
    pub fields: Vec<FieldChange>,
    /// Why it is refused.
    pub why: Option<String>,
}

/// The steps from one fleet to another, in the order in which a reload takes them; empty when they say the same.
pub fn diff(old: &Fleet, new: &Fleet) -> Vec<Step> {
    let mut steps = Vec::new();
    let changed =
        fields(old, new, &["defaults", "operator", "opening", "params", "root", "version"]);
    let mut fixed = |field: FieldChange| {
        if FLEET_FIXED.contains(&&*field.field) {
            let why = format!(
                "`{}` is what the process was started with: stop the fleet and run it",
                field.field
            );
            steps.push(step(Deed::Refuse, "", &new.name, "fleet", vec![field], Some(why)));
        }
    };
    changed.into_iter().for_each(&mut fixed);
    let operator = fields(old, new, &["defaults", "opening", "params", "root", "version"]);
    let operator: Vec<_> = operator.into_iter().filter(|f| f.field == "operator").collect();
    if !operator.is_empty() {
        steps.push(step(Deed::Change, "@operator", "@operator", "operator", operator, None));
    }
    let (before, after) = (places(&old.root), places(&new.root));
    if old.root.id != new.root.id {
        let why = format!("the root is \"{}\", and cannot become \"{}\"", old.root.id, new.root.id);
        steps.push(step(
            Deed::Refuse,
            &new.root.id,
            &new.root.id,
            "supervisor",
            Vec::new(),
            Some(why),
        ));
        return steps;
    }
    supervisor(&old.root, &new.root, &new.root.id, true, &mut steps);
    children(&old.root, &new.root, &new.root.id, &mut steps);
    for (id, (path, _)) in &after {
        if let Some((was, _)) = before.get(id)
            && was != path
        {
            let why = format!(
                "it stands at {was}: end it there with one reload, start it here with another"
            );
            steps.push(step(Deed::Refuse, path, id, "child", Vec::new(), Some(why)));
        }
    }
    steps.sort_by_key(|step| step.deed);
    steps
}

fn step(
    deed: Deed,
    path: &str,
    child: &str,
    kind: &'static str,
    fields: Vec<FieldChange>,
    why: Option<String>,
) -> Step {
    Step { deed, path: path.to_owned(), child: child.to_owned(), kind, fields, why }
}

/// Where everybody stands who is addressed by an id.
fn places(root: &SupervisorSpec) -> BTreeMap<&str, (String, &Node)> {
    fn walk<'s>(
        s: &'s SupervisorSpec,
        path: &str,
        all: &mut BTreeMap<&'s str, (String, &'s Node)>,
    ) {
        if is_pool(s) {
            return;
        }
        for child in &s.children {
            let path = format!("{path}/{}", child.id());
            if let Node::Supervisor(below) = child {
                walk(below, &path, all);
            }
            all.insert(child.id(), (path, child));
        }
    }
    let mut all = BTreeMap::new();
    walk(root, &root.id, &mut all);
    all
}

fn is_pool(s: &SupervisorSpec) -> bool {
    s.strategy == Strategy::SimpleOneForOne
}

fn kind(node: &Node) -> &'static str {
    match node {
        Node::Supervisor(_) => "supervisor",
        Node::Provider(_) => "provider",
        Node::Agent(_) => "agent",
    }
}

fn supervisor(
    old: &SupervisorSpec,
    new: &SupervisorSpec,
    path: &str,
    root: bool,
    steps: &mut Vec<Step>,
) {
    let changed = fields(old, new, &["children", "id"]);
    if is_pool(old) != is_pool(new) {
        let why = "a running supervisor cannot become, or cease to be, SimpleOneForOne: give it another id";
        steps.push(step(Deed::Refuse, path, &new.id, "supervisor", changed, Some(why.to_owned())));
        return;
    }
    // The root's own restart is the node's.
    let changed: Vec<_> = changed
        .into_iter()
        .filter(|f| {
            !root || !["restart", "shutdown", "significant", "backoff"].contains(&&*f.field)
        })
        .collect();
    if !changed.is_empty() {
        steps.push(step(Deed::Change, path, &new.id, "supervisor", changed, None));
    }
}

fn children(old: &SupervisorSpec, new: &SupervisorSpec, path: &str, steps: &mut Vec<Step>) {
    if is_pool(new) && is_pool(old) {
        return template(old, new, path, steps);
    }
    // A supervisor may have tens of thousands of children: each is looked up, never searched for.
    let (before, after) = (by_id(old), by_id(new));
    for was in &old.children {
        if !after.contains_key(was.id()) {
            let path = format!("{path}/{}", was.id());
            steps.push(step(Deed::End, &path, was.id(), kind(was), Vec::new(), None));
        }
    }
    for child in &new.children {
        let path = format!("{path}/{}", child.id());
        match before.get(child.id()) {
            Some(was) => one(was, child, &path, steps),
            None => steps.push(step(Deed::Start, &path, child.id(), kind(child), Vec::new(), None)),
        }
    }
    let order = |s: &SupervisorSpec, other: &HashMap<&str, &Node>| -> Vec<String> {
        let kept = s.children.iter().map(Node::id);
        kept.filter(|id| other.contains_key(id)).map(str::to_owned).collect()
    };
    let (before, after) = (order(old, &after), order(new, &before));
    if before != after {
        let from = Some(before.join(", "));
        let moved = FieldChange { field: "children".to_owned(), from, to: Some(after.join(", ")) };
        steps.push(step(Deed::Change, path, &new.id, "supervisor", vec![moved], None));
    }
}

fn by_id(s: &SupervisorSpec) -> HashMap<&str, &Node> {
    s.children.iter().map(|child| (child.id(), child)).collect()
}

fn template(old: &SupervisorSpec, new: &SupervisorSpec, path: &str, steps: &mut Vec<Step>) {
    if let ([was], [is]) = (old.children.as_slice(), new.children.as_slice()) {
        let changed = node_fields(was, is);
        if !changed.is_empty() || was.id() != is.id() {
            steps.push(step(Deed::Restart, path, &new.id, "template", changed, None));
        }
    }
}

fn one(old: &Node, new: &Node, path: &str, steps: &mut Vec<Step>) {
    if let (Node::Supervisor(was), Node::Supervisor(is)) = (old, new) {
        supervisor(was, is, path, false, steps);
        return children(was, is, path, steps);
    }
    if kind(old) != kind(new) {
        let why =
            format!("a running {} cannot become a {}: give it another id", kind(old), kind(new));
        steps.push(step(Deed::Refuse, path, new.id(), kind(new), Vec::new(), Some(why)));
        return;
    }
    let changed = node_fields(old, new);
    let (now, fixed): (&[&str], &[&str]) = match new {
        Node::Provider(_) => (&PROVIDER_NOW, &PROVIDER_FIXED),
        _ => (&AGENT_NOW, &[]),
    };
    if let Some(field) = changed.iter().find(|f| fixed.contains(&&*f.field)) {
        let why = format!(
            "`{}` of a running provider is known to its callers: give it another id",
            field.field
        );
        steps.push(step(Deed::Refuse, path, new.id(), kind(new), changed, Some(why)));
    } else if changed.iter().any(|f| !now.contains(&&*f.field)) {
        steps.push(step(Deed::Restart, path, new.id(), kind(new), changed, None));
    } else if !changed.is_empty() {
        steps.push(step(Deed::Change, path, new.id(), kind(new), changed, None));
    }
}

fn node_fields(old: &Node, new: &Node) -> Vec<FieldChange> {
    match (old, new) {
        (Node::Agent(old), Node::Agent(new)) => fields(old, new, &["id"]),
        (Node::Provider(old), Node::Provider(new)) => fields(old, new, &["id"]),
        (Node::Supervisor(old), Node::Supervisor(new)) => fields(old, new, &["id"]),
        _ => Vec::new(),
    }
}

/// The fields of two specs that differ; where they stand in their files does not count.
fn fields<T: Serialize>(old: &T, new: &T, but: &[&str]) -> Vec<FieldChange> {
    let [old, new] = [old, new].map(|spec| {
        let mut value = serde_json::to_value(spec).unwrap_or(Value::Null);
        forget_places(&mut value);
        if let Some(config) = value.get_mut("config") {
            // It is kept as it is written.
            *config = config.as_str().map(fmt::said).into();
        }
        value
    });
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return Vec::new() };
    let mut found = Vec::new();
    for (field, to) in &new {
        let from = old.get(field).unwrap_or(&Value::Null);
        if from == to || but.contains(&field.as_str()) {
            continue;
        }
        let shown = |value: &Value| {
            let text = value.to_string();
            let hidden = HIDDEN.contains(&field.as_str()) || text.chars().count() > SHOWN_CHARS;
            (!hidden).then_some(text)
        };
        found.push(FieldChange { field: field.clone(), from: shown(from), to: shown(to) });
    }
    found
}

fn forget_places(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("place");
            map.values_mut().for_each(forget_places);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_places),
        _ => {}
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self.deed {
            Deed::Refuse => "refuse",
            Deed::Change => "change",
            Deed::End => "end",
            Deed::Restart => "restart",
            Deed::Start => "start",
        };
        let path = if self.path.is_empty() { &self.child } else { &self.path };
        write!(f, "{word:<8} {} {path}", self.kind)?;
        for (index, field) in self.fields.iter().enumerate() {
            write!(f, "{} {}", if index == 0 { ":" } else { "," }, field.field)?;
            if let (Some(from), Some(to)) = (&field.from, &field.to) {
                write!(f, " {from} -> {to}")?;
            }
        }
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        Ok(())
    }
}
