//! What a supervisor and its children are told: OTP's flags and child specs, with OTP's defaults.
//!
//! Data only. The rules that refuse a combination are in `check`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::policy::Rule;

/// A child's id, unique within its supervisor. Under [`Strategy::SimpleOneForOne`] the name of an
/// instance, which stands for OTP's pid.
pub type ChildId = Arc<str>;

/// Which children are restarted when one exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Strategy {
    /// Only the one that exited.
    #[default]
    OneForOne,
    /// All of them.
    OneForAll,
    /// The one that exited and all that start after it.
    RestForOne,
    /// Dynamic instances of one template, each restarted alone.
    SimpleOneForOne,
}

/// When an exit leads to a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Unless the exit is orderly ([`crate::machine::Exit::is_orderly`]).
    Transient,
    /// Never; the spec goes with the child.
    Temporary,
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shutdown {
    /// Killed at once.
    BrutalKill,
    /// Asked, then killed after this many milliseconds.
    Timeout(u64),
    /// Asked, and waited for without end.
    Infinity,
}

/// What a child is; decides OTP's default [`Shutdown`] and how it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    /// Anything that has no children.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}

/// Whether the end of significant children ends the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AutoShutdown {
    /// Never.
    #[default]
    Never,
    /// When any significant child ends by itself.
    AnySignificant,
    /// When the last significant child ends by itself.
    AllSignificant,
}

/// The clock of the restart intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Window {
    /// Milliseconds: a restart counts for exactly `period`.
    #[default]
    Exact,
    /// OTP's whole seconds: both stamps are floored, so a restart counts for between `period` and
    /// `period` + 1 s.
    OtpSeconds,
}

/// The exit reason of a supervisor that gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Escalation {
    /// [`crate::machine::Exit::Escalated`], which is abnormal: a transient supervisor cannot vanish
    /// in silence.
    #[default]
    Distinct,
    /// Plain `shutdown`, as OTP.
    AsOtp,
}

/// How several children are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Stop {
    /// One after another in reverse start order, as OTP. Costs the sum of their shutdown times.
    #[default]
    Sequential,
    /// All are asked at once (in reverse start order). Costs the longest shutdown time. Always so
    /// under [`Strategy::SimpleOneForOne`], as in OTP.
    Parallel,
}

/// What a restart is charged for (rule G5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Charge {
    /// Each exit that leads to a restart, as OTP.
    #[default]
    Exit,
    /// Each [`crate::machine::Event::Letter`] instead. Failed starts are charged all the same.
    Letter,
}

/// At most `intensity` restarts within `period_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Restarts allowed within the period.
    pub intensity: u32,
    /// Length of the window in milliseconds; not 0.
    pub period_ms: u64,
}

/// The delay before the first restart after a healthy time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum First {
    /// At once, as OTP.
    #[default]
    Immediate,
    /// After this many milliseconds.
    Ms(u64),
}

/// Delays between restarts. The first is `first`; the one after n more failures is
/// `min(max, min * factor^n) * (1 - jitter + 2 * jitter * random)`, never above `max_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// Delay of the first restart.
    pub first: First,
    /// Delay of the second restart, in milliseconds.
    pub min_ms: u64,
    /// No delay is longer, in milliseconds.
    pub max_ms: u64,
    /// Growth per further failure; at least 1.
    pub factor: f64,
    /// Share of the delay that is random, 0 to 1.
    pub jitter: f64,
    /// A child that ran at least this long, in milliseconds, begins again at `first`.
    pub reset_after_ms: u64,
}

/// A supervisor's flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// Which children are restarted together.
    pub strategy: Strategy,
    /// Restarts allowed within `period_ms`.
    pub intensity: u32,
    /// Length of the window in milliseconds; not 0.
    pub period_ms: u64,
    /// Whether significant children end the supervisor.
    pub auto_shutdown: AutoShutdown,
    /// The clock of the window.
    pub window: Window,
    /// Most children at a time that `StartChild` may bring about; `None` is no limit, as OTP.
    pub max_children: Option<u32>,
    /// Exit reason when giving up.
    pub escalation: Escalation,
    /// One after another, or all at once.
    pub stop: Stop,
}

impl Default for Flags {
    /// OTP's defaults: one_for_one, 1 restart in 5 s, never auto shutdown; exact window, distinct
    /// escalation.
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            intensity: 1,
            period_ms: 5_000,
            auto_shutdown: AutoShutdown::default(),
            window: Window::default(),
            max_children: None,
            escalation: Escalation::default(),
            stop: Stop::default(),
        }
    }
}

/// A child's spec, without how to start it: that is the runtime's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildSpec {
    /// Unique within the supervisor.
    pub id: ChildId,
    /// When it is restarted.
    pub restart: Restart,
    /// Whether its end counts for `auto_shutdown`.
    pub significant: bool,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub kind: Kind,
    /// Delays between restarts; `None` restarts at once, as OTP.
    pub backoff: Option<Backoff>,
    /// A start that takes longer, in milliseconds, is killed and has failed; `None` waits without
    /// end, as OTP.
    pub start_timeout_ms: Option<u64>,
    /// A budget of its own, in addition to the supervisor's.
    pub budget: Option<Budget>,
    /// What is charged to the budgets.
    pub charge: Charge,
    /// What else than a restart may follow from its exits, in order of precedence; without any, as
    /// OTP.
    pub rules: Vec<Rule>,
}

impl ChildSpec {
    /// A permanent worker with OTP's defaults (shutdown after 5 s).
    pub fn worker(id: impl Into<ChildId>) -> Self {
        Self {
            id: id.into(),
            restart: Restart::Permanent,
            significant: false,
            shutdown: Shutdown::Timeout(5_000),
            kind: Kind::Worker,
            backoff: None,
            start_timeout_ms: None,
            budget: None,
            charge: Charge::Exit,
            rules: Vec::new(),
        }
    }

    /// A permanent supervisor with OTP's defaults (shutdown without limit).
    pub fn supervisor(id: impl Into<ChildId>) -> Self {
        Self { shutdown: Shutdown::Infinity, kind: Kind::Supervisor, ..Self::worker(id) }
    }
}

/// Why flags or specs were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SpecError {
    /// OTP `invalid_period`.
    #[error("the period must be more than 0 ms, and whole seconds under OtpSeconds; it is {0} ms")]
    InvalidPeriod(u64),
    /// OTP `duplicate_child_name`.
    #[error("two children have the id {0:?}")]
    DuplicateChild(ChildId),
    /// An empty id names nobody.
    #[error("a child has an empty id")]
    EmptyId,
    /// OTP `bad_combination`: significant needs an auto_shutdown.
    #[error("child {0:?} is significant, but auto_shutdown is Never")]
    SignificantNever(ChildId),
    /// OTP `bad_combination`: a permanent child never ends.
    #[error("child {0:?} is significant and Permanent; it can never end by itself")]
    SignificantPermanent(ChildId),
    /// OTP `bad_combination`: simple_one_for_one has no auto_shutdown.
    #[error("auto_shutdown is not possible under SimpleOneForOne")]
    AutoShutdownSimple,
    /// OTP `bad_start_spec`: simple_one_for_one needs exactly one template.
    #[error("SimpleOneForOne needs exactly one child, the template; it has {0}")]
    TemplateCount(usize),
    /// A running supervisor cannot become, or cease to be, SimpleOneForOne.
    #[error("a running supervisor cannot change from or to SimpleOneForOne")]
    SimpleChange,
    /// `max_children` 0 could never start anything.
    #[error("max_children is 0")]
    MaxChildrenZero,
    /// Factor below 1, jitter outside 0 to 1, or min above max.
    #[error("child {0:?}: backoff needs factor >= 1, jitter in 0..=1 and min <= max")]
    InvalidBackoff(ChildId),
    /// A child's own period of 0.
    #[error("child {0:?}: the period of its budget must be more than 0 ms")]
    InvalidBudget(ChildId),
    /// A start timeout of 0 would kill every start.
    #[error("child {0:?}: start_timeout is 0")]
    StartTimeoutZero(ChildId),
}

impl SpecError {
    /// A stable code, in OTP's words where OTP has one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidPeriod(_) => "invalid_period",
            Self::DuplicateChild(_) => "duplicate_child_name",
            Self::EmptyId => "missing_id",
            Self::SignificantNever(_) | Self::SignificantPermanent(_) => "bad_combination",
            Self::AutoShutdownSimple => "bad_combination",
            Self::TemplateCount(_) => "bad_start_spec",
            Self::SimpleChange => "simple_change",
            Self::MaxChildrenZero => "invalid_max_children",
            Self::InvalidBackoff(_) => "invalid_backoff",
            Self::InvalidBudget(_) => "invalid_budget",
            Self::StartTimeoutZero(_) => "invalid_start_timeout",
        }
    }
}
