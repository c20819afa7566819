//! Calls that are answered inside the guest's own call, and those that are not.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use loket_host::engine::{
    Abort, Answer, AtOnce, Cause, Engine, EngineConfig, Host, Module, RunLimits,
};
use support::{echo, engine, message};

const LIMITS: RunLimits =
    RunLimits { memory_bytes: 1 << 20, table_elements: 100, output_bytes: 1 << 10, slice_ticks: 1 };

/// Goes so deep as the first four bytes of the message say, calls there, and answers with what it was told.
const DEEP: &str = r#"(module
  (import "loket:agent/counter@1.0.0" "call" (func $call (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "a.b")
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func $down (param $n i32)
    (if (local.get $n)
      (then (call $down (i32.sub (local.get $n) (i32.const 1))))
      (else (call $call (i32.const 16) (i32.const 3) (i32.const 16) (i32.const 3) (i32.const 64)))))
  (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $down (i32.load (local.get 6)))
    (i32.const 64)))"#;

/// What it does with one call after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Answer,
    Wait,
    Abort,
}

/// Answers with its name, the capability and the arguments.
struct Desk {
    name: &'static str,
    does: Does,
    /// Bytes of stack that it needs for an answer.
    stack: usize,
    begun: RefCell<Option<Vec<u8>>>,
    answered: Cell<usize>,
}

impl Desk {
    fn new(name: &'static str, does: Does) -> Self {
        let (begun, answered) = (RefCell::default(), Cell::default());
        Self { name, does, stack: 0, begun, answered }
    }
}

impl AtOnce for Desk {
    fn call(&self, capability: &str, args: &[u8]) -> Option<Result<Answer, Abort>> {
        let top = 0_u8;
        black_box(eat(std::ptr::from_ref(&top).addr(), self.stack));
        let said = format!("{} {capability} {}", self.name, String::from_utf8_lossy(args));
        match self.does {
            Does::Answer => {
                self.answered.set(self.answered.get() + 1);
                Some(Ok(Ok(said.into_bytes())))
            }
            Does::Wait => {
                assert_eq!(self.begun.replace(Some(said.into_bytes())), None);
                None
            }
            Does::Abort => Some(Err(Abort::Park)),
        }
    }
}

/// Frame after frame, until so many bytes below `top` are used.
fn eat(top: usize, bytes: usize) -> usize {
    let frame = black_box([0_u8; 1 << 10]);
    let here = std::ptr::from_ref(&frame).addr();
    match top.saturating_sub(here) < bytes {
        true => eat(top, bytes).wrapping_add(usize::from(frame[bytes % frame.len()])),
        false => here,
    }
}

struct Driver(Rc<Desk>);

impl Host for Driver {
    async fn call(&mut self, _: String, _: Vec<u8>) -> Result<Answer, Abort> {
        panic!("what answers at once was passed over")
    }

    fn at_once(&self) -> Option<Rc<dyn AtOnce>> {
        Some(Rc::clone(&self.0) as Rc<dyn AtOnce>)
    }

    async fn rest(&mut self) -> Result<Answer, Abort> {
        tokio::task::yield_now().await;
        Ok(Ok(self.0.begun.take().unwrap()))
    }
}

/// Both at once, on this thread.
async fn both(module: &Module, one: &Rc<Desk>, other: &Rc<Desk>) -> (Answer, Answer) {
    let (mut first, mut second) = (Driver(Rc::clone(one)), Driver(Rc::clone(other)));
    let first = module.run(&LIMITS, message(b"call a.b 1"), &mut first);
    let second = module.run(&LIMITS, message(b"call c.d 2"), &mut second);
    let (first, second) = tokio::join!(first, second);
    (first.unwrap(), second.unwrap())
}

#[test]
fn what_is_answered_at_once_never_leaves_the_fibre() {
    let (module, desk) = (echo(), Rc::new(Desk::new("desk", Does::Answer)));
    let mut driver = Driver(Rc::clone(&desk));
    let mut turn = pin!(module.run(&LIMITS, message(b"call a.b cd"), &mut driver));
    let Poll::Ready(answer) = turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waited for something")
    };
    assert_eq!(answer.unwrap(), Ok(b"desk a.b cd".to_vec()));
    assert_eq!(desk.answered.get(), 1);
}

#[tokio::test]
async fn guests_of_one_thread_are_each_answered_by_their_own() {
    let module = echo();
    for (first, second) in
        [(Does::Wait, Does::Wait), (Does::Wait, Does::Answer), (Does::Answer, Does::Wait)]
    {
        let (one, other) = (Rc::new(Desk::new("one", first)), Rc::new(Desk::new("other", second)));
        let (first, second) = both(&module, &one, &other).await;
        assert_eq!((first, second), (Ok(b"one a.b 1".to_vec()), Ok(b"other c.d 2".to_vec())));
        assert_eq!(Rc::strong_count(&one), 1, "nothing is left on duty");
    }
}

#[tokio::test]
async fn a_turn_that_is_ended_inside_its_call_frees_its_slot() {
    let engine = Engine::new(EngineConfig::with_slots(1)).unwrap();
    let echo = engine.load(loket_abi::ECHO_WAT.as_bytes(), &Default::default(), None).unwrap();
    let desk = Rc::new(Desk::new("desk", Does::Abort));
    for _ in 0..10 {
        let mut driver = Driver(Rc::clone(&desk));
        let error = echo.run(&LIMITS, message(b"call a"), &mut driver).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Aborted(Abort::Park)), "{error}");
    }
}

/// Kernel and provider handle a call in place on the guest's fibre, however deep the guest is.
#[tokio::test]
async fn what_answers_has_room_above_a_guest_that_has_used_all_of_its_own() {
    let module = engine().load(DEEP.as_bytes(), &Default::default(), None).unwrap();
    let desk = Rc::new(Desk { stack: 900 << 10, ..Desk::new("desk", Does::Answer) });
    let (mut fits, mut overflows) = (0_u32, 1 << 20);
    while overflows - fits > 1 {
        let depth = fits.midpoint(overflows);
        let (body, mut driver) = (depth.to_le_bytes(), Driver(Rc::clone(&desk)));
        match module.run(&LIMITS, message(&body), &mut driver).await {
            Ok(answer) => {
                assert_eq!(answer, Ok(b"desk a.b a.b".to_vec()));
                fits = depth;
            }
            Err(error) => {
                assert!(matches!(error.cause, Cause::Stack), "{error}");
                overflows = depth;
            }
        }
    }
    assert!(fits > 1_000, "the deepest call was made at {fits}");
}
