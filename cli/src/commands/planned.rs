//! `tree FLEET`: a fleet file as a tree, with every default filled in. Nothing is run.

use crate::args::TreeArgs;
use crate::exit::{CliError, Code};
use crate::node::parse_fleet;
use crate::output;
use loket_supervision::fleet::{
    AgentSpec, Backoff, First, Fleet, Limits, Mailbox, Node, Overload, ProviderSpec, Rule,
    Shutdown, SupervisorSpec,
};
use serde_json::{Value, json};
use std::path::Path;

/// Prints the tree of a file.
pub(super) fn planned(path: &Path, args: &TreeArgs, json: bool) -> Result<Code, CliError> {
    let fleet = parse_fleet(path, &args.sets, json)?;
    if json {
        let mut value = json!({"fleet": fleet});
        forget_places(&mut value);
        return Ok(output::versioned(value));
    }
    Ok(output::line(&output::safe(&text(&fleet))))
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

fn text(fleet: &Fleet) -> String {
    let or = |value: Option<u32>, or: &str| value.map_or_else(|| or.to_owned(), |v| v.to_string());
    let mut text = format!(
        "{}  fleet  data {}  durability {:?}  listen {}  lanes {}  slots {}\n",
        fleet.name,
        fleet.data,
        fleet.durability,
        fleet.listen.as_deref().unwrap_or("none"),
        or(fleet.lanes, "one per core"),
        or(fleet.slots, "128"),
    );
    text.push_str(&format!("└─ {}\n", supervisor(&fleet.root)));
    children(&fleet.root, "   ", &mut text);
    text.truncate(text.trim_end().len());
    text
}

fn children(s: &SupervisorSpec, rest: &str, text: &mut String) {
    for (index, child) in s.children.iter().enumerate() {
        let last = index + 1 == s.children.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let (line, grants) = match child {
            Node::Supervisor(s) => (supervisor(s), &[][..]),
            Node::Provider(p) => (provider(p), &[][..]),
            Node::Agent(a) => (agent(a), &a.grants[..]),
        };
        text.push_str(&format!("{rest}{branch}{line}\n"));
        let rest = format!("{rest}{below}");
        for grant in grants {
            text.push_str(&format!("{rest}   may {}{}\n", grant.cap, scope(&json!(grant.scope))));
        }
        if let Node::Supervisor(s) = child {
            children(s, &rest, text);
        }
    }
}

fn supervisor(s: &SupervisorSpec) -> String {
    let mut line = format!(
        "{}  supervisor  {:?}  intensity {} in {}  auto_shutdown {:?}  restart {:?}  shutdown {}",
        s.id,
        s.strategy,
        s.intensity,
        time(s.period_ms),
        s.auto_shutdown,
        s.restart,
        shutdown(s.shutdown),
    );
    if let Some(max) = s.max_children {
        line.push_str(&format!("  max_children {max}"));
    }
    line.push_str(&format!(
        "  window {:?}  escalation {:?}  stop {:?}",
        s.window, s.escalation, s.stop
    ));
    line.push_str(&format!("  dynamic {:?}  backoff {}", s.dynamic, backoff(s.backoff)));
    line.push_str(&rules(&s.rules));
    line + significant(s.significant)
}

fn provider(p: &ProviderSpec) -> String {
    let mut line = format!(
        "{}  provider {}  serves {}  restart {:?}  shutdown {}  backoff {}  mailbox {}  start_timeout {}",
        p.id,
        p.kind,
        p.capabilities.join(", "),
        p.restart,
        shutdown(p.shutdown),
        backoff(p.backoff),
        mailbox(p.mailbox),
        time(p.start_timeout_ms),
    );
    if let Some(own) = p.restarts {
        line.push_str(&format!("  restarts {} in {}", own.intensity, time(own.period_ms)));
    }
    line.push_str(&rules(&p.rules));
    line + significant(p.significant)
}

fn agent(a: &AgentSpec) -> String {
    let mut line = format!(
        "{}  agent {}  restart {:?}  shutdown {}  backoff {}  mailbox {}  inbox_bytes {}  \
         max_attempts {}  charge {:?}  park_after {}  pause_max {}",
        a.id,
        a.module,
        a.restart,
        shutdown(a.shutdown),
        backoff(a.backoff),
        mailbox(a.mailbox),
        size(a.inbox_bytes),
        a.max_attempts,
        a.charge,
        time(a.park_after_ms),
        time(a.pause_max_ms),
    );
    line.push_str(&limits(&a.limits));
    if let Some(every) = a.every_ms {
        line.push_str(&format!("  every {}", time(every)));
    }
    if let Some(own) = a.restarts {
        line.push_str(&format!("  restarts {} in {}", own.intensity, time(own.period_ms)));
    }
    if !a.settings.is_empty() {
        let names: Vec<_> = a.settings.keys().map(String::as_str).collect();
        line.push_str(&format!("  settings {}", names.join(", ")));
    }
    line.push_str(&rules(&a.rules));
    line + significant(a.significant)
}

/// What else than a restart follows from exits, its supervisor's rules included.
fn rules(rules: &[Rule]) -> String {
    let word = |word: Option<String>| word.unwrap_or_else(|| "any".to_owned());
    let one = |rule: &Rule| {
        let blame = word(rule.blame.map(|blame| format!("{blame:?}")));
        let cause = word(rule.cause.map(|cause| format!("{cause:?}")));
        format!("  on blame {blame}, cause {cause}: {:?}", rule.action)
    };
    rules.iter().map(one).collect()
}

fn limits(l: &Limits) -> String {
    format!(
        "  limits: memory {}, deadline {}, output {}, calls {}, table {}, module {}, compile {}",
        size(l.memory_bytes),
        time(l.deadline_ms),
        size(l.output_bytes),
        l.calls_per_turn,
        l.table_elements,
        size(l.module_bytes),
        time(l.compile_ms),
    )
}

fn significant(significant: bool) -> &'static str {
    if significant { "  significant" } else { "" }
}

fn shutdown(shutdown: Shutdown) -> String {
    match shutdown {
        Shutdown::Timeout(ms) => time(ms),
        other => format!("{other:?}"),
    }
}

fn backoff(backoff: Option<Backoff>) -> String {
    let Some(b) = backoff else { return "none".to_owned() };
    let first = match b.first {
        First::Immediate => "at once".to_owned(),
        First::Ms(ms) => time(ms),
    };
    format!(
        "{first}, then {} to {} by {}, jitter {}, reset after {}",
        time(b.min_ms),
        time(b.max_ms),
        b.factor,
        b.jitter,
        time(b.reset_after_ms)
    )
}

fn mailbox(mailbox: Mailbox) -> String {
    match mailbox.overload {
        Overload::Reject => format!("{} Reject", mailbox.capacity),
        Overload::Wait(ms) => format!("{} Wait {}", mailbox.capacity, time(ms)),
    }
}

fn scope(scope: &Value) -> String {
    match scope.as_object() {
        Some(keys) if !keys.is_empty() => format!("  {scope}"),
        _ => String::new(),
    }
}

/// As a fleet file writes it, in the largest unit that is exact.
fn time(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let exact = units.into_iter().find(|(_, of)| ms >= *of && ms.is_multiple_of(*of));
    exact.map_or_else(|| format!("{ms}ms"), |(unit, of)| format!("{}{unit}", ms / of))
}

fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let exact = units.into_iter().find(|(_, of)| bytes >= *of && bytes.is_multiple_of(*of));
    exact.map_or_else(|| format!("{bytes}B"), |(unit, of)| format!("{}{unit}", bytes / of))
}
