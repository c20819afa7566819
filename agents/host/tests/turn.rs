//! One turn through the engine: what crosses the border, what ends it, what is left behind.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod support;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loket_host::engine::{
    Abort, Answer, Blame, Cause, Engine, EngineConfig, Host, RunLimits, SliceVerdict, Ticker,
};
use support::{Script, echo, engine, failure, hostile, message, run};

const LIMITS: RunLimits = RunLimits {
    memory_bytes: 4 << 20,
    table_elements: 1_000,
    output_bytes: 1 << 20,
    slice_ticks: 1,
};

#[tokio::test]
async fn a_body_comes_back() {
    let mut script = Script::default();
    for body in [&b""[..], b"hello", &[0xff; 70_000]] {
        let answer = run(&echo(), &LIMITS, message(body), &mut script).await.unwrap();
        assert_eq!(answer, Ok(body.to_vec()));
    }
    assert!(script.calls.is_empty());
}

#[tokio::test]
async fn a_call_carries_name_and_args_and_its_answer() {
    let mut script = Script { waits: 3, ..Script::default() };
    let body = message(b"call log.write some args");
    let answer = run(&echo(), &LIMITS, body, &mut script).await.unwrap();
    assert_eq!(answer, Ok(b"some args".to_vec()));
    assert_eq!(script.calls, [("log.write".to_owned(), b"some args".to_vec())]);
}

#[tokio::test]
async fn a_failure_crosses_both_borders_unchanged() {
    let mut script = Script { answer: Some(Err(failure("no_grant"))), ..Script::default() };
    let answer = run(&echo(), &LIMITS, message(b"call llm.chat"), &mut script).await.unwrap();
    assert_eq!(answer, Err(failure("no_grant")));
}

#[tokio::test]
async fn an_abort_ends_the_turn_unseen_by_the_guest() {
    for (abort, blame) in [
        (Abort::Interrupt, Blame::Driver),
        (Abort::Park, Blame::Driver),
        (Abort::Divergence, Blame::Driver),
        (Abort::Host("lost".into()), Blame::Host),
    ] {
        let mut script = Script { calls_left: 0, abort: abort.clone(), ..Script::default() };
        let ended = run(&echo(), &LIMITS, message(b"call a"), &mut script).await.unwrap_err();
        assert_eq!(ended.blame(), blame);
        assert_eq!(ended.cause, Cause::Aborted(abort));
    }
}

#[tokio::test]
async fn a_turn_begins_with_nothing_of_the_one_before() {
    let counts = r#"(module
      (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048))
      (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
        (i32.store8 (i32.const 1024) (i32.add (i32.const 1) (i32.load8_u (i32.const 1024))))
        (i32.store offset=8 (i32.const 64) (i32.const 1024))
        (i32.store offset=12 (i32.const 64) (i32.const 1))
        (i32.const 64)))"#;
    let module = engine().load(counts.as_bytes(), &Default::default(), None).unwrap();
    for _ in 0..200 {
        let answer = run(&module, &LIMITS, message(b""), &mut Script::default()).await.unwrap();
        assert_eq!(answer, Ok(vec![1]), "memory of an earlier turn");
    }
}

#[tokio::test]
async fn a_limit_of_output_holds_for_failures_too() {
    let limits = RunLimits { output_bytes: 10, ..LIMITS };
    let fits = run(&echo(), &limits, message(b"ten bytes!"), &mut Script::default()).await.unwrap();
    assert_eq!(fits, Ok(b"ten bytes!".to_vec()));
    let mut script = Script { answer: Some(Err(failure("12345678"))), ..Script::default() };
    let error = run(&echo(), &limits, message(b"call a"), &mut script).await.unwrap_err();
    assert_eq!(error.cause, Cause::OutputTooLarge { bytes: 11, limit: 10 });
}

#[tokio::test]
async fn args_of_exactly_the_limit_pass() {
    let limits = RunLimits { memory_bytes: 16 << 20, ..LIMITS };
    let mut body = b"call a ".to_vec();
    body.resize(7 + loket_host::engine::MAX_ARGS_BYTES, b'x');
    let mut script = Script { answer: Some(Ok(Vec::new())), ..Script::default() };
    run(&echo(), &limits, message(&body), &mut script).await.unwrap().unwrap();
    assert_eq!(script.calls[0].1.len(), loket_host::engine::MAX_ARGS_BYTES);
    body.push(b'x');
    let refused = run(&echo(), &limits, message(&body), &mut script).await.unwrap().unwrap_err();
    assert_eq!(refused.code, "args_too_large");
    assert_eq!(script.calls.len(), 1, "what is refused is not seen by the driver");
}

#[tokio::test]
async fn the_ticker_ends_slices_and_the_deadline_the_turn() {
    let module = engine().load(&hostile("endless-loop"), &Default::default(), None).unwrap();
    let ticker = engine().ticker();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            ticker.tick();
        }
    });
    let mut script = Script { slices_left: 50, ..Script::default() };
    let error = run(&module, &LIMITS, message(b""), &mut script).await.unwrap_err();
    drop(stop);
    watchdog.join().unwrap();
    assert_eq!(error.cause, Cause::Deadline);
    assert!(error.backtrace.contains("handle"), "{error}");
}

#[tokio::test]
async fn a_kill_is_at_once() {
    let module = engine().load(&hostile("start-loop"), &Default::default(), None).unwrap();
    let limits = RunLimits { slice_ticks: 0, ..LIMITS };
    let mut script = Script { slices_left: 0, verdict: SliceVerdict::Kill, ..Script::default() };
    let error = run(&module, &limits, message(b""), &mut script).await.unwrap_err();
    assert_eq!((error.cause, error.backtrace), (Cause::Killed, String::new()));
}

/// Never answers, and counts how often it is polled.
struct Silent {
    polls: usize,
}

impl Host for Silent {
    async fn call(&mut self, _: String, _: Vec<u8>) -> Result<Answer, Abort> {
        std::future::poll_fn(|_| {
            self.polls += 1;
            Poll::<()>::Pending
        })
        .await;
        Err(Abort::Interrupt)
    }
}

#[test]
fn dropping_a_turn_in_a_call_frees_its_slot() {
    let engine = Engine::new(EngineConfig::with_slots(1)).unwrap();
    let echo = engine.load(loket_abi::ECHO_WAT.as_bytes(), &Default::default(), None).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        let mut silent = Silent { polls: 0 };
        {
            let mut turn = pin!(echo.run(&LIMITS, message(b"call a"), &mut silent));
            assert!(turn.as_mut().poll(&mut cx).is_pending());
            assert!(turn.as_mut().poll(&mut cx).is_pending());
            let mut other = Silent { polls: 0 };
            let mut second = pin!(echo.run(&LIMITS, message(b""), &mut other));
            let Poll::Ready(Err(full)) = second.as_mut().poll(&mut cx) else {
                panic!("a second turn ran in the only slot")
            };
            assert!(matches!(full.cause, Cause::PoolExhausted { .. }), "{full:?}");
            assert_eq!(full.blame(), Blame::Host);
        }
        assert_eq!(silent.polls, 2);
    }
}

#[tokio::test]
async fn nan_bits_are_the_canonical_ones() {
    let nan = r#"(module
      (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048))
      (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
        (f32.store (i32.const 1024)
          (f32.add (f32.reinterpret_i32 (i32.const 0x7fe12345)) (f32.const 1)))
        (i32.store offset=8 (i32.const 64) (i32.const 1024))
        (i32.store offset=12 (i32.const 64) (i32.const 4))
        (i32.const 64)))"#;
    let module = engine().load(nan.as_bytes(), &Default::default(), None).unwrap();
    let answer = run(&module, &LIMITS, message(b""), &mut Script::default()).await.unwrap();
    assert_eq!(answer, Ok(0x7fc0_0000_u32.to_le_bytes().to_vec()));
}

/// Ticks while the guest waits for its answer, and counts the slices.
struct Ticking {
    ticker: Ticker,
    ticks: usize,
    waits: bool,
    slices: usize,
}

impl Host for Ticking {
    async fn call(&mut self, _: String, args: Vec<u8>) -> Result<Answer, Abort> {
        for _ in 0..self.ticks {
            self.ticker.tick();
        }
        if self.waits {
            tokio::task::yield_now().await;
        }
        Ok(Ok(args))
    }

    fn slice(&mut self) -> SliceVerdict {
        self.slices += 1;
        SliceVerdict::Continue
    }
}

#[tokio::test]
async fn ticks_during_a_wait_are_not_the_guests() {
    let engine = Engine::new(EngineConfig::with_slots(1)).unwrap();
    let echo = engine.load(loket_abi::ECHO_WAT.as_bytes(), &Default::default(), None).unwrap();
    // The tick that is under way when a slice begins is nobody's.
    for (ticks, waits, slices) in [(2, true, 0), (2, false, 1), (1, false, 0)] {
        let mut host = Ticking { ticker: engine.ticker(), ticks, waits, slices: 0 };
        let answer = echo.run(&LIMITS, message(b"call a b"), &mut host).await.unwrap();
        assert_eq!(answer, Ok(b"b".to_vec()));
        assert_eq!(host.slices, slices, "{ticks} ticks, waits: {waits}");
    }
}

#[tokio::test]
async fn a_memory_is_no_larger_than_its_slot_whatever_the_limit() {
    let engine = Engine::new(EngineConfig { memory_bytes: 1 << 20, ..EngineConfig::with_slots(1) });
    let engine = engine.unwrap();
    let bomb = engine.load(&hostile("memory-bomb"), &Default::default(), None).unwrap();
    let limits = RunLimits { memory_bytes: usize::MAX, ..LIMITS };
    let error = bomb.run(&limits, message(b""), &mut Script::default()).await.unwrap_err();
    assert!(matches!(error.cause, Cause::OutOfMemory { each_bytes: 0x10_0000, .. }), "{error}");
}
