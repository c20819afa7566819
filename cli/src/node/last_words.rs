//! Why a fleet has ended by itself, in one sentence: the child that all began with first, then who gave up because of it.
//!
//! Words only; the exit says what happened. Start reading at [`ended`].

use crate::exit::{self, CliError};
use loket_supervision::machine::{ChildId, Exit};

/// The error of a tree that ended by itself.
pub(super) fn ended(exit: &Exit) -> CliError {
    if *exit == Exit::Hung {
        let text = "more threads are stuck than `quarantine` allows; what was accepted stays, start it again to go on";
        return CliError::new("C014", exit::STUCK, text);
    }
    let why = of(exit);
    let text =
        format!("the fleet gave up: {why}; what was accepted stays, start it again to go on");
    CliError::new("C012", exit::GAVE_UP, text)
}

/// The sentence, without its end.
fn of(exit: &Exit) -> String {
    let (mut at, mut above) = (exit, Vec::new());
    while let Some((child, below)) = supervisor_of(at) {
        above.push(child);
        at = below;
    }
    let so = above.iter().rev().map(|name| format!(", so {name} gave up")).collect::<String>();
    let what = match at {
        Exit::Escalated { child, reason, by_rule: true, .. } => {
            format!("{child} ended ({reason}), of which a rule says Escalate")
        }
        Exit::Escalated { child, reason, intensity, period_ms, .. } => {
            let (restarts, time) = (counted(*intensity), seconds(*period_ms));
            format!("{child} needed more than {restarts} in {time} s (its last exit: {reason})")
        }
        other => other.to_string(),
    };
    what + &so
}

/// The child whose end was one too many, when it is a supervisor that gave up or failed to start itself; and its own exit.
fn supervisor_of(exit: &Exit) -> Option<(&ChildId, &Exit)> {
    let (Exit::Escalated { child, reason, .. } | Exit::FailedToStart { child, reason }) = exit
    else {
        return None;
    };
    let below = matches!(**reason, Exit::Escalated { .. } | Exit::FailedToStart { .. });
    below.then_some((child, &**reason))
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
    use super::*;

    fn gave_up(child: &str, reason: Exit, intensity: u32, by_rule: bool) -> Exit {
        let reason = Box::new(reason);
        Exit::Escalated { child: child.into(), reason, intensity, period_ms: 5_000, by_rule }
    }

    #[test]
    fn the_first_cause_comes_first_and_is_said_once() {
        let a = gave_up("a", Exit::Killed, 1, false);
        let root = gave_up("root", a, 0, false);
        assert_eq!(
            of(&root),
            "a needed more than 1 restart in 5 s (its last exit: killed), so root gave up"
        );
        let nested = gave_up(
            "root",
            gave_up("group", gave_up("a", Exit::Hung, 0, true), 3, false),
            0,
            false,
        );
        assert_eq!(
            of(&nested),
            "a ended (hung), of which a rule says Escalate, so group gave up, so root gave up"
        );
        let failed = |child: &str, reason| Exit::FailedToStart {
            child: child.into(),
            reason: Box::new(reason),
        };
        assert_eq!(
            of(&failed("root", failed("web", Exit::StartTimeout))),
            "web failed to start: start_timeout, so root gave up"
        );
        assert_eq!(of(&Exit::StartTimeout), "start_timeout");
    }
}
