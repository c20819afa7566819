//! How a ledger is opened, and why it may refuse to.

use std::path::PathBuf;
use std::sync::Arc;

/// What "durable" means for accepted messages and ended turns (the head of the turn rules).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Fsynced: survives a loss of power.
    #[default]
    Power,
    /// Written: survives a kill of the process; a loss of power may take the last moments. Intents
    /// and the results of Once calls are fsynced all the same (rule C2).
    Process,
}

/// The default of [`Options::size_limit_bytes`]: 8 GiB, what a small machine can spare and a copy
/// takes a minute for.
pub const SIZE_LIMIT_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// A clock: Unix milliseconds. For what the ledger does on its own: forgetting old keys, stamping
/// letters of a removal.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How to open a ledger.
#[derive(Clone)]
pub struct Options {
    /// The data directory; made with mode 0700 if absent.
    pub dir: PathBuf,
    /// What durable means.
    pub durability: Durability,
    /// Bytes of live data at which new messages are refused (rule A5); see [`SIZE_LIMIT_BYTES`].
    pub size_limit_bytes: u64,
    /// Bytes that the file never exceeds, whatever is in flight: what would grow it is refused as a
    /// full disk (rule J3). `None`: only the disk is the bound.
    pub hard_limit_bytes: Option<u64>,
    /// Turns of each agent that are kept to be looked at after its brain has them durably (rule E6).
    pub keep_turns: u64,
    /// The clock.
    pub clock: Clock,
    /// Whether a ledger that is missing or empty is an error, and not made anew: the directory holds what only its ledger knows, and
    /// a new one would count lives from the first again (rule E3).
    pub must_be_there: bool,
    /// Whose ledger it is to be, which is noted in it. `None`: whoever asks looks after one agent, and not after a fleet.
    pub fleet: Option<FleetName>,
}

/// The name of a fleet, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetName {
    /// The name.
    pub name: String,
    /// Whether it had another one before. Otherwise a ledger of another fleet is refused: its agents would be removed, for this
    /// fleet's file does not name them.
    pub renamed: bool,
}

impl Options {
    /// The defaults for a data directory: `Power`, 8 GiB, no turns kept longer than needed, the machine's clock, made if
    /// it is not there.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Power,
            size_limit_bytes: SIZE_LIMIT_BYTES,
            hard_limit_bytes: None,
            keep_turns: 0,
            clock: Arc::new(crate::clock::unix_ms),
            must_be_there: false,
            fleet: None,
        }
    }
}

/// Why a ledger was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process holds the data directory (rule J4).
    #[error("{} is in use by process {pid}: one process per data directory", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The other process; 0 when it has not said.
        pid: u32,
    },
    /// A newer loket wrote the file.
    #[error(
        "{} has format {found}; this loket knows formats up to {known}: use the newer loket",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its `user_version`.
        found: u32,
        /// The newest one known here.
        known: u32,
    },
    /// The file is an SQLite database, but no ledger.
    #[error("{} is not a ledger of loket", file.display())]
    NotALedger {
        /// The file.
        file: PathBuf,
    },
    /// It had to be there ([`Options::must_be_there`]), and there is none, or an empty file.
    #[error(
        "{} is missing or empty, but there are brains that only their ledger knows: put it back from a backup; to begin anew on \
         purpose, start with another --data, or move brains/ away",
        file.display()
    )]
    Lost {
        /// The file.
        file: PathBuf,
    },
    /// It is another fleet's ([`Options::fleet`]).
    #[error(
        "{} is of the fleet {found:?}, and this is {asked:?}: its agents would be removed. Use another --data, or say --renamed if \
         the fleet has this name from now on",
        dir.display()
    )]
    OtherFleet {
        /// The data directory.
        dir: PathBuf,
        /// Whose it is.
        found: String,
        /// Who asks.
        asked: String,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An fsync failed: what was to be on the disk is not known to be there (rule J2).
    #[error("{}: not synced: {source}", path.display())]
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused: damaged file, no space.
    #[error("{}: {reason}", file.display())]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

impl OpenError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "L101",
            Self::Newer { .. } => "L102",
            Self::NotALedger { .. } => "L103",
            Self::Io { .. } | Self::Sync { .. } => "L104",
            Self::Sqlite { .. } => "L105",
            Self::Lost { .. } => "L106",
            Self::OtherFleet { .. } => "L107",
        }
    }
}
