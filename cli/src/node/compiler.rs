//! The engine of this binary: modules are compiled by the binary itself, called anew as a process apart.

use crate::exit::{self, CliError};
use loket_host::engine::{Compiler, Engine, EngineConfig};
use std::path::PathBuf;

/// The hidden command that such a process is called with.
const COMMAND: &str = "compile-module";

/// An engine with so many slots.
pub(super) fn engine(slots: u32) -> Result<Engine, CliError> {
    let engine = Engine::new(EngineConfig::with_slots(slots)).map_err(|error| {
        CliError::new(error.code(), exit::BUG, format!("the engine does not start: {error}"))
    })?;
    Ok(match program() {
        Some(program) => engine.compiled_by(Compiler::new(program, &[COMMAND])),
        None => engine,
    })
}

/// This program, as it runs: on Linux also after an update has put another in its place, whose code this one could not use.
fn program() -> Option<PathBuf> {
    if cfg!(test) {
        // The program is then another one, which knows no such command.
        return None;
    }
    #[cfg(target_os = "linux")]
    let program = Some(PathBuf::from("/proc/self/exe"));
    #[cfg(not(target_os = "linux"))]
    let program = std::env::current_exe().ok();
    program
}
