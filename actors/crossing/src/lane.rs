//! A lane that expects another thread's answer.
//!
//! Beside the lane's cells runs one task that gives way to all of them and to the machine's events at each step: nothing is kept
//! waiting by it.

use crate::clock::{Awake, offer_core};
use crate::{Bulk, Mood, stays_awake};
use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

/// Answers that a lane expects, and has had. The lane alone adds to them, but for what is dropped elsewhere.
#[derive(Debug, Default)]
struct Answers {
    asked: AtomicU64,
    had: AtomicU64,
}

impl Answers {
    /// Whether any is to come.
    fn are_expected(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != self.had.load(Ordering::Relaxed)
    }
}

struct Lane {
    answers: Arc<Answers>,
    /// Wakes the task while it sleeps.
    sleeper: Option<Waker>,
}

thread_local! {
    /// The lane of this thread, if it is one.
    static LANE: RefCell<Option<Lane>> = const { RefCell::new(None) };
}

/// While it is there, this thread expects an answer of another one. On a thread that is no lane it does nothing.
#[derive(Debug)]
pub struct Expected(Option<Arc<Answers>>);

impl Expected {
    /// From now on.
    pub fn begin() -> Self {
        LANE.with_borrow_mut(|lane| {
            let Some(lane) = lane else { return Self(None) };
            lane.answers.asked.fetch_add(1, Ordering::Relaxed);
            if let Some(sleeper) = lane.sleeper.take() {
                sleeper.wake();
            }
            Self(Some(Arc::clone(&lane.answers)))
        })
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        if let Some(answers) = &self.0 {
            answers.had.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The task of a lane that keeps it awake while it expects answers: run it once on the lane's thread. It never ends.
pub async fn keep_awake() {
    if !stays_awake() {
        return;
    }
    let answers = Arc::<Answers>::default();
    LANE.set(Some(Lane { answers: Arc::clone(&answers), sleeper: None }));
    let mut mood = Mood::of("lane");
    loop {
        asked(&answers).await;
        if mood.tries() {
            stay(&answers, &mut mood).await;
        }
    }
}

/// Sleeps until the lane asks for something more.
async fn asked(answers: &Answers) {
    let before = answers.asked.load(Ordering::Relaxed);
    poll_fn(|context| {
        if answers.asked.load(Ordering::Relaxed) != before {
            return Poll::Ready(());
        }
        LANE.with_borrow_mut(|lane| {
            if let Some(lane) = lane {
                lane.sleeper = Some(context.waker().clone());
            }
        });
        Poll::Pending
    })
    .await;
}

/// Stays awake until all answers are there, or none has come for long.
async fn stay(answers: &Answers, mood: &mut Mood) {
    if !answers.are_expected() {
        // It was there before anybody waited for it.
        return;
    }
    let (mut awake, mut had) = (Awake::begin(), answers.had.load(Ordering::Relaxed));
    let mut works = false;
    while answers.are_expected() {
        let now = answers.had.load(Ordering::Relaxed);
        if now != had {
            (awake, had) = (Awake::begin(), now);
        } else if Bulk::is_there() {
            return;
        } else if awake.is_over() || (!works && offer_core()) {
            return mood.in_vain();
        }
        let pass = Awake::begin();
        tokio::task::yield_now().await;
        works = pass.was_work();
    }
    mood.came();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::rc::Rc;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// Bulk is the whole process's: one of these tests at a time.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane that expects one answer and has learned nothing yet, alone.
    fn waiting() -> (MutexGuard<'static, ()>, Arc<Answers>, Mood) {
        let alone = alone();
        let (answers, mood) = (Arc::<Answers>::default(), Mood::of("test"));
        answers.asked.fetch_add(1, Ordering::Relaxed);
        (alone, answers, mood)
    }

    /// Waits on a runtime of its own. `comes`: one answer does, as soon as others on the lane get their turn. Tells how many waits
    /// are slept through if the next one is in vain.
    fn learned(answers: &Arc<Answers>, mood: &mut Mood, comes: bool) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let had = Arc::clone(answers);
            if comes {
                tokio::task::spawn_local(async move { had.had.fetch_add(1, Ordering::Relaxed) });
            }
            stay(answers, mood).await;
        });
        (0..).take_while(|_| !mood.tries()).count()
    }

    #[test]
    fn an_answer_that_comes_meanwhile_is_worth_the_next_try_and_none_is_not() {
        let (_alone, answers, mut mood) = waiting();
        assert_eq!(
            learned(&answers, &mut mood, false),
            1,
            "it did not come, and the lane may sleep"
        );
        assert_eq!(learned(&answers, &mut mood, false), 3);
        // Beside others that want the core it may come too late.
        assert!((0..1_000).any(|_| learned(&answers, &mut mood, true) == 0));
        answers.asked.fetch_add(1, Ordering::Relaxed);
        assert_eq!(learned(&answers, &mut mood, false), 1, "who has seen one come begins anew");
    }

    #[test]
    fn from_an_answer_that_was_there_nothing_is_learned() {
        let (_alone, answers, mut mood) = waiting();
        assert_eq!(learned(&answers, &mut mood, false), 1);
        answers.had.fetch_add(1, Ordering::Relaxed);
        assert_eq!(learned(&answers, &mut mood, false), 0);
        answers.asked.fetch_add(1, Ordering::Relaxed);
        assert_eq!(learned(&answers, &mut mood, false), 3, "it is the second in vain");
    }

    #[test]
    fn work_that_lets_others_go_first_has_the_core() {
        let (_alone, answers, mut mood) = waiting();
        let bulk = crate::Bulk::begin();
        assert_eq!(learned(&answers, &mut mood, false), 0, "it is not even tried");
        drop(bulk);
        assert_eq!(learned(&answers, &mut mood, false), 1);
    }

    #[test]
    fn what_is_asked_wakes_the_task_and_what_is_dropped_is_no_longer_expected() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answers = Arc::<Answers>::default();
        assert!(Expected::begin().0.is_none(), "this thread is no lane");
        LANE.set(Some(Lane { answers: Arc::clone(&answers), sleeper: None }));
        let woken = Rc::new(std::cell::Cell::new(false));
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (answers, told) = (Arc::clone(&answers), Rc::clone(&woken));
            let waits = tokio::task::spawn_local(async move {
                asked(&answers).await;
                told.set(true);
            });
            tokio::task::yield_now().await;
            assert!(!woken.get(), "nothing was asked yet");
            let expected = Expected::begin();
            waits.await.unwrap();
            drop(expected);
        });
        assert!(woken.get());
        assert!(!answers.are_expected());
        LANE.set(None);
    }
}
