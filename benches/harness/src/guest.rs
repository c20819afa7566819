//! The guests of the benchmark: one that calls as often as it is told, and the echo that every fleet has, for one write a turn.

/// Calls of one turn of the calling guest: enough that what a turn costs besides does not show.
pub(crate) const CALLS: u32 = 2_000;

/// Name of the calling guest's module.
pub(crate) const CALLING: &str = "bench-caller";

/// Name of the module of durable turns.
pub(crate) const WRITING: &str = "echo";

/// What a durable turn is asked: one write to the brain.
pub(crate) const WRITE: &[u8] = b"put k 1";

/// What makes it trap.
pub(crate) const TRAP: &[u8] = b"trap";

/// A guest in Rust, compiled to a component: the fresh instance that an agent of a fleet would get.
pub(crate) const WRITING_WASM: &[u8] = include_bytes!("../../../agents/guests/modules/echo.wasm");

/// The calling guest's module, as text: the host makes a component of it. Answers are put behind the second mebibyte, in turns.
pub(crate) const CALLING_WAT: &str = r#"(module
  (import "loket:agent/counter@1.0.0" "call" (func $call (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 64)
  (data (i32.const 16) "bench.echo")
  (global $top (mut i32) (i32.const 0x200000))
  (func $take (param $bytes i32) (result i32) (local $at i32)
    (if (i32.gt_u (i32.add (global.get $top) (local.get $bytes)) (i32.const 0x3ffff0))
      (then (global.set $top (i32.const 0x200000))))
    (local.set $at (global.get $top))
    (global.set $top (i32.and (i32.add (i32.add (local.get $at) (local.get $bytes)) (i32.const 15)) (i32.const -16)))
    (local.get $at))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $take (local.get 3)))
  (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (local $n i32) (local $len i32)
    (local.set $n (i32.load (local.get 6)))
    (local.set $len (i32.load offset=4 (local.get 6)))
    (loop $next
      (call $call (i32.const 16) (i32.const 10) (i32.const 0x10000) (local.get $len) (i32.const 64))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 64)))"#;

/// The message that makes it call so often with so many bytes.
pub(crate) fn order(calls: u32, payload: usize) -> Vec<u8> {
    let bytes = u32::try_from(payload).unwrap_or(u32::MAX);
    [calls.to_le_bytes(), bytes.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::ECHO;

    #[test]
    fn the_calling_guest_calls_what_is_served() {
        let (data, length) = (format!("\"{ECHO}\""), format!("(i32.const {})", ECHO.len()));
        assert!(CALLING_WAT.contains(&data) && CALLING_WAT.contains(&length));
    }
}
