//! Supervisor and progress reports, with OTP's fields.

use serde::{Deserialize, Serialize};

use super::event::Now;
use super::exit::Exit;
use super::spec::{ChildId, Kind, Restart, Shutdown};

/// What a report is about: OTP's errorContext, or progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Context {
    /// A child failed to start. Also when a caller asked for the start, beyond OTP: `dynamic` then.
    StartError,
    /// A child exited, and that is worth a report.
    ChildTerminated,
    /// The supervisor gives up: `reached_max_restart_intensity`.
    Shutdown,
    /// A child that was stopped ended otherwise than by shutdown.
    ShutdownError,
    /// A child was started.
    Progress,
    /// A caller had a child stopped, or its pending restart cancelled (no reason then); with
    /// `because`, a temporary child was stopped with its group. Beyond OTP.
    Stopped,
    /// A rule says `End` of the exit that was reported just before: the child is not started again;
    /// beyond OTP.
    EndedByRule,
    /// The supervisor ends by `auto_shutdown`, since its significant child, the offender, has ended;
    /// beyond OTP.
    AutoShutdown,
    /// A child is busy with one piece of work for longer than its `soft` bound; beyond OTP.
    Slow,
}

/// The child a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offender {
    /// Which child.
    pub id: ChildId,
    /// Which life; `None` before its first.
    pub incarnation: Option<u64>,
    /// Its restart type.
    pub restart: Restart,
    /// Whether it is significant.
    pub significant: bool,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub kind: Kind,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// About what.
    pub context: Context,
    /// Why; `None` for progress. For `Shutdown` the `Exit::Escalated`, whatever the supervisor's
    /// own exit reason.
    pub reason: Option<Exit>,
    /// About whom.
    pub offender: Offender,
    /// Whether a caller asked for the start (OTP logs progress of dynamic starts at debug level only).
    pub dynamic: bool,
    /// The child whose restart this is part of, itself or one of its group; `None` for what no
    /// restart has done, and in reports that were kept before there was this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<ChildId>,
    /// When.
    pub at: Now,
}
