//! The log provider: what agents say, as structured log events.
//!
//! Its work is done by a plain actix actor, [`Scribe`], to show and to keep true that one can serve: it knows nothing of Loket, and the
//! adapter gives it supervision. A line is a side channel: it changes nothing, is always answered the same, and is not shown again
//! when a turn is re-run (rule C10).
#![forbid(unsafe_code)]

mod scribe;

use loket_contract::{CallView, Flow, Operation, Performed, Provider, parse_args};
use loket_runtime::{ActixEngine, ChildContext};
use loket_turn::{EffectClass, Failure};
use serde::Deserialize;
use serde_json::Value;

pub use scribe::{Level, Line, Scribe};

/// Bytes of one line, fields included: a log is no store.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// What it serves.
pub const OPERATIONS: &[Operation] = &[Operation {
    capability: "log.write",
    class: EffectClass::Side,
    scope: &[],
    flow: Flow::NONE,
    tokens: false,
    summary: "a line for the operator's log",
}];

/// The provider: checks, and hands lines to the actor.
pub struct LogProvider {
    scribe: ActixEngine<Scribe>,
}

impl LogProvider {
    /// Starts the actor in this incarnation's cell.
    pub fn new(context: &ChildContext) -> Self {
        Self { scribe: ActixEngine::start(&context.links, |_| Scribe::default()) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    level: Level,
    message: String,
    /// `null`, as a guest without any may say, is none.
    #[serde(default)]
    fields: Option<serde_json::Map<String, Value>>,
}

impl Provider for LogProvider {
    /// `None` for a line that was shown before.
    type Prepared = Option<Line>;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Option<Line>, Failure> {
        prepare(call)
    }

    fn perform(&mut self, line: Option<Line>) -> Performed {
        let Some(line) = line else { return Performed::Done(Ok(b"{}".to_vec())) };
        let scribe = self.scribe.clone();
        Performed::Later(Box::pin(async move {
            // A line that is lost with the actor is answered all the same: a side channel has one answer (rule C10).
            let _ = scribe.call(line).await;
            Performed::Done(Ok(b"{}".to_vec()))
        }))
    }

    /// One at a time: what waits in our mailbox survives the actor, what stands in actix's does not.
    fn in_flight_max(&self) -> usize {
        1
    }
}

/// The provider without its actor: checks lines and shows none, for a turn that is run again beside the fleet.
#[derive(Debug, Default)]
pub struct Unheard;

impl Provider for Unheard {
    type Prepared = ();

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<(), Failure> {
        prepare(call).map(drop)
    }

    fn perform(&mut self, (): ()) -> Performed {
        Performed::Done(Ok(b"{}".to_vec()))
    }
}

fn prepare(call: &CallView<'_>) -> Result<Option<Line>, Failure> {
    let Args { level, message, fields } = parse_args(call)?;
    if call.args.len() > LINE_BYTES_MAX {
        let text =
            format!("a log line has at most {LINE_BYTES_MAX} bytes, not {}", call.args.len());
        return Err(Failure::new("too_large", text));
    }
    if call.turn.is_some_and(|turn| turn.is_rerun()) {
        return Ok(None);
    }
    let fields = fields.filter(|fields| !fields.is_empty());
    let fields = fields.map_or_else(String::new, |fields| Value::Object(fields).to_string());
    Ok(Some(Line { agent: call.caller().clone(), level, message, fields }))
}
