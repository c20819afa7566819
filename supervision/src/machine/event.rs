//! What goes into the machine and what comes out: events, orders, calls, answers, timers.
//!
//! Data only. The runtime maps each [`Order`] to a deed and reports its outcome as an [`Event`].

use serde::{Deserialize, Serialize};

use super::exit::Exit;
use super::report::Report;
use super::spec::{ChildId, ChildSpec, Flags, SpecError};
use super::view::{ChildView, Counts};

/// Milliseconds of a clock that never runs backwards, since an origin of the caller's choice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
pub struct Now(pub u64);

impl Now {
    /// This much later; stops at the end of time.
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; 0 if that is later.
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TimerKind {
    /// Restart the child: its backoff elapsed, or its restart failed and is tried again.
    Retry,
    /// The start has taken too long.
    StartTimeout,
    /// The child was asked to stop and has not.
    Shutdown,
}

/// A timer. It counts only while the child is still in the state that set it, which `epoch`
/// identifies; so the runtime need not cancel timers, and a late one cannot restart or kill
/// anybody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timer {
    /// Whose.
    pub id: ChildId,
    /// Of which life (the one that ended, for `Retry`).
    pub incarnation: u64,
    /// Unique within the supervisor.
    pub epoch: u64,
    /// What for.
    pub kind: TimerKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Start all children. Once, first.
    Start,
    /// The child is up.
    Started {
        /// Whose start.
        id: ChildId,
        /// Of which life.
        incarnation: u64,
    },
    /// The child chose not to run: OTP `ignore`.
    Ignored {
        /// Whose start.
        id: ChildId,
        /// Of which life.
        incarnation: u64,
    },
    /// The child could not start. It is gone; no `Exited` follows.
    StartFailed {
        /// Whose start.
        id: ChildId,
        /// Of which life.
        incarnation: u64,
        /// Why.
        reason: Exit,
    },
    /// The child is gone, by itself or because it was stopped. Exactly once per life that was
    /// started.
    Exited {
        /// Who.
        id: ChildId,
        /// Which life.
        incarnation: u64,
        /// Why.
        reason: Exit,
    },
    /// A timer set by an order has come. Post it behind the events that are already waiting.
    Timer(Timer),
    /// A call of the API. Answered by an `Order::Reply` with the same tag, now or in a later step.
    Call {
        /// Comes back in the reply.
        tag: u64,
        /// What is asked.
        call: Call,
    },
    /// The child makes no progress; only reported.
    Slow {
        /// Who.
        id: ChildId,
        /// Which life.
        incarnation: u64,
    },
    /// A message of this child became a dead letter; charged under `Charge::Letter`, else without
    /// effect.
    Letter {
        /// Whose message.
        id: ChildId,
    },
    /// The parent asks the supervisor to end with this reason. Acts at once, even amid a start or
    /// restart.
    Stop {
        /// Comes back in `Order::Exit`.
        reason: Exit,
    },
}

/// What the runtime must do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Start the child; answer with `Started`, `Ignored` or `StartFailed`.
    Start {
        /// Which child.
        id: ChildId,
        /// Its new life.
        incarnation: u64,
    },
    /// Ask the child to shut down; answer with `Exited`. It may also still be starting; then
    /// `Ignored` or `StartFailed` answer as well.
    Stop {
        /// Which child.
        id: ChildId,
        /// Which life.
        incarnation: u64,
    },
    /// Kill the child; answer with `Exited` (or `StartFailed`, if it was starting).
    Kill {
        /// Which child.
        id: ChildId,
        /// Which life.
        incarnation: u64,
    },
    /// Bring back `Event::Timer(timer)` when `at` has come; if it has already, behind the waiting
    /// events.
    SetTimer {
        /// Comes back unchanged.
        timer: Timer,
        /// When.
        at: Now,
    },
    /// Answer the call with this tag.
    Reply {
        /// Of the call.
        tag: u64,
        /// What to say.
        answer: Answer,
    },
    /// Log and keep.
    Report(Report),
    /// All children are up: OTP's `start_link` returns.
    Up,
    /// The supervisor has ended; no child is left. Before `Up`, this is a failed start.
    Exit {
        /// Why.
        reason: Exit,
    },
}

/// Flags and specs to replace those of a running supervisor (OTP's code change): specs are replaced
/// by id, new ones are not started, removed ones are kept, running children keep running.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The new flags.
    pub flags: Flags,
    /// The new specs, in the new start order; those not named follow.
    pub children: Vec<ChildSpec>,
}

/// The API of a supervisor.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Start a new child, last in start order. Under SimpleOneForOne an instance: only the spec's
    /// id is used.
    StartChild(ChildSpec),
    /// Stop a child. Its spec stays, unless it is temporary or an instance.
    TerminateChild(ChildId),
    /// Stop this life of a child, as OTP's `terminate_child` by pid: an earlier life is gone already,
    /// which is what was asked for; one that there never was is not found. The life that ended last
    /// means a child that is being restarted, too.
    TerminateLife {
        /// Whose.
        id: ChildId,
        /// Which life.
        incarnation: u64,
    },
    /// Start a child that is not running.
    RestartChild(ChildId),
    /// Forget the spec of a child that is not running.
    DeleteChild(ChildId),
    /// All children, newest first.
    WhichChildren,
    /// OTP's four numbers.
    CountChildren,
    /// The spec of a child.
    GetChildSpec(ChildId),
    /// One child.
    WhichChild(ChildId),
    /// Code change.
    Change(Change),
    /// End the supervisor with reason `normal` (OTP 29 `stop/1`); answered when it has ended.
    Stop,
}

/// The answer of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Done.
    Done,
    /// Started; `None` when the child chose not to run (OTP `{ok, undefined}`).
    Started(Option<u64>),
    /// All children, newest first.
    Children(Vec<ChildView>),
    /// The four numbers.
    Counts(Counts),
    /// One spec.
    Spec(ChildSpec),
    /// One child.
    Child(ChildView),
    /// Not done.
    Error(ApiError),
}

/// Why a call was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No such child.
    #[error("no such child")]
    NotFound,
    /// The child is running.
    #[error("the child is running")]
    Running,
    /// The child is being restarted.
    #[error("the child is being restarted; to start it at once, terminate it and restart it")]
    Restarting,
    /// `StartChild` of an id that runs.
    #[error("the child is already started, incarnation {0}")]
    AlreadyStarted(u64),
    /// `StartChild` of an id whose spec is there, but which does not run.
    #[error("a child of that id is already present")]
    AlreadyPresent,
    /// The call makes no sense for dynamic instances.
    #[error("not possible under SimpleOneForOne")]
    SimpleOneForOne,
    /// The start failed; no retry.
    #[error("start failed: {0}")]
    StartFailed(Exit),
    /// The spec or the flags are refused; nothing was changed.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// `max_children` is reached.
    #[error("the supervisor has its {0} children already")]
    MaxChildren(u32),
    /// Too many calls are waiting for a start or stop to end.
    #[error("{0} calls are waiting already")]
    Busy(usize),
    /// The supervisor is ending.
    #[error("the supervisor is stopping")]
    Stopping,
    /// The supervisor has ended.
    #[error("the supervisor has ended")]
    NoProc,
}

impl ApiError {
    /// A stable code, in OTP's words where OTP has one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::AlreadyStarted(_) => "already_started",
            Self::AlreadyPresent => "already_present",
            Self::SimpleOneForOne => "simple_one_for_one",
            Self::StartFailed(_) => "start_failed",
            Self::Spec(error) => error.code(),
            Self::MaxChildren(_) => "max_children",
            Self::Busy(_) => "busy",
            Self::Stopping => "stopping",
            Self::NoProc => "noproc",
        }
    }
}
