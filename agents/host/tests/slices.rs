//! A lane with 24 endless guests: what a neighbour pays, counted in slices, not in time.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loket_host::engine::{
    Abort, Answer, Background, Cause, HEAVY, Host, REST, RunLimits, SLICE, SliceVerdict, Sliced,
};
use support::{engine, hostile, message};
use tokio::task::{LocalSet, spawn_local, yield_now};

const GUESTS: usize = 24;

/// Rounds of the lane in which the neighbour is watched.
const ROUNDS: usize = 100;

const LIMITS: RunLimits =
    RunLimits { memory_bytes: 1 << 20, table_elements: 100, output_bytes: 1 << 10, slice_ticks: 0 };

/// Counts a guest's slices in a counter of the lane; ends it once the neighbour is done.
struct Counted {
    mine: Rc<RefCell<Vec<usize>>>,
    number: usize,
    over: Rc<Cell<bool>>,
}

impl Host for Counted {
    async fn call(&mut self, _: String, _: Vec<u8>) -> Result<Answer, Abort> {
        Err(Abort::Interrupt)
    }

    fn slice(&mut self) -> SliceVerdict {
        self.mine.borrow_mut()[self.number] += 1;
        if self.over.get() { SliceVerdict::Kill } else { SliceVerdict::Continue }
    }
}

#[tokio::test]
async fn endless_guests_cost_a_neighbour_one_slice_a_round() {
    let module = engine().load(&hostile("endless-loop"), &Default::default(), None).unwrap();
    let slices = Rc::new(RefCell::new(vec![0; GUESTS]));
    let over = Rc::new(Cell::new(false));
    let lane = LocalSet::new();
    let lane_work = async {
        let background = Background::new();
        let driver = spawn_local(background.clone().drive());
        let mut turns = Vec::new();
        for number in 0..GUESTS {
            let (module, background) = (module.clone(), background.clone());
            let mut host = Counted { mine: slices.clone(), number, over: over.clone() };
            turns.push(spawn_local(async move {
                let turn = module.run(&LIMITS, message(b""), &mut host);
                background.slice(turn).await
            }));
        }
        let total = || slices.borrow().iter().sum::<usize>();
        while background.waiting() + 1 < GUESTS {
            yield_now().await;
        }
        let start = total();
        let mut worst = 0;
        for _ in 0..ROUNDS {
            let before = total();
            yield_now().await;
            worst = worst.max(total() - before);
        }
        assert!(worst <= 1, "a round of the lane had {worst} slices of guests");
        assert!(total() - start >= ROUNDS - 1, "the guests go on: {} slices", total() - start);
        let (least, most) = spread(&slices.borrow());
        assert!(most - least <= 1, "in turn: between {least} and {most} slices each");
        over.set(true);
        for turn in turns {
            assert_eq!(turn.await.unwrap().unwrap_err().cause, Cause::Killed);
        }
        driver.abort();
        assert_eq!(background.waiting(), 0);
    };
    lane.run_until(lane_work).await;
}

fn spread(counts: &[usize]) -> (usize, usize) {
    (*counts.iter().min().unwrap(), *counts.iter().max().unwrap())
}

/// A future that wakes itself at every poll, for ever.
struct Restless(Rc<Cell<usize>>);

impl Future for Restless {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.set(self.0.get() + 1);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn a_poll_out_of_turn_runs_no_slice() {
    let background = Background::new();
    let polls = Rc::new(Cell::new(0));
    let mut cx = Context::from_waker(Waker::noop());
    let mut sliced = pin!(background.slice(Restless(polls.clone())));
    for _ in 0..5 {
        assert!(sliced.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!((polls.get(), background.waiting()), (1, 1));
    let mut driver = pin!(background.clone().drive());
    assert!(driver.as_mut().poll(&mut cx).is_pending());
    assert_eq!(background.waiting(), 0);
    assert!(sliced.as_mut().poll(&mut cx).is_pending());
    assert_eq!((polls.get(), background.waiting()), (2, 1));
}

#[test]
fn a_dropped_future_leaves_the_queue() {
    let background = Background::new();
    let mut cx = Context::from_waker(Waker::noop());
    let polls = Rc::new(Cell::new(0));
    let mut kept = Box::pin(background.slice(Restless(polls.clone())));
    let mut dropped = Box::pin(background.slice(Restless(polls)));
    assert!(kept.as_mut().poll(&mut cx).is_pending());
    assert!(dropped.as_mut().poll(&mut cx).is_pending());
    assert_eq!(background.waiting(), 2);
    drop(dropped);
    assert_eq!(background.waiting(), 1);
}

#[tokio::test]
async fn a_wake_from_elsewhere_does_not_queue() {
    let background = Background::new();
    let (send, receive) = tokio::sync::oneshot::channel();
    let sliced = background.slice(receive);
    // No driver runs: were the wake queued, this would never end.
    let (got, sent) = tokio::join!(sliced, async {
        yield_now().await;
        send.send(7)
    });
    assert_eq!((got, sent), (Ok(7), Ok(())));
}

#[tokio::test]
async fn a_wake_from_another_thread_during_a_poll_is_not_lost() {
    let lane = LocalSet::new();
    let work = async {
        let background = Background::new();
        let driver = spawn_local(background.clone().drive());
        for round in 0..500 {
            let mut woken = false;
            let slept = poll_fn(move |cx| {
                if woken {
                    return Poll::Ready(());
                }
                woken = true;
                let waker = cx.waker().clone();
                // The thread wakes at any point of this poll, or after it.
                let thread = std::thread::spawn(move || waker.wake());
                if round % 2 == 0 {
                    std::thread::yield_now();
                }
                drop(thread);
                Poll::Pending
            });
            background.slice(slept).await;
        }
        driver.abort();
    };
    lane.run_until(work).await;
}

/// A lane's time, moved by hand. Each test has a thread of its own.
mod time {
    use loket_host::engine::LaneTime;
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) const TIME: LaneTime = LaneTime { now: || NOW.get(), worked: || WORKED.get() };

    pub(crate) fn pass(now: Duration, worked: Duration) {
        NOW.set(NOW.get() + now);
        WORKED.set(WORKED.get() + worked);
    }
}

/// Wakes itself at every poll, keeping the lane for so long each time.
struct Slow {
    now: Duration,
    worked: Duration,
    polls: Rc<Cell<usize>>,
}

impl Slow {
    fn new(now: Duration, worked: Duration) -> (Self, Rc<Cell<usize>>) {
        let polls = Rc::<Cell<usize>>::default();
        (Self { now, worked, polls: polls.clone() }, polls)
    }
}

impl Future for Slow {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.polls.set(self.polls.get() + 1);
        time::pass(self.now, self.worked);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One round of the lane: the driver, then whatever is there.
fn round(driver: &mut Pin<&mut impl Future<Output = ()>>, turns: &mut [Pin<Box<Sliced<Slow>>>]) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(driver.as_mut().poll(&mut cx).is_pending());
    for turn in turns {
        assert!(turn.as_mut().poll(&mut cx).is_pending());
    }
}

#[tokio::test]
async fn the_lane_rests_from_turns_whose_polls_are_long() {
    let background = Background::measured(time::TIME);
    let mut driver = pin!(background.clone().drive());
    let (slow, slow_polls) = Slow::new(2 * HEAVY, 2 * HEAVY);
    let (other, other_polls) = Slow::new(2 * HEAVY, 2 * HEAVY);
    let (light, light_polls) = Slow::new(SLICE, SLICE);
    let mut turns = [slow, other, light].map(|it| Box::pin(background.slice(it)));
    round(&mut driver, &mut turns);
    assert_eq!((slow_polls.get(), other_polls.get()), (1, 1), "nobody knew of them before");
    let rounds = 2 * HEAVY * REST / u32::try_from(SLICE.as_micros()).unwrap();
    let rounds = rounds.as_micros() as usize - 1;
    for _ in 0..rounds {
        round(&mut driver, &mut turns);
    }
    assert_eq!((slow_polls.get(), other_polls.get()), (1, 1), "the rest is not over");
    assert!(light_polls.get() >= rounds, "who is not heavy pays nothing: {}", light_polls.get());
    round(&mut driver, &mut turns);
    round(&mut driver, &mut turns);
    assert_eq!(slow_polls.get(), 2, "after the rest it goes on");
    assert_eq!(other_polls.get(), 1, "one of them a rest, however many there are");
}

#[tokio::test]
async fn a_poll_during_which_others_had_the_core_is_not_heavy() {
    let background = Background::measured(time::TIME);
    let mut driver = pin!(background.clone().drive());
    let (late, polls) = Slow::new(10 * HEAVY, SLICE);
    let mut turns = [Box::pin(background.slice(late))];
    for _ in 0..10 {
        round(&mut driver, &mut turns);
    }
    assert!(polls.get() >= 9, "{}", polls.get());
}

#[tokio::test]
async fn an_agent_whose_turns_were_heavy_pays_in_its_next() {
    let background = Background::measured(time::TIME);
    let name: std::sync::Arc<str> = "a".into();
    let mut cx = Context::from_waker(Waker::noop());
    let mut poll = |name: &std::sync::Arc<str>| {
        let (slow, polls) = Slow::new(2 * HEAVY, 2 * HEAVY);
        let mut turn = pin!(background.turn(name, slow));
        assert!(turn.as_mut().poll(&mut cx).is_pending());
        polls.get()
    };
    assert_eq!(poll(&name), 1);
    assert_eq!(poll(&name), 1, "once can happen to anybody");
    assert_eq!(poll(&name), 0, "its next turn begins after the rest");
    assert_eq!(poll(&"b".into()), 1, "another's does not wait");
    time::pass(2 * HEAVY * REST, Duration::ZERO);
    assert_eq!(poll(&name), 1);
    assert_eq!(background.waiting(), 0, "what was dropped left the queue");
}
