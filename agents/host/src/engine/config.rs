//! The one engine of a process: every wasmtime setting, with its reason, and the epoch ticker.
//!
//! Two things must never change silently here: what makes a run exact (NaN bits, no threads, no relaxed SIMD) and what
//! bounds a guest (pool sizes, stack). Start at [`Engine::new`].

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use super::compiler::Compiler;
use super::run::{self, State};

/// How often the watchdog should tick: the length of a slice of guest code on a lane.
pub const SLICE: Duration = Duration::from_micros(200);

/// Ceiling of one linear memory, bytes: what a pool slot reserves. An interpreter guest needs 13 MB before it does anything.
/// Bulk instructions cannot be interrupted: filling this much takes some 10 ms of the lane, and is the longest that one takes.
pub const MAX_INSTANCE_MEMORY_BYTES: usize = 64 << 20;

/// Stack of guest code, bytes; what is beyond it is a trap. Interpreters in wasm recurse deeply: 512 KiB is their usual least.
pub const MAX_WASM_STACK_BYTES: usize = 512 << 10;

/// Room for the host's own frames above the guest's, bytes. Kernel and provider take calls in place there: half of what a thread
/// of a lane has. Only what is touched is memory.
const HOST_STACK_BYTES: usize = 1 << 20;

/// Stack of a fibre, bytes: the guest's, and the host's above it.
const FIBRE_STACK_BYTES: usize = MAX_WASM_STACK_BYTES + HOST_STACK_BYTES;

/// Default number of turns that can hold an instance at once; only address space is reserved for idle ones.
const DEFAULT_SLOTS: u32 = 1_000;

/// Largest number of slots: beyond it the address space of the pool, not the memory of the machine, is the limit.
const MAX_SLOTS: u32 = 20_000;

/// Linear memories of one component: the interpreter guests have up to 3.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// Tables of one component: up to 3 measured, and each wrapped module brings one for its imports.
const TABLES_PER_COMPONENT: u32 = 8;

/// Core instances of one component: a wrapped module makes 3 or 4, a composed guest a multiple of it.
const CORE_INSTANCES_PER_COMPONENT: u32 = 20;

/// Elements of one table: 7,690 is the most any toolchain was seen to need.
pub(super) const TABLE_ELEMENTS: usize = 20_000;

/// Bookkeeping of one instance, bytes: grows with its functions; the largest interpreter stays below 2 MB.
const INSTANCE_METADATA_BYTES: usize = 4 << 20;

/// Guard behind each memory, bytes. Small: accesses are checked explicitly, so that a thousand slots fit in the address space.
const MEMORY_GUARD_BYTES: u64 = 64 << 10;

/// Pages of a slot that are wiped by hand and kept at reuse, bytes: without them two lanes contend for the kernel's memory map.
/// Where the system says which were written, only those count.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// The same for a table, bytes.
const KEEP_TABLE_BYTES: usize = 16 << 10;

/// Frames of a guest's backtrace: enough to see a recursion, few enough that a trap stays cheap.
const BACKTRACE_FRAMES: usize = 20;

/// What an operator may choose about the engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// How many instances can live at once, over all lanes.
    pub slots: u32,
    /// Ceiling of one linear memory, bytes; at most [`MAX_INSTANCE_MEMORY_BYTES`] is sensible.
    pub memory_bytes: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { slots: DEFAULT_SLOTS, memory_bytes: MAX_INSTANCE_MEMORY_BYTES }
    }
}

impl EngineConfig {
    /// The default with another number of slots.
    #[must_use]
    pub fn with_slots(slots: u32) -> Self {
        Self { slots, ..Self::default() }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The number of slots is out of range.
    #[error("slots must be between 1 and {max}, not {got}: lower the number of instance slots")]
    Slots {
        /// What was asked for.
        got: u32,
        /// The most there can be.
        max: u32,
    },
    /// The engine could not be made, most often because the pool's address space was refused.
    #[error("the WebAssembly engine did not start: {0}; fewer slots need less address space")]
    Start(String),
}

impl EngineError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Slots { .. } => "M090",
            Self::Start(_) => "M091",
        }
    }
}

/// Compiler, instance pool and the definition of the loket. One per process; clones share it.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasm: wasmtime::Engine,
    pub(super) linker: Arc<Linker<State>>,
    pub(super) memory_bytes: usize,
    /// Who compiles; without one, this process does.
    pub(super) compiler: Option<Arc<Compiler>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("memory_bytes", &self.memory_bytes).finish_non_exhaustive()
    }
}

/// Advances the epoch of one engine. Cheap to clone, for the watchdog thread.
#[derive(Clone)]
pub struct Ticker(wasmtime::Engine);

impl std::fmt::Debug for Ticker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticker")
    }
}

impl Ticker {
    /// Ends the current slice of every running guest at its next loop or call. Takes a few nanoseconds.
    pub fn tick(&self) {
        self.0.increment_epoch();
    }
}

impl Engine {
    /// Starts the engine and reserves the pool's address space.
    ///
    /// # Errors
    /// [`EngineError`]: slots out of range, or the system refused the reservation.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        if config.slots == 0 || config.slots > MAX_SLOTS {
            return Err(EngineError::Slots { got: config.slots, max: MAX_SLOTS });
        }
        let start = |e: wasmtime::Error| EngineError::Start(format!("{e:#}"));
        let wasm = wasmtime::Engine::new(&settings(config)).map_err(start)?;
        let linker = run::linker(&wasm).map_err(start)?;
        let (linker, memory_bytes) = (Arc::new(linker), config.memory_bytes);
        Ok(Self { wasm, linker, memory_bytes, compiler: None })
    }

    /// From here on modules are compiled in processes apart, by this program.
    #[must_use]
    pub fn compiled_by(self, compiler: Compiler) -> Self {
        Self { compiler: Some(Arc::new(compiler)), ..self }
    }

    /// The handle that ends slices; see [`SLICE`].
    #[must_use]
    pub fn ticker(&self) -> Ticker {
        Ticker(self.wasm.clone())
    }
}

fn settings(config: EngineConfig) -> Config {
    let mut c = Config::new();
    c.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    // A run must be repeatable bit by bit, on any machine: no NaN payloads, nothing whose result the processor may choose.
    c.cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true);
    // One memory model for all guests; 64-bit memories would escape the pool's sizes. (Threads are not compiled in.)
    c.wasm_memory64(false).wasm_component_model(true).concurrency_support(false);
    c.epoch_interruption(true);
    c.max_wasm_stack(MAX_WASM_STACK_BYTES).async_stack_size(FIBRE_STACK_BYTES);
    c.memory_reservation(config.memory_bytes as u64)
        .memory_reservation_for_growth(0)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .memory_init_cow(true);
    // A trap's names come from the module itself; native unwind tables would only slow loading down.
    c.wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES)).native_unwind_info(false);
    // Compiling happens on the caller's thread: a pool of compile threads would take the lanes' cores.
    c.cranelift_opt_level(OptLevel::Speed).parallel_compilation(false);
    c
}

fn pool(config: EngineConfig) -> PoolingAllocationConfig {
    let slots = config.slots;
    let mut p = PoolingAllocationConfig::new();
    // Every slot can hold the largest component allowed, so that a permit for a slot is all a turn has to wait for.
    p.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(slots.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(slots.saturating_mul(TABLES_PER_COMPONENT))
        .total_stacks(slots)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .max_component_instance_size(INSTANCE_METADATA_BYTES)
        .max_core_instance_size(INSTANCE_METADATA_BYTES)
        .max_memory_size(config.memory_bytes)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_TABLE_BYTES)
        // Where the system can say which pages were written (Linux 6.7 and later), those alone are wiped, wherever they are:
        // a Rust guest writes some ten pages behind its stack of 1 MiB, and giving them back cost each turn a change of the
        // memory map, with an interrupt to the other lanes, and the faults to get them again.
        .pagemap_scan(Enabled::Auto);
    p
}
