//! The levels at which the node's log tells of one child.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, OnceLock};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Which children are watched, and what was told of them.
type Watched = Mutex<HashMap<String, Vec<(Level, String)>>>;

fn watched() -> &'static Watched {
    static WATCHED: OnceLock<Watched> = OnceLock::new();
    WATCHED.get_or_init(Mutex::default)
}

/// What the log tells of one child from now on. No other test may use that name.
pub struct Watch(&'static str);

pub fn of(child: &'static str) -> Watch {
    watched().lock().unwrap().insert(child.to_owned(), Vec::new());
    // The first test that watches sets it for all.
    let _ = tracing::subscriber::set_global_default(Watcher);
    Watch(child)
}

impl Watch {
    pub fn levels(&self) -> Vec<Level> {
        watched().lock().unwrap()[self.0].iter().map(|(level, _)| *level).collect()
    }

    /// The reasons that were told.
    pub fn reasons(&self) -> Vec<String> {
        watched().lock().unwrap()[self.0].iter().map(|(_, reason)| reason.clone()).collect()
    }
}

struct Watcher;

#[derive(Default)]
struct Fields {
    child: String,
    reason: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "child" => value.clone_into(&mut self.child),
            "reason" => value.clone_into(&mut self.reason),
            _ => {}
        }
    }
}

impl Subscriber for Watcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("loket::")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(told) = watched().lock().unwrap().get_mut(&fields.child) {
            told.push((*event.metadata().level(), fields.reason));
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
