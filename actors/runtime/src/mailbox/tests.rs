//! What a mailbox promises, message by message and between threads.
#![allow(clippy::unwrap_used)]
use super::*;
use std::sync::atomic::AtomicU32;
use std::task::{Wake, Waker};

#[derive(Default)]
struct Count(AtomicU32);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn overload_is_a_value_and_gives_the_message_back() {
    let mailbox = Mailbox::new(2);
    mailbox.send("a").unwrap();
    mailbox.send("b").unwrap();
    let rejected = mailbox.send("c").unwrap_err();
    assert_eq!(rejected.message, "c");
    let (depth, capacity) = (2, 2);
    assert_eq!(rejected.error, Overloaded { depth, capacity }.into());
    assert_eq!(mailbox.try_recv(), Some("a"));
    mailbox.send("c").unwrap();
    assert_eq!(mailbox.high_water(), 2);
}

#[test]
fn every_clone_counts_against_the_same_bound() {
    let mailbox = Mailbox::new(4);
    let taken = (0..8).filter(|n| mailbox.clone().send(*n).is_ok()).count();
    assert_eq!(taken, 4);
}

#[test]
fn wakes_only_a_sleeping_receiver_and_once() {
    let mailbox = Mailbox::new(8);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    assert!(mailbox.poll_recv(&mut cx).is_pending());
    for n in 0..5 {
        mailbox.send(n).unwrap();
    }
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    for n in 0..5 {
        assert_eq!(mailbox.poll_recv(&mut cx), Poll::Ready(n));
    }
    mailbox.send(5).unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "an awake receiver needs no waking");
}

#[test]
fn a_dropped_receive_loses_nothing() {
    let mailbox = Mailbox::new(8);
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut first = std::pin::pin!(mailbox.recv());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        mailbox.send(1).unwrap();
    }
    assert_eq!(mailbox.poll_recv(&mut cx), Poll::Ready(1));
}

#[test]
fn a_closed_mailbox_drops_what_waits_and_takes_nothing() {
    let mailbox = Mailbox::new(8);
    let (reply, mut answer) = tokio::sync::oneshot::channel::<()>();
    mailbox.send(reply).unwrap();
    mailbox.close();
    assert!(
        answer
            .try_recv()
            .is_err_and(|error| { error == tokio::sync::oneshot::error::TryRecvError::Closed })
    );
    let (reply, _answer) = tokio::sync::oneshot::channel();
    assert_eq!(mailbox.send(reply).unwrap_err().error, SendError::Closed);
    mailbox.reopen();
    let (reply, _answer) = tokio::sync::oneshot::channel();
    assert!(mailbox.send(reply).is_ok());
}

#[test]
fn a_fenced_handle_takes_nothing_and_steals_no_wake() {
    let mailbox = Mailbox::new(8);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    mailbox.fence();
    let next = mailbox.attach();
    let mut cx = Context::from_waker(&waker);
    assert!(next.poll_recv(&mut cx).is_pending());
    assert!(mailbox.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending());
    mailbox.send(1).unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!((mailbox.try_recv(), next.try_recv()), (None, Some(1)));
}

#[test]
fn what_waits_is_sifted_only_while_nobody_receives() {
    let mailbox = Mailbox::new(4);
    (0..4).for_each(|n| mailbox.send(n).unwrap());
    let odd = |n: i32| (n % 2 == 1).then_some(n);
    mailbox.sift(odd);
    assert_eq!(mailbox.depth(), 4, "a reader is there");
    let (old, _) = (mailbox.attach(), mailbox.fence());
    old.leave();
    assert!(!mailbox.presence().is_away(), "a lost thread's reader is not the reader");
    mailbox.attach().leave();
    mailbox.sift(odd);
    let next = mailbox.attach();
    assert_eq!((next.try_recv(), next.try_recv(), next.try_recv()), (Some(1), Some(3), None));
}

#[test]
fn no_wake_is_lost_between_threads() {
    let mailbox = Mailbox::new(16);
    let (sender, total) = (mailbox.clone(), 50_000_u32);
    let thread = std::thread::spawn(move || {
        for n in 0..total {
            let mut message = n;
            while let Err(rejected) = sender.send(message) {
                message = rejected.message;
                std::thread::yield_now();
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for n in 0..total {
            assert_eq!(mailbox.recv().await, n);
        }
    });
    thread.join().unwrap();
}
