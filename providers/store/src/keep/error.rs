//! Why a file of a brain was not copied, made or taken.

use crate::brain::OpenError;
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// Why a file of a brain was not copied, made or taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// There is none.
    #[error("{} is not there", file.display())]
    Gone {
        /// Which.
        file: PathBuf,
    },
    /// It is a pipe, a device or a folder: opening it may wait for ever.
    #[error("{} is not a regular file", file.display())]
    NotAFile {
        /// Which.
        file: PathBuf,
    },
    /// It would be written over.
    #[error("{} is there already: name another file", file.display())]
    Exists {
        /// Which.
        file: PathBuf,
    },
    /// It is a brain by its head, but not in what it holds.
    #[error("{} cannot become a brain: {reason}", file.display())]
    NotWhole {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It is an agent's brain, and damaged: no copy of it is kept.
    #[error(
        "{} is damaged, and a copy of it would be: {reason}. `loket quarantine resolve AGENT --restore` makes it anew",
        file.display()
    )]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Others write to it without a pause.
    #[error("{} is in use; try again", file.display())]
    Busy {
        /// Which.
        file: PathBuf,
    },
    /// It is no brain that this loket reads.
    #[error("{}: {reason}", file.display())]
    Unusable {
        /// Which.
        file: PathBuf,
        /// The code of why.
        code: &'static str,
        /// Why.
        reason: String,
    },
    /// The file system refused.
    #[error("{}: {source}", file.display())]
    Io {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("{}: {source}", file.display())]
    Sqlite {
        /// Which.
        file: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

impl KeepError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "S008",
            Self::Exists { .. } => "S009",
            Self::NotWhole { .. } => "S010",
            Self::Busy { .. } => "S011",
            Self::NotAFile { .. } => "S012",
            Self::Damaged { .. } => "S013",
            Self::Unusable { code, .. } => code,
            Self::Io { .. } => "S006",
            Self::Sqlite { .. } => "S007",
        }
    }

    /// That a copy is not whole, said of the brain that it is a copy of.
    pub(super) fn of_brain(self, brain: &Path) -> Self {
        let file = brain.to_owned();
        match self {
            Self::NotWhole { reason, .. } => Self::Damaged { file, reason },
            Self::Sqlite { source, .. } if is_damage(&source) => {
                Self::Damaged { file, reason: source.to_string() }
            }
            other => other,
        }
    }

    pub(super) fn io(file: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { file, source }
    }

    pub(super) fn sqlite(file: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Sqlite { file, source }
    }

    pub(super) fn open(file: &Path, error: &OpenError) -> Self {
        Self::Unusable { file: file.to_owned(), code: error.code(), reason: error.to_string() }
    }
}
