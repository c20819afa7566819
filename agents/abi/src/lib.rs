//! The guest ABI: one WIT world, as text, and what core modules need to speak it by hand.
//!
//! Pure data. It must never depend on an engine: guests' tools, the host and tests all read the contract from here.
//! Start with [`WIT`]; `vectors/canonical.json` gives the memory layout of every type in it, byte by byte.

/// The contract: package `loket:agent@1.0.0`, world [`WORLD`]. Frozen; a later world stands beside it.
pub const WIT: &str = include_str!("../wit/loket.wit");

/// The world that a guest targets.
pub const WORLD: &str = "agent";

/// The one import of a guest, as components and core modules name it.
pub const COUNTER: &str = "loket:agent/counter@1.0.0";

/// The one function of [`COUNTER`]. Core signature: `(cap, cap_len, args, args_len, retptr: i32)`.
pub const CALL: &str = "call";

/// An interface of types only. Components import it for the type of a message; nothing can be called through it.
pub const MAIL: &str = "loket:agent/mail@1.0.0";

/// The one export. Core signature: eight `i32` (pointer and length of id, sender, kind, body) to a pointer to the result.
pub const HANDLE: &str = "handle";

/// Size in bytes of `result<list<u8>, failure>` in linear memory: what `call` writes at `retptr` and `handle` points to.
pub const RESULT_BYTES: usize = 48;

/// Alignment in bytes of that result: it holds an `option<u64>`.
pub const RESULT_ALIGN: usize = 8;

/// The smallest guest, in the text format, speaking the canonical ABI by hand. It answers with its message's body; a body
/// `call NAME ARGS` asks the loket for `NAME` with `ARGS` instead and hands on the answer, failure or not, as it is.
pub const ECHO_WAT: &str = include_str!("../wat/echo.wat");

/// Byte-exact layouts of the world's types, for whoever writes a guest without component tooling.
pub const VECTORS: &str = include_str!("../vectors/canonical.json");
