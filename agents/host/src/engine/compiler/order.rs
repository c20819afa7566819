//! What the process apart does: one module from its standard input to an answer on its standard output.
//!
//! It must never write but the answer, and never refuse otherwise than the fleet's own process would.

use super::super::config::{Engine, EngineConfig, EngineError};
use super::super::entry::Entry;
use super::super::load::{self, LoadLimits};
use super::super::load_error::LoadError;
use std::io::{self, Read, Write};

/// What a compile depends on beside the module and the program.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Ceiling of one linear memory of the engine, bytes.
    pub memory_bytes: usize,
    /// What a module may be.
    pub limits: LoadLimits,
}

/// Why an order came to no answer. What is wrong with the module is an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// No engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The module could not be read, or nobody reads the answer any more.
    #[error("nobody to answer: {0}")]
    Io(#[from] io::Error),
    /// What was compiled cannot be given away.
    #[error("what was compiled cannot be given away")]
    Unserializable,
}

impl Order {
    /// The order as a command line has it.
    pub fn arguments(&self) -> [String; 4] {
        let limits = &self.limits;
        [
            format!("--memory-bytes={}", self.memory_bytes),
            format!("--module-bytes={}", limits.module_bytes),
            format!("--functions={}", limits.functions),
            format!("--function-bytes={}", limits.function_bytes),
        ]
    }
}

/// Reads a module to the end, compiles it, and writes the answer: an entry of the cache, or the refusal as a JSON object.
///
/// # Errors
/// [`OrderError`]: there is no answer.
pub fn carry_out(
    order: &Order,
    input: impl Read,
    mut output: impl Write,
) -> Result<(), OrderError> {
    let mut module = Vec::new();
    // One byte more is enough to be too large.
    input.take((order.limits.module_bytes as u64).saturating_add(1)).read_to_end(&mut module)?;
    // One slot: nothing is run here, and how many there are changes no code.
    let config = EngineConfig { memory_bytes: order.memory_bytes, ..EngineConfig::with_slots(1) };
    let engine = Engine::new(config)?;
    match compiled(&engine, order, &module) {
        Ok(entry) => output.write_all(entry.ok_or(OrderError::Unserializable)?.bytes())?,
        Err(refused) => output.write_all(told(&refused).as_bytes())?,
    }
    Ok(output.flush()?)
}

fn compiled(engine: &Engine, order: &Order, module: &[u8]) -> Result<Option<Entry>, LoadError> {
    let looked = load::look(module, &order.limits)?;
    let component = engine.compile(&looked)?;
    Ok(load::serialized(&component, &engine.key(&looked)))
}

/// A refusal for the other side. What the look finds, the other side has found before it asked.
fn told(refused: &LoadError) -> String {
    let message = refused.found().unwrap_or_default();
    serde_json::json!({"code": refused.code(), "message": message}).to_string()
}
