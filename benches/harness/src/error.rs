//! Why a benchmark gave no figures.

use loket_outside::OutsideError;

/// Why a benchmark gave no figures. A figure that is not certain is not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// What is measured could not be set up: no room, no thread, no ledger.
    #[error("the benchmark could not be set up: {0}")]
    Setup(String),
    /// A call or a turn did not come out as it must.
    #[error("a measured {what} went wrong: {why}")]
    Went {
        /// `call` or `turn`.
        what: &'static str,
        /// How.
        why: String,
    },
    /// Nothing came back for so long, seconds.
    #[error("nothing came back for {0} s: the machine is overloaded, or the node is stuck")]
    Silent(u64),
    /// A fleet that is measured from outside did not do as it must.
    #[error("the measured fleet: {0}")]
    Fleet(#[from] OutsideError),
    /// The counters of kernel and provider do not agree with the calls made.
    #[error(
        "{tier}: {calls} calls were made, the kernel admitted {admitted}, the provider answered {answered}"
    )]
    Proof {
        /// Which tier.
        tier: &'static str,
        /// Calls made.
        calls: u64,
        /// Calls that the kernel admitted meanwhile.
        admitted: u64,
        /// Calls that the provider answered meanwhile.
        answered: u64,
    },
}

impl BenchError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup(_) => "bench_setup",
            Self::Went { .. } => "bench_went",
            Self::Silent(_) => "bench_silent",
            Self::Fleet(_) => "bench_fleet",
            Self::Proof { .. } => "bench_proof",
        }
    }

    pub(crate) fn setup(error: impl std::fmt::Display) -> Self {
        Self::Setup(error.to_string())
    }

    pub(crate) fn fleet(error: impl std::fmt::Display) -> Self {
        Self::Fleet(OutsideError::new(error))
    }

    pub(crate) fn call(why: impl Into<String>) -> Self {
        Self::Went { what: "call", why: why.into() }
    }

    pub(crate) fn turn(why: impl Into<String>) -> Self {
        Self::Went { what: "turn", why: why.into() }
    }
}
