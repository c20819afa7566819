//! What a call out of a guest costs at the very least: a core module, no fibre, no component, no kernel.
//!
//! For measuring only: a turn is never run by it, and the answerer that it is given stands for nobody. Everything that
//! [`Module::run`](super::Module::run) does beyond it is what the sandbox of a turn costs. Start at [`Floor::new`].

use wasmtime::{Caller, Config, Engine, Extern, Linker, Memory, Module, Store, TypedFunc};

/// Where the guest's arguments lie.
const ARGS_AT: u32 = 1 << 16;

/// Where the answer is put.
const ANSWER_AT: u32 = 2 << 20;

/// Largest arguments and answer, bytes: what one call may carry.
pub const FLOOR_BYTES_MAX: usize = super::MAX_ARGS_BYTES;

/// Calls `n` times with `len` bytes each.
const CALLER: &str = r#"(module
  (import "floor" "call" (func $call (param i32 i32 i32)))
  (memory (export "memory") 64)
  (func (export "run") (param $n i32) (param $at i32) (param $len i32) (param $answer i32)
    (loop $next
      (call $call (local.get $at) (local.get $len) (local.get $answer))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

/// What answers: it is given the arguments and gives the answer, in the same buffer if it likes.
pub type Answerer = Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>;

struct State {
    answerer: Answerer,
    buffer: Vec<u8>,
    memory: Option<Memory>,
}

/// A guest that calls out as barely as wasmtime can.
pub struct Floor {
    store: Store<State>,
    run: TypedFunc<(u32, u32, u32, u32), ()>,
}

impl std::fmt::Debug for Floor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Floor").finish_non_exhaustive()
    }
}

impl Floor {
    /// A guest whose calls `answerer` answers.
    ///
    /// # Errors
    /// wasmtime's, in words.
    pub fn new(answerer: Answerer) -> Result<Self, String> {
        Self::make(answerer).map_err(|error| format!("{error:#}"))
    }

    fn make(answerer: Answerer) -> wasmtime::Result<Self> {
        let engine = Engine::new(&Config::new())?;
        let wasm = wat::parse_str(CALLER)?;
        let module = Module::new(&engine, wasm)?;
        let mut linker = Linker::<State>::new(&engine);
        linker.func_wrap("floor", "call", call)?;
        let state = State { answerer, buffer: Vec::new(), memory: None };
        let mut store = Store::new(&engine, state);
        let instance = linker.instantiate(&mut store, &module)?;
        store.data_mut().memory =
            instance.get_export(&mut store, "memory").and_then(Extern::into_memory);
        let run = instance.get_typed_func(&mut store, "run")?;
        Ok(Self { store, run })
    }

    /// Makes so many calls with so many bytes each, one at least.
    ///
    /// # Errors
    /// wasmtime's, in words; more bytes than [`FLOOR_BYTES_MAX`].
    pub fn calls(&mut self, calls: u32, bytes: usize) -> Result<(), String> {
        let len = u32::try_from(bytes).ok().filter(|_| bytes <= FLOOR_BYTES_MAX);
        let len = len.ok_or_else(|| format!("{bytes} bytes; at most {FLOOR_BYTES_MAX}"))?;
        let run = self.run.call(&mut self.store, (calls.max(1), ARGS_AT, len, ANSWER_AT));
        run.map_err(|error| format!("{error:#}"))
    }
}

/// Copies the arguments out, has them answered, copies the answer in.
fn call(mut caller: Caller<'_, State>, at: u32, len: u32, answer_at: u32) -> wasmtime::Result<()> {
    let Some(memory) = caller.data().memory else {
        return Err(wasmtime::Error::msg("the guest has no memory"));
    };
    let (guest, state) = memory.data_and_store_mut(&mut caller);
    let (from, to) = (at as usize, (at as usize).saturating_add(len as usize));
    let args =
        guest.get(from..to).ok_or_else(|| wasmtime::Error::msg("arguments out of bounds"))?;
    let mut buffer = std::mem::take(&mut state.buffer);
    buffer.clear();
    buffer.extend_from_slice(args);
    let answer = (state.answerer)(buffer);
    let (from, to) = (answer_at as usize, (answer_at as usize).saturating_add(answer.len()));
    let place = guest.get_mut(from..to);
    place.ok_or_else(|| wasmtime::Error::msg("answer out of bounds"))?.copy_from_slice(&answer);
    state.buffer = answer;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_call_is_answered_with_the_guests_bytes() {
        let seen = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&seen);
        let answerer = move |args: Vec<u8>| {
            count.fetch_add(args.len(), Ordering::Relaxed);
            args
        };
        let mut floor = Floor::new(Box::new(answerer)).unwrap();
        floor.calls(100, 64).unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 6_400);
        floor.calls(1, FLOOR_BYTES_MAX).unwrap();
        assert!(floor.calls(1, FLOOR_BYTES_MAX + 1).unwrap_err().contains("at most"));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_an_error() {
        let mut floor = Floor::new(Box::new(|_| vec![0; 4 << 20])).unwrap();
        assert!(floor.calls(1, 1).unwrap_err().contains("out of bounds"));
    }
}
