//! A thread that waits for its queue.

use crate::clock::{Awake, offer_core};
use crate::{Bulk, Mood, stays_awake};
use crossbeam_channel::{Receiver, TryRecvError};

/// Looks into the queue before the core is offered to others.
const LOOKS: u32 = 32;

/// What comes into the queue while the thread stays awake; `None`: nothing did, and it may as well sleep.
pub fn receive<T>(from: &Receiver<T>, mood: &mut Mood) -> Option<T> {
    if !stays_awake() || !mood.tries() {
        return None;
    }
    let awake = Awake::begin();
    while !awake.is_over() {
        for _ in 0..LOOKS {
            match from.try_recv() {
                Ok(came) => {
                    mood.came();
                    return Some(came);
                }
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
            }
        }
        if Bulk::is_there() {
            return None;
        }
        if offer_core() {
            break;
        }
    }
    mood.in_vain();
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_there_is_taken_and_an_empty_queue_lets_the_thread_sleep() {
        let (to, from) = crossbeam_channel::bounded(1);
        let mut mood = Mood::of("test");
        to.try_send(7).unwrap();
        if stays_awake() {
            assert_eq!(receive(&from, &mut mood), Some(7));
        }
        assert_eq!(receive(&from, &mut mood), None, "nothing comes, and it ends");
        drop(to);
        assert_eq!(receive(&from, &mut mood), None, "nobody is there any more");
    }
}
