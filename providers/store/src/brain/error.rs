//! Why a brain was not opened, and why a call on one came to nothing.

use loket_renew::RenewError;
use loket_turn::{Epoch, Failure, Life};
use rusqlite::ErrorCode;

/// Why a brain was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// A newer loket wrote the file.
    #[error("its format {found} comes from a newer version of loket; this one knows up to {known}")]
    Newer {
        /// Its `user_version`.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// An SQLite database of something else, or none at all.
    #[error("the file is not a brain of loket")]
    NotABrain,
    /// Rule E3.
    #[error("the file belongs to life {found}, not to life {wanted}")]
    OtherLife {
        /// In the file.
        found: Life,
        /// Asked for.
        wanted: Life,
    },
    /// Rule E7.
    #[error("the file belongs to epoch {found}, not to epoch {wanted}")]
    OtherEpoch {
        /// In the file.
        found: Epoch,
        /// Asked for.
        wanted: Epoch,
    },
    /// Rule E7.
    #[error("the file of epoch {epoch} is gone")]
    Missing {
        /// Which.
        epoch: Epoch,
    },
    /// The file is damaged (rule E5).
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The file system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// An fsync failed (rule J2).
    #[error("not synced: {0}")]
    Sync(RenewError),
    /// SQLite refused: no space, no descriptors, locked.
    #[error("{0}")]
    Sqlite(rusqlite::Error),
}

impl OpenError {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "S001",
            Self::NotABrain => "S002",
            Self::OtherLife { .. } => "S003",
            Self::OtherEpoch { .. } => "S004",
            Self::Damaged(_) => "S005",
            Self::Io(_) | Self::Sync(_) => "S006",
            Self::Sqlite(_) => "S007",
            Self::Missing { .. } => "S008",
        }
    }

    /// Whether it is the machine's fault and may pass (rule F2); everything else is the file's.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Sync(_) | Self::Sqlite(_))
    }

    /// Whether an fsync of the file, or of its directory, failed: it is renewed before it is opened again (rule J2).
    pub(crate) fn is_failed_sync(&self) -> bool {
        match self {
            Self::Sync(_) => true,
            Self::Sqlite(error) => loket_renew::is_failed_sync(error),
            _ => false,
        }
    }
}

impl From<RenewError> for OpenError {
    fn from(error: RenewError) -> Self {
        match error {
            RenewError::Sqlite { source, .. } => source.into(),
            failed @ RenewError::Sync { .. } => Self::Sync(failed),
            other => Self::Io(std::io::Error::other(other)),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged(error.to_string()) } else { Self::Sqlite(error) }
    }
}

/// Whether the file itself is wrong: SQLite says so, or it holds what was never put into it (text that is none, numbers that are too
/// large, values that are no JSON, an index that names a row which is not there).
///
/// What we ask never changes, so a question that makes no sense to SQLite means a table or an index that is not as it was made.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    match error {
        Error::SqliteFailure(code, _) => {
            matches!(code.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                || code.extended_code == rusqlite::ffi::SQLITE_ERROR
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..)
        | Error::SqlInputError { .. }
        | Error::QueryReturnedNoRows => true,
        _ => false,
    }
}

/// What a call on a brain came to when it has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CallError {
    /// An answer to the guest: too large, not well formed. The same on every re-run.
    #[error("{0}")]
    Refused(#[from] Failure),
    /// No answer to the guest: an I/O error or an interrupt (rule C6). The turn ends.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// A refusal that names the limit.
pub(crate) fn too_large(what: &str, found: usize, limit: usize, unit: &str) -> Failure {
    Failure::new("too_large", format!("{what} has {found} {unit}; the limit is {limit} {unit}"))
}
