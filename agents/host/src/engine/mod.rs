//! Guests on wasmtime: load a module, run one turn of it in a fresh sandbox, in slices that leave the lane to others.
//!
//! A library without actors, ledger or clock. It must never give a guest anything but the loket's one `call`, never let two
//! turns share an instance, and never cut a guest's bytes: too large is an error that says the limit.
//!
//! Where to start: [`Engine::new`] once per process, [`Engine::load`] once per module on a thread that may block,
//! [`Module::run`] once per turn, wrapped by [`Background::slice`] on the lane, while a watchdog thread calls
//! [`Ticker::tick`] every 200 µs.

mod at_once;
mod cache;
mod classify;
mod compiler;
mod config;
mod entry;
mod error;
mod floor;
mod heavy;
mod limiter;
mod load;
mod load_error;
mod precompiled;
mod run;
mod scan;
mod slices;
mod slot;
mod stubs;
mod types;
mod wrap;

pub use at_once::AtOnce;
pub use cache::{Cache, CacheError};
pub use compiler::{Compiler, Order, OrderError, carry_out, confine};
pub use config::{
    Engine, EngineConfig, EngineError, MAX_INSTANCE_MEMORY_BYTES, MAX_WASM_STACK_BYTES, SLICE,
    Ticker,
};
pub use error::{Abort, Blame, Cause, TrapKind, TurnError};
pub use floor::{Answerer, FLOOR_BYTES_MAX, Floor};
pub use heavy::{HEAVY, LaneTime, REST};
pub use load::{LoadLimits, MAX_FUNCTION_BYTES, MAX_FUNCTIONS, MAX_MODULE_BYTES, Made, Module};
pub use load_error::LoadError;
pub use run::{Host, MAX_ARGS_BYTES, MAX_CAPABILITY_BYTES, RunLimits, SliceVerdict};
pub use slices::{Background, Sliced};
pub use types::{Answer, Failure, Message};
