//! What else than a restart may follow from an exit that would be restarted: rules by blame and
//! cause.
//!
//! Data, and the choice of the first rule that fits. Without rules everything is as in OTP.

use serde::{Deserialize, Serialize};

use super::exit::{Blame, Cause, Exit};

/// What follows from an exit, or a failed restart, of a child that would be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Action {
    /// Restart it, as OTP.
    #[default]
    Restart,
    /// Leave it ended, as if it had ended by itself: for what no restart can mend. Its siblings
    /// live on; a significant child counts for `auto_shutdown`; `restart_child` brings it back.
    End,
    /// Give up at once, whatever budget is left.
    Escalate,
}

/// An action for exits of this blame and cause; `None` fits any, even an exit that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Whose fault it must be, looked up through escalations.
    pub blame: Option<Blame>,
    /// What must have happened, the exit itself or what it came of ([`Exit::has_cause`]).
    pub cause: Option<Cause>,
    /// What follows.
    pub action: Action,
}

impl Rule {
    fn fits(&self, reason: &Exit) -> bool {
        self.blame.is_none_or(|blame| reason.blame() == Some(blame))
            && self.cause.is_none_or(|cause| reason.has_cause(cause))
    }

    /// Whether every exit that fits `later` fits this rule as well: after it, `later` is never
    /// asked.
    pub fn covers(&self, later: &Self) -> bool {
        self.blame.is_none_or(|blame| later.blame == Some(blame))
            && self.cause.is_none_or(|cause| later.cause == Some(cause))
    }

    /// Whether one of these rules names this exit, by blame or cause: what would be waited out is
    /// to be told to the supervisor then.
    pub fn named(rules: &[Self], reason: &Exit) -> bool {
        let names = |rule: &Self| rule.blame.is_some() || rule.cause.is_some();
        rules.iter().any(|rule| names(rule) && rule.fits(reason))
    }
}

/// The action of the first rule that fits.
pub(super) fn action(rules: &[Rule], reason: &Exit) -> Action {
    let first = rules.iter().find(|rule| rule.fits(reason));
    first.map_or(Action::Restart, |rule| rule.action)
}
