//! The operations on a brain: arguments as a guest writes them, the bounds on them, running them.
//!
//! Parsing and refusing happen before anything is touched; what is refused names the limit and
//! nothing is cut.

mod args;
#[cfg(test)]
mod tests;

use crate::brain::{Brain, CallError, forget, kv, memory, search};
use crate::limits::{ADD_ON_LANE_BYTES, ADD_ON_LANE_ITEMS};
use loket_turn::{Failure, MessageId, Outcome};
use serde::Serialize;
use serde_json::value::RawValue;

/// The code of a failure that is no answer: an I/O error, an interrupt, a lost shard (rule C6). A
/// driver that gets it ends the turn with blame Environment; no guest may ever see it, for it is no
/// function of the brain.
pub const ENVIRONMENT: &str = "environment";

/// Such a failure.
pub(crate) fn environment(message: impl Into<String>) -> Failure {
    Failure::retryable(ENVIRONMENT, message, None)
}

/// One call, its arguments checked.
#[derive(Debug)]
pub(crate) enum Op {
    /// `kv.get`
    Get { key: String },
    /// `kv.put`
    Put { key: String, value: Box<RawValue> },
    /// `kv.delete`
    Delete { key: String },
    /// `kv.list`
    List { prefix: String, after: Option<String>, limit: usize },
    /// `memory.add`
    Add { items: Vec<memory::Item> },
    /// `memory.search`
    Search { terms: Vec<String>, limit: usize, recency: f64 },
    /// `memory.forget`
    Forget { ids: Option<Vec<i64>>, source: Option<String> },
    /// `memory.count`
    Count { source: Option<String> },
}

/// What a call may know beside the brain (rules C9, E2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// The message that is handled.
    pub(crate) message: MessageId,
    /// The turn's clock, Unix milliseconds.
    pub(crate) clock_ms: u64,
}

impl Op {
    /// Reads the arguments of a capability.
    ///
    /// # Errors
    /// `bad_args`, `too_large`, `unknown_operation`: answers to the guest.
    pub(crate) fn parse(capability: &str, args: &[u8]) -> Result<Self, Failure> {
        args::parse(capability, args)
    }

    /// Whether it may take longer than a slice on the lane and so runs on a store thread.
    pub(crate) fn is_heavy(&self) -> bool {
        match self {
            Self::Get { .. } | Self::Put { .. } | Self::Delete { .. } | Self::List { .. } => false,
            Self::Add { items } => is_heavy_add(items),
            Self::Search { .. } | Self::Forget { .. } | Self::Count { .. } => true,
        }
    }

    /// Runs it in the open turn.
    pub(crate) fn run(self, brain: &mut Brain, now: Now) -> Outcome {
        let done = brain.call(|conn| match self {
            Self::Get { key } => json(&Value { value: kv::get(conn, &key)? }),
            Self::Put { key, value } => {
                kv::put(conn, &key, &value)?;
                Ok(b"{}".to_vec())
            }
            Self::Delete { key } => json(&Existed { existed: kv::delete(conn, &key)? }),
            Self::List { prefix, after, limit } => {
                let (entries, more) = kv::list(conn, &prefix, after.as_deref(), limit)?;
                json(&List { entries, more })
            }
            Self::Add { items } => {
                let message = now.message.to_string();
                json(&Ids { ids: memory::add(conn, &items, &message, now.clock_ms)? })
            }
            Self::Search { terms, limit, recency } => {
                let what = search::Search { terms, limit, recency, now_ms: now.clock_ms };
                json(&Hits { hits: search::search(conn, &what)? })
            }
            Self::Forget { ids, source } => {
                let forgotten = forget::forget(conn, ids.as_deref(), source.as_deref())?;
                json(&Forgotten { forgotten })
            }
            Self::Count { source } => {
                json(&Count { count: memory::count(conn, source.as_deref())? })
            }
        });
        done.map_err(|error| match error {
            CallError::Refused(failure) => failure,
            CallError::Sqlite(error) => environment(format!("the brain's file: {error}")),
        })
    }
}

/// Whether adding these takes longer than a slice on the lane.
pub(crate) fn is_heavy_add(items: &[memory::Item]) -> bool {
    let bytes: usize = items.iter().map(|item| item.text.len()).sum();
    items.len() > ADD_ON_LANE_ITEMS || bytes > ADD_ON_LANE_BYTES
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, CallError> {
    let written = serde_json::to_vec(value);
    Ok(written.map_err(|error| Failure::new("internal", error.to_string()))?)
}

#[derive(Serialize)]
struct Value {
    value: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Existed {
    existed: bool,
}

#[derive(Serialize)]
struct List {
    entries: Vec<kv::Entry>,
    more: bool,
}

#[derive(Serialize)]
struct Ids {
    ids: Vec<i64>,
}

#[derive(Serialize)]
struct Hits {
    hits: Vec<search::Hit>,
}

#[derive(Serialize)]
struct Forgotten {
    forgotten: u64,
}

#[derive(Serialize)]
struct Count {
    count: u64,
}
