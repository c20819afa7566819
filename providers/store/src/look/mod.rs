//! Looking into brains and the ledger with SQL, from outside of turns: for operators, whether the fleet runs or not.
//!
//! What is asked may only read: the files are opened read-only, and an authorizer refuses whatever is no reading (`guard.rs`). Time,
//! memory and the answer are bounded. No guest ever gets here. Start reading at [`query_brain`] and [`query_fleet`].

mod answer;
mod fleet;
mod guard;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Cell};
pub use fleet::{Places, query_fleet};

use crate::brain::BrainFiles;
use loket_turn::{AgentName, Epoch, Life, TurnNo};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Rows of one answer at most: what a program reads in a moment. A statement with `LIMIT` and `OFFSET` gets the next ones.
pub const ROWS_MAX: usize = 100_000;

/// Bytes of one answer at most: with [`ROWS_MAX`] it bounds the memory of whoever asks.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of a statement: several pages of SQL.
pub const SQL_BYTES_MAX: usize = 64 * 1024;

/// Whose brain is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The agent.
    pub agent: AgentName,
    /// Its life (rule E3).
    pub life: Life,
    /// The epoch of its file (rule E7).
    pub epoch: Epoch,
    /// The last turn that the ledger knows to be on the disk in it (rule E6).
    pub durable: TurnNo,
}

impl Whose {
    /// The brain's file; `None` while it is not made yet.
    fn file(&self, files: &BrainFiles) -> Result<Option<PathBuf>, QueryError> {
        let file = files.path(self.life, self.epoch);
        match (file.exists(), self.durable) {
            (true, _) => Ok(Some(file)),
            (false, TurnNo(0)) => Ok(None),
            (false, durable) => Err(QueryError::Gone { agent: self.agent.clone(), file, durable }),
        }
    }
}

/// What a question may use.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long it may take in all.
    pub time: Duration,
    /// Rows of the answer, [`ROWS_MAX`] at most.
    pub rows: usize,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// It would do more than read.
    #[error("only statements that read are allowed, one at a time: {0}")]
    NotAllowed(String),
    /// SQLite does not understand it.
    #[error("{0}")]
    Sql(String),
    /// It took too long.
    #[error("not answered within {} s: narrow the question, or give it more with --timeout", .0.as_secs_f64())]
    TimeOut(Duration),
    /// It needs more than it may have.
    #[error("{what} is larger than {limit} bytes: {help}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit, bytes.
        limit: usize,
        /// What to do.
        help: &'static str,
    },
    /// The machine has no thread for it.
    #[error("no thread for the question: {0}")]
    NoThread(String),
    /// The agent has no brain yet.
    #[error("{0} has no brain yet: it is made with its first turn")]
    NoBrain(AgentName),
    /// The file of a brain that was on the disk is not there.
    #[error("the brain of {agent} is gone: {} held its turns up to {durable}; put the file back, or have it made anew: \
             `loket brain {agent} restore`", file.display())]
    Gone {
        /// Whose.
        agent: AgentName,
        /// Which.
        file: PathBuf,
        /// The last turn that was on the disk.
        durable: TurnNo,
    },
    /// A file cannot be read.
    #[error("{}: {reason}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

impl QueryError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "Q001",
            Self::Sql(_) => "Q002",
            Self::TimeOut(_) => "Q003",
            Self::TooLarge { .. } => "Q004",
            Self::NoBrain(_) => "Q005",
            Self::NoThread(_) => "Q008",
            Self::Unreadable { .. } => "Q006",
            Self::Gone { .. } => "Q007",
        }
    }

    /// Of a statement that SQLite did not carry out.
    fn of(error: &rusqlite::Error, time: Duration) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::TimeOut(time),
            Some(ErrorCode::AuthorizationForStatementDenied) => Self::NotAllowed(error.to_string()),
            Some(ErrorCode::ReadOnly) => Self::NotAllowed(error.to_string()),
            Some(ErrorCode::TooBig | ErrorCode::OutOfMemory) => Self::TooLarge {
                what: "a value",
                limit: guard::VALUE_BYTES_MAX,
                help: "ask for a part of it",
            },
            // A function that is denied has no error code of its own.
            _ if error.to_string().starts_with("not authorized") => {
                Self::NotAllowed(error.to_string())
            }
            _ => Self::Sql(error.to_string()),
        }
    }
}

/// How much longer than its time a question is waited for: SQLite looks at the clock between two steps, and stops by itself.
const GRACE: Duration = Duration::from_millis(500);

/// Asks on a thread of its own, and waits no longer than the time for it: one step of SQLite's can be a function over megabytes, which
/// nothing interrupts. The thread then ends with the process, or when the function does.
fn in_time<F>(time: Duration, ask: F) -> Result<Answer, QueryError>
where
    F: FnOnce() -> Result<Answer, QueryError> + Send + 'static,
{
    let (tell, told) = crossbeam_channel::bounded(1);
    let asker = move || drop(tell.send(ask()));
    let made = std::thread::Builder::new().name("loket-question".to_owned()).spawn(asker);
    made.map_err(|error| QueryError::NoThread(error.to_string()))?;
    told.recv_timeout(time.saturating_add(GRACE)).unwrap_or(Err(QueryError::TimeOut(time)))
}

/// Answers a question about one brain. Blocks; never on a lane.
///
/// # Errors
/// [`QueryError`].
pub fn query_brain(
    data: &Path,
    whose: &Whose,
    sql: &str,
    bounds: Bounds,
) -> Result<Answer, QueryError> {
    let Some(file) = whose.file(&BrainFiles::new(data))? else {
        return Err(QueryError::NoBrain(whose.agent.clone()));
    };
    let sql = sql.to_owned();
    in_time(bounds.time, move || ask_file(&file, &sql, bounds))
}

fn ask_file(file: &Path, sql: &str, bounds: Bounds) -> Result<Answer, QueryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(file, flags);
    let opened = opened.and_then(|conn| guard::prepare(&conn).map(|()| conn));
    let mut conn = opened.map_err(|error| unreadable(file, &error))?;
    let until = crate::wait::Deadline::after(bounds.time);
    guard::close(&mut conn, until).map_err(|error| unreadable(file, &error))?;
    answer::ask(&conn, sql, bounds)
}

fn unreadable(file: &Path, error: &rusqlite::Error) -> QueryError {
    QueryError::Unreadable { file: file.to_owned(), reason: error.to_string() }
}
