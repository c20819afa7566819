//! Modules are compiled in a process apart: what a hostile module does to the compiler costs that process, never the fleet's.
//!
//! The fleet's process starts a program, hands it the module, and reads one answer: an entry as the cache keeps it, or a
//! refusal. It must never compile here what took that process down, and never take an answer that is not whole. Without a
//! program (tests, other users of the library), or where none can be started, this process compiles itself.
//!
//! Start at [`Compiler::compile`] for the one side, at [`carry_out`] for the other.

mod confine;
mod order;
mod process;

pub use confine::confine;
pub use order::{Order, OrderError, carry_out};

use super::entry::{Entry, MAX_ENTRY_BYTES};
use super::load_error::LoadError;
use process::Talk;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long a compile may take by the clock. A process of its own ends sooner, by the time of a processor that it is given
/// ([`confine`]); this is for a machine that has none to give, and for a program that waits for something.
const TIME: Duration = Duration::from_secs(300);

/// Largest refusal, bytes: a code and a message that is bounded to a thousand.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// The program that compiles modules for an engine.
#[derive(Clone, Debug)]
pub struct Compiler {
    program: PathBuf,
    /// Its first arguments; those of the [`Order`] follow.
    command: Vec<OsString>,
    time: Duration,
}

/// Why there is no answer.
pub(super) enum Unmade {
    /// The module is refused: by the compiler's word, or for what became of the compiler.
    Refused(LoadError),
    /// No process was started.
    NotStarted(io::Error),
}

impl Compiler {
    /// `program`, called with `command` and an order's [arguments](Order::arguments), confines itself ([`confine`]) and does
    /// what [`carry_out`] does, from its standard input to its standard output.
    pub fn new(program: impl Into<PathBuf>, command: &[&str]) -> Self {
        let command = command.iter().map(OsString::from).collect();
        Self { program: program.into(), command, time: TIME }
    }

    /// The same with another bound on a compile's time.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Has a module compiled. Blocks its thread until the process has ended; if the thread ends, so does the process.
    pub(super) fn compile(&self, order: &Order, module: &[u8]) -> Result<Vec<u8>, Unmade> {
        let talk = self.talk(order, module).map_err(Unmade::NotStarted)?;
        let lost = |how: String| {
            let said = talk.words();
            let how = if said.is_empty() { how } else { format!("{how}; it said: {said}") };
            tracing::warn!(how, "the process that compiled a module is lost");
            Unmade::Refused(LoadError::lost(how))
        };
        // First, for nobody reads on there, and that may be how the process ended.
        if talk.answer.len() as u64 > MAX_ENTRY_BYTES {
            return Err(lost(format!("it made more than {MAX_ENTRY_BYTES} bytes")));
        }
        if let Some(how) = talk.how_lost(self.time) {
            return Err(lost(how));
        }
        if Entry::begins(&talk.answer) {
            return Ok(talk.answer);
        }
        match refusal(&talk.answer) {
            Some(error) => Err(Unmade::Refused(error)),
            None => Err(lost("its answer cannot be read".to_owned())),
        }
    }

    fn talk(&self, order: &Order, module: &[u8]) -> io::Result<Talk> {
        let arguments = self.command.iter().cloned();
        let arguments = arguments.chain(order.arguments().map(OsString::from));
        process::talk(&self.program, arguments, module, self.time)
    }
}

/// The refusal that an answer tells.
fn refusal(answer: &[u8]) -> Option<LoadError> {
    if answer.len() > REFUSAL_BYTES_MAX {
        return None;
    }
    let told: serde_json::Value = serde_json::from_slice(answer).ok()?;
    LoadError::told(told["code"].as_str()?, told["message"].as_str()?.to_owned())
}
