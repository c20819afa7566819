//! Why a fleet has ended by itself, in one sentence: the child that all began with first, then who gave up because of it.
//!
//! Words only; the exit and what supervisors said of their own ends say what happened. Start reading at [`ended`].

use super::endings::Endings;
use crate::exit::{self, CliError};
use loket_supervision::machine::{Context, Exit};

/// The error of a tree that ended by itself; `top` is its supervisor.
pub(super) fn ended(exit: &Exit, top: &str, endings: &Endings) -> CliError {
    if *exit == Exit::Hung {
        let text = "more threads are stuck than `quarantine` allows; what was accepted stays, start it again to go on";
        return CliError::new("C014", exit::STUCK, text);
    }
    let why = of(exit, top, endings);
    let how = if exit.is_orderly() { "has ended by itself" } else { "gave up" };
    let text = format!("the fleet {how}: {why}; what was accepted stays, start it again to go on");
    CliError::new("C012", exit::GAVE_UP, text)
}

/// Whether a tree ended by itself: one that was ordered to says nothing of its end.
pub(super) fn by_itself(exit: &Exit, top: &str, endings: &Endings) -> bool {
    // Only an order kills the top of the tree: `stop --now`.
    let in_order = matches!(exit, Exit::Shutdown | Exit::Normal | Exit::Killed);
    !in_order || endings.of(top).is_some()
}

/// The sentence, without its end.
fn of(exit: &Exit, top: &str, endings: &Endings) -> String {
    let exit = match exit {
        // Killed on its way to the end that it had begun.
        Exit::Killed if endings.of(top).is_some() => &Exit::Shutdown,
        other => other,
    };
    let mut clauses = clauses(exit, top, endings, NESTING_MAX);
    // That the top of the tree ended is what the sentence is about.
    clauses.pop();
    if clauses.is_empty() { exit.to_string() } else { clauses.join(", so ") }
}

/// Deeper than a fleet file can nest.
const NESTING_MAX: usize = 64;

/// Why a supervisor ended with this exit, the first cause first, itself last; nothing for a worker.
fn clauses(exit: &Exit, who: &str, endings: &Endings, depth: usize) -> Vec<String> {
    if depth == 0 {
        return Vec::new();
    }
    let below = |child: &str, reason: &Exit| clauses(reason, child, endings, depth - 1);
    let or = |mut told: Vec<String>, first: String, last: String| {
        if told.is_empty() {
            told.push(first);
        }
        told.push(last);
        told
    };
    let gave_up = format!("{who} gave up");
    match exit {
        Exit::Escalated { child, reason, by_rule: true, .. } => {
            let first = format!("{child} ended ({reason}), of which a rule says Escalate");
            or(below(child, reason), first, gave_up)
        }
        Exit::Escalated { child, reason, intensity, period_ms, .. } => {
            let (restarts, time) = (counted(*intensity), seconds(*period_ms));
            let first = format!(
                "{child} needed more than {restarts} in {time} s (its last exit: {reason})"
            );
            or(below(child, reason), first, gave_up)
        }
        Exit::FailedToStart { child, reason } => {
            or(below(child, reason), format!("{child} failed to start: {reason}"), gave_up)
        }
        Exit::Shutdown => {
            let Some(said) = endings.of(who).map(|row| row.report) else { return Vec::new() };
            let (child, reason) = (&said.offender.id, said.reason.unwrap_or(Exit::NoProc));
            match said.context {
                Context::AutoShutdown => {
                    let first = format!("{child}, a significant child of {who}, ended ({reason})");
                    or(below(child, &reason), first, format!("{who} ended by auto_shutdown"))
                }
                // It gave up, and said `shutdown` of it as OTP does.
                _ => clauses(&reason, who, endings, depth - 1),
            }
        }
        _ => Vec::new(),
    }
}

fn counted(restarts: u32) -> String {
    match restarts {
        1 => "1 restart".to_owned(),
        many => format!("{many} restarts"),
    }
}

fn seconds(ms: u64) -> String {
    match ms % 1_000 {
        0 => (ms / 1_000).to_string(),
        part => format!("{}.{part:03}", ms / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::super::endings::row;
    use super::*;
    use loket_supervision::story::Row;

    fn told(exit: &Exit, rows: &[Row]) -> String {
        let endings = Endings::default();
        rows.iter().for_each(|row| endings.note(row));
        of(exit, "fleet", &endings)
    }

    fn gave_up(child: &str, reason: Exit, intensity: u32, by_rule: bool) -> Exit {
        let reason = Box::new(reason);
        Exit::Escalated { child: child.into(), reason, intensity, period_ms: 5_000, by_rule }
    }

    #[test]
    fn the_first_cause_comes_first_and_is_said_once() {
        let a = gave_up("a", Exit::Killed, 1, false);
        let root = gave_up("root", a, 0, false);
        assert_eq!(
            told(&root, &[]),
            "a needed more than 1 restart in 5 s (its last exit: killed), so root gave up"
        );
        let nested = gave_up(
            "root",
            gave_up("group", gave_up("a", Exit::Hung, 0, true), 3, false),
            0,
            false,
        );
        assert_eq!(
            told(&nested, &[]),
            "a ended (hung), of which a rule says Escalate, so group gave up, so root gave up"
        );
        let failed = |child: &str, reason| Exit::FailedToStart {
            child: child.into(),
            reason: Box::new(reason),
        };
        assert_eq!(
            told(&failed("root", failed("web", Exit::StartTimeout)), &[]),
            "web failed to start: start_timeout, so root gave up"
        );
        assert_eq!(told(&Exit::StartTimeout, &[]), "start_timeout");
    }

    #[test]
    fn what_auto_shutdown_ended_is_followed_to_its_first_cause() {
        let auto = Context::AutoShutdown;
        let root = row("root", auto, "x", Exit::Killed);
        let fleet = row("fleet", auto, "root", Exit::Shutdown);
        let rows = [root.clone(), fleet.clone()];
        assert_eq!(
            told(&Exit::Shutdown, &rows),
            "x, a significant child of root, ended (killed), so root ended by auto_shutdown"
        );
        let below = row("sg", auto, "x", Exit::Killed);
        let up = gave_up("root", gave_up("sg", Exit::Shutdown, 1, false), 0, false);
        assert_eq!(
            told(&up, &[below]),
            "x, a significant child of sg, ended (killed), so sg ended by auto_shutdown, so root gave up"
        );
        let as_otp = row("root", Context::Shutdown, "a", gave_up("a", Exit::Killed, 1, false));
        assert_eq!(
            told(&Exit::Shutdown, &[as_otp, fleet.clone()]),
            "a needed more than 1 restart in 5 s (its last exit: killed), so root gave up"
        );
        let endings = Endings::default();
        assert!(!by_itself(&Exit::Shutdown, "fleet", &endings), "it was ordered");
        assert!(by_itself(&Exit::StartTimeout, "fleet", &endings));
        endings.note(&root);
        assert!(!by_itself(&Exit::Shutdown, "fleet", &endings), "the order came first");
        endings.note(&fleet);
        assert!(by_itself(&Exit::Shutdown, "fleet", &endings));
    }
}
