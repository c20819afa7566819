//! An answer: rows and columns, bounded. What does not fit is said, never left out in silence.

use super::{ANSWER_BYTES_MAX, Bounds, QueryError, ROWS_MAX, SQL_BYTES_MAX};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::{Serialize, Serializer};

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// There are more rows than were asked for.
    pub more: bool,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A text; what is not UTF-8 in it is shown with replacement characters.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Serialize for Cell {
    /// Bytes as a string of hex digits behind `x'`, as SQL writes them.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_none(),
            Self::Integer(n) => to.serialize_i64(*n),
            Self::Real(n) => to.serialize_f64(*n),
            Self::Text(text) => to.serialize_str(text),
            Self::Blob(_) => to.collect_str(self),
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Real(n) => write!(f, "{n:?}"),
            Self::Text(text) => f.write_str(text),
            Self::Blob(bytes) => {
                f.write_str("x'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
        }
    }
}

impl Cell {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(n) => Self::Integer(n),
            ValueRef::Real(n) => Self::Real(n),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    fn bytes(&self) -> usize {
        let own = match self {
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
            _ => 0,
        };
        own + size_of::<Self>()
    }
}

/// Runs one statement on a guarded connection.
pub(super) fn ask(conn: &Connection, sql: &str, bounds: Bounds) -> Result<Answer, QueryError> {
    let failed = |error: rusqlite::Error| QueryError::of(&error, bounds.time);
    if sql.len() > SQL_BYTES_MAX {
        let (what, help) = ("the statement", "write a shorter one");
        return Err(QueryError::TooLarge { what, limit: SQL_BYTES_MAX, help });
    }
    let mut statement = conn.prepare(sql).map_err(|error| match error {
        rusqlite::Error::MultipleStatement => {
            QueryError::NotAllowed("there are several".to_owned())
        }
        other => failed(other),
    })?;
    if !statement.readonly() {
        return Err(QueryError::NotAllowed("this one writes".to_owned()));
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    if columns.is_empty() {
        return Err(QueryError::NotAllowed("this one answers nothing".to_owned()));
    }
    let limit = bounds.rows.min(ROWS_MAX);
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let mut found = statement.query([]).map_err(failed)?;
    while let Some(row) = found.next().map_err(failed)? {
        if rows.len() == limit {
            return Ok(Answer { columns, rows, more: true });
        }
        let cells: Result<Vec<Cell>, _> =
            (0..columns.len()).map(|at| row.get_ref(at).map(Cell::of)).collect();
        let cells = cells.map_err(failed)?;
        bytes += cells.iter().map(Cell::bytes).sum::<usize>();
        if bytes > ANSWER_BYTES_MAX {
            let (what, help) = ("the answer", "ask for fewer rows or columns");
            return Err(QueryError::TooLarge { what, limit: ANSWER_BYTES_MAX, help });
        }
        rows.push(cells);
    }
    Ok(Answer { columns, rows, more: false })
}
