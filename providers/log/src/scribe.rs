//! A plain actix actor that writes lines. It knows nothing of Loket.

use actix::{Actor, Context, Handler, Message};
use serde::Deserialize;
use std::sync::Arc;

/// How much a line matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a mistake.
    Debug,
    /// What happened.
    #[default]
    Info,
    /// What may become a problem.
    Warn,
    /// What went wrong.
    Error,
}

/// One line to write.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Line {
    /// Who says it.
    pub agent: Arc<str>,
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: String,
    /// Fields as JSON; empty for none.
    pub fields: String,
}

/// Writes lines as log events.
#[derive(Debug, Default)]
pub struct Scribe {
    written: u64,
}

impl Actor for Scribe {
    type Context = Context<Self>;
}

impl Handler<Line> for Scribe {
    type Result = ();

    fn handle(&mut self, line: Line, _: &mut Context<Self>) {
        let Line { agent, level, message, fields } = line;
        self.written = self.written.saturating_add(1);
        let (agent, fields) = (&*agent, &*fields);
        match level {
            Level::Trace => tracing::trace!(target: "agent", agent, fields, "{message}"),
            Level::Debug => tracing::debug!(target: "agent", agent, fields, "{message}"),
            Level::Info => tracing::info!(target: "agent", agent, fields, "{message}"),
            Level::Warn => tracing::warn!(target: "agent", agent, fields, "{message}"),
            Level::Error => tracing::error!(target: "agent", agent, fields, "{message}"),
        }
    }
}
