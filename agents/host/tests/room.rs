//! A guest's memory is large enough for a usual turn from its start: growing it costs more than such a turn itself.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod support;

use loket_host::engine::{Cause, RunLimits};
use support::{Script, engine, message, run};
use wasmparser::{Parser, Payload};

/// Bytes of a page of a memory.
const PAGE_BYTES: u64 = 64 << 10;

/// A guest that the project ships.
fn shipped(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/modules");
    std::fs::read(format!("{folder}/{name}.wasm")).unwrap()
}

/// What the module's memory has at its start, bytes.
fn at_its_start(wasm: &[u8]) -> usize {
    let pages = Parser::new(0).parse_all(wasm).find_map(|payload| match payload.unwrap() {
        Payload::MemorySection(memories) => Some(memories.into_iter().next()?.unwrap().initial),
        _ => None,
    });
    usize::try_from(pages.unwrap() * PAGE_BYTES).unwrap()
}

#[tokio::test]
async fn a_usual_turn_grows_no_memory() {
    let wasm = shipped("echo");
    let limits = RunLimits { memory_bytes: at_its_start(&wasm), ..RunLimits::default() };
    let module = engine().load(&wasm, &Default::default(), None).unwrap();
    let long = [b'x'; 20_000];
    let bodies = [&b"put k 1"[..], b"hello", b"call time.now", &long];
    for body in bodies {
        let answer = run(&module, &limits, message(body), &mut Script::default()).await;
        assert!(answer.unwrap().is_ok(), "grew for a body of {} bytes", body.len());
    }
    // The limit is one: what does not fit grows, and is refused.
    let body = vec![b'x'; limits.memory_bytes];
    let ended = run(&module, &limits, message(&body), &mut Script::default()).await.unwrap_err();
    assert!(matches!(ended.cause, Cause::OutOfMemory { .. }), "{:?}", ended.cause);
}

#[tokio::test]
async fn behind_its_room_a_guest_grows_as_far_as_it_may() {
    let module = engine().load(&shipped("echo"), &Default::default(), None).unwrap();
    let limits = RunLimits { memory_bytes: 8 << 20, ..RunLimits::default() };
    let mut script = Script::default();
    for bytes in [100_000, 130_000, 200_000, 1_000_000] {
        let body: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
        let answer = run(&module, &limits, message(&body), &mut script).await.unwrap();
        assert_eq!(answer, Ok(body));
    }
    let ended = run(&module, &limits, message(b"bomb"), &mut script).await.unwrap_err();
    assert!(matches!(ended.cause, Cause::OutOfMemory { .. }), "{:?}", ended.cause);
}
