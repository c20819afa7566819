//! What OTP forbids or makes pointless, seen over whole supervisors: E1xx and most of W4xx.

use std::collections::{BTreeMap, BTreeSet};

use super::cx::Cx;
use super::policy::{AutoShutdown, Charge, Escalation, First, Restart, Shutdown, Strategy};
use super::spec::{Fleet, Node, Place, SupervisorSpec};

/// Deepest tree and most static children that people can keep in mind (W422).
const DEEP: usize = 6;
const MANY: usize = 1_000;
/// A sustained rate of restarts above this is a hot loop, in restarts a second (W402).
const HOT_RATE: u64 = 1;
/// OTP's default: with one restart in less than this there is room for no burst (W404), in milliseconds.
const SHORT_PERIOD_MS: u64 = 5_000;
/// A period longer than this forgets nothing (W403), in milliseconds.
const LONG_PERIOD_MS: u64 = 3_600_000;

/// Checks the tree of `fleet`; `system` are the names of its own children.
pub(crate) fn check(cx: &mut Cx<'_>, fleet: &Fleet, system: &[String]) {
    let root = &fleet.root;
    let mut walk = Walk { cx, names: BTreeMap::new(), children: 0 };
    walk.names.insert(fleet.name.clone(), "the fleet itself".to_owned());
    walk.names.extend(system.iter().map(|name| (name.clone(), format!("system/{name}"))));
    walk.names.insert(root.id.clone(), root.id.clone());
    let path = root.id.clone();
    if root.auto_shutdown != AutoShutdown::Never {
        let help = "when it fires, the whole fleet stops; put the group under a supervisor below";
        walk.say("W408", root.place, "auto_shutdown", &path, "`auto_shutdown` on the root", help);
    }
    for field in ["restart", "significant", "backoff"] {
        if walk.cx.field(root.place, field).offset != root.place.offset {
            let message = format!("`{field}` of the root says nothing: nobody restarts it");
            let help = "leave it out: when the root ends, the fleet ends";
            walk.say("W432", root.place, field, &path, &message, help);
        }
    }
    walk.supervisor(root, &path, 1);
    if walk.children > MANY {
        let message = format!("{} static children", walk.children);
        let help = "many alike belong under a SimpleOneForOne supervisor";
        walk.say("W422", root.place, "id", &path, &message, help);
    }
}

/// Restarts that are added up one by one; beyond, every period is exceeded or none.
const MANY_RESTARTS: u32 = 10_000;

/// Milliseconds as a float; durations are far below 2^53.
fn millis(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64() * 1_000.0
}

struct Walk<'w, 'a> {
    cx: &'w mut Cx<'a>,
    /// Names of the tree, and the path of whoever bears each.
    names: BTreeMap<String, String>,
    children: usize,
}

impl Walk<'_, '_> {
    fn say(
        &mut self,
        code: &'static str,
        place: Place,
        field: &str,
        path: &str,
        what: &str,
        help: &str,
    ) {
        let at = self.cx.field(place, field);
        self.cx.report(code, at, Some(path.to_owned()), what.to_owned(), help.to_owned());
    }

    fn supervisor(&mut self, s: &SupervisorSpec, path: &str, depth: usize) {
        self.rates(s, path);
        self.form(s, path);
        self.automatic(s, path);
        self.ids(s, path);
        if depth == DEEP + 1 {
            let help = "each level multiplies the restarts that a fault needs to reach the top";
            let message = format!("supervisors are nested deeper than {DEEP}");
            self.say("W422", s.place, "id", path, &message, help);
        }
        for child in &s.children {
            self.children += 1;
            let path = format!("{path}/{}", child.id());
            self.child(s, child, &path);
            if let Node::Supervisor(below) = child {
                self.supervisor(below, &path, depth + 1);
            }
        }
    }

    /// Intensity and period.
    fn rates(&mut self, s: &SupervisorSpec, path: &str) {
        let restarts = s.children.iter().any(|c| c.restart() != Restart::Temporary);
        if s.intensity == 0 && restarts {
            let help = "give it at least `intensity: 1`, or make its children Temporary";
            let message = "`intensity: 0` with a child that is restarted: the first crash ends all";
            self.say("W401", s.place, "intensity", path, message, help);
        }
        if u64::from(s.intensity) * 1_000 > HOT_RATE * s.period_ms && s.period_ms > 0 {
            let help = "a child may crash so often for ever and never escalate; lengthen `period`";
            let message = format!(
                "{} restarts in {} ms are more than {HOT_RATE} a second",
                s.intensity, s.period_ms
            );
            self.say("W402", s.place, "intensity", path, &message, help);
        }
        if s.intensity == 1 && s.period_ms < SHORT_PERIOD_MS && s.period_ms > 0 {
            let help = "such as `intensity: 3, period: \"30s\"`";
            let message = "one restart in less than 5 s: two crashes at once end the supervisor";
            self.say("W404", s.place, "period", path, message, help);
        }
        if s.period_ms > LONG_PERIOD_MS {
            let help = "crashes that have nothing to do with each other add up to an escalation";
            self.say("W403", s.place, "period", path, "`period` is longer than an hour", help);
        }
    }

    /// Strategy, template, `max_children`.
    fn form(&mut self, s: &SupervisorSpec, path: &str) {
        let simple = s.strategy == Strategy::SimpleOneForOne;
        let whole = !self.cx.broken.contains(&s.place.offset);
        if simple && whole && s.children.len() != 1 {
            let message = format!("SimpleOneForOne has {} children, not one", s.children.len());
            let help = "its one child is the template of all that are started at run time";
            self.say("E108", s.place, "children", path, &message, help);
        }
        if simple && let [Node::Supervisor(template)] = s.children.as_slice() {
            let path = format!("{path}/{}", template.id);
            let message = "the template is a supervisor";
            let help =
                "make it an agent; who must stand or fall with others belongs into a static group";
            self.say("E109", template.place, "id", &path, message, help);
        }
        if !simple && s.max_children.is_some() {
            let message = "`max_children` is for SimpleOneForOne only";
            let help = "leave it out: the children of this supervisor are all in the file";
            self.say("E112", s.place, "max_children", path, message, help);
        }
        if !simple && whole && s.children.is_empty() {
            let help = "give it children, or leave it out";
            self.say("W420", s.place, "id", path, "a supervisor without children", help);
        }
        let group = matches!(s.strategy, Strategy::OneForAll | Strategy::RestForOne);
        if group && whole && s.children.len() == 1 {
            let help = "with one child OneForOne does the same";
            self.say("W413", s.place, "strategy", path, "a group of one child", help);
        }
        if let Shutdown::Timeout(_) | Shutdown::BrutalKill = s.shutdown {
            let message = "`shutdown` of a supervisor is not Infinity: its children may be killed";
            self.say("W409", s.place, "shutdown", path, message, "leave it out");
        }
    }

    /// `auto_shutdown` of one supervisor.
    fn automatic(&mut self, s: &SupervisorSpec, path: &str) {
        let never = s.auto_shutdown == AutoShutdown::Never;
        let whole = !self.cx.broken.contains(&s.place.offset);
        let is_root = !path.contains('/');
        if !never && s.strategy == Strategy::SimpleOneForOne {
            let message = "`auto_shutdown` with SimpleOneForOne";
            let help = "OTP forbids it: dynamic children come and go";
            self.say("E107", s.place, "auto_shutdown", path, message, help);
        } else if !never && whole && !s.children.iter().any(Node::significant) {
            let message = "`auto_shutdown` without a significant child never fires";
            let help = "mark a child `significant: true`, or leave `auto_shutdown` out";
            self.say("E111", s.place, "auto_shutdown", path, message, help);
        }
        if !never && s.restart == Restart::Permanent && !is_root {
            let message = "it shuts itself down and is restarted at once, being Permanent";
            let help = "make it `restart: Transient`: an automatic shutdown is a normal end";
            self.say("W407", s.place, "auto_shutdown", path, message, help);
        }
        // Beyond OTP an escalation is abnormal, so that a Transient supervisor comes back.
        let as_otp = s.escalation == Escalation::AsOtp && s.restart == Restart::Transient;
        if never && (as_otp || s.restart == Restart::Temporary) && !is_root {
            let message = "a supervisor that is gone for good once it gives up";
            let help = "leave `restart` out, unless it has `auto_shutdown`";
            self.say("W406", s.place, "restart", path, message, help);
        }
    }

    /// Ids: unique in the supervisor, and in the tree, because children are addressed by them.
    fn ids(&mut self, s: &SupervisorSpec, path: &str) {
        let mut here = BTreeSet::new();
        for child in &s.children {
            let (id, below) = (child.id(), format!("{path}/{}", child.id()));
            if id.is_empty() {
                continue;
            }
            if !here.insert(id) {
                let message = format!("\"{id}\" is already a child of \"{}\"", s.id);
                self.say("E101", child.place(), "id", &below, &message, "rename one of them");
                continue;
            }
            // A template is never addressed: its children are `SUPERVISOR/NAME`.
            if s.strategy == Strategy::SimpleOneForOne {
                continue;
            }
            if let Some(first) = self.names.get(id).cloned() {
                let message = format!("the name \"{id}\" is already borne by {first}");
                let help = "children are addressed by their id, wherever they stand";
                self.say("E102", child.place(), "id", &below, &message, help);
            } else {
                self.names.insert(id.to_owned(), below);
            }
        }
    }

    /// Backoff so long that a child in a crash loop never reaches its supervisor's intensity.
    fn delays(&mut self, s: &SupervisorSpec, child: &Node, path: &str) {
        let spec = child.child_spec();
        let Some(backoff) = spec.backoff else { return };
        if spec.restart == Restart::Temporary {
            return;
        }
        let first = match backoff.first {
            First::Immediate => 0.0,
            First::Ms(ms) => millis(ms),
        };
        let (mut delay, mut all) = (millis(backoff.min_ms), first);
        for _ in 1..s.intensity.min(MANY_RESTARTS) {
            all += delay.min(millis(backoff.max_ms));
            delay *= backoff.factor;
        }
        if s.intensity > 0 && all * (1.0 - backoff.jitter) > millis(s.period_ms) {
            let message = format!(
                "with this backoff {} restarts take longer than the period of \"{}\": \
                 a crash loop never escalates",
                s.intensity, s.id
            );
            let help = "lengthen the supervisor's `period`, or lower `intensity` or `max`";
            self.say("W416", child.place(), "backoff", path, &message, help);
        }
    }

    /// What a child says that its supervisor makes wrong or doubtful.
    fn child(&mut self, s: &SupervisorSpec, child: &Node, path: &str) {
        let place = child.place();
        if child.significant() && child.restart() == Restart::Permanent {
            let message = "a Permanent child cannot be significant";
            let help = "it never ends for good; make it Transient or Temporary";
            self.say("E106", place, "significant", path, message, help);
        } else if child.significant() && s.auto_shutdown == AutoShutdown::Never {
            let message = format!("significant, but \"{}\" has no `auto_shutdown`", s.id);
            let help = "give the supervisor `auto_shutdown: AnySignificant`";
            self.say("E105", place, "significant", path, &message, help);
        }
        self.delays(s, child, path);
        let worker = !matches!(child, Node::Supervisor(_));
        if worker && child.shutdown() == Shutdown::Infinity {
            let message = "`shutdown: Infinity` on a worker: one that hangs blocks the stop";
            self.say("W410", place, "shutdown", path, message, "use Timeout(\"5s\")");
        }
        if s.strategy == Strategy::OneForAll && child.restart() == Restart::Temporary {
            let message = "a Temporary child under OneForAll is gone after the first restart";
            let help = "as in OTP: a group restart does not bring it back";
            self.say("W415", place, "restart", path, message, help);
        }
        if let Node::Agent(agent) = child
            && agent.charge == Charge::Exit
            && agent.restart != Restart::Temporary
            && agent.max_attempts > s.intensity
            && s.intensity > 0
        {
            let message = format!(
                "one poison message is tried {} times, \"{}\" allows {} restarts",
                agent.max_attempts, s.id, s.intensity
            );
            let help = "raise `intensity`, lower `max_attempts`, or use `charge: Letter`";
            self.say("W425", place, "max_attempts", path, &message, help);
        }
    }
}
