//! Whether it is worth staying awake: what the last waits say about the next one.

use crate::metrics::waits;
use metrics::Counter;

/// Waits that are slept through at most after some that were in vain: of many in vain one in so many costs
/// [`AWAKE_NS`](crate::AWAKE_NS).
const SLEPT_MAX: u32 = 127;

/// What a thread has learned of its waits.
pub struct Mood {
    /// Waits to sleep through before the next try.
    sleeps: u32,
    /// Waits to sleep through after the next one in vain.
    then: u32,
    came: Counter,
    in_vain: Counter,
}

impl Mood {
    /// The one of a thread that has not waited yet. `who`: its kind, for the metrics.
    pub fn of(who: &'static str) -> Self {
        Self { sleeps: 0, then: 1, came: waits(who, "yes"), in_vain: waits(who, "no") }
    }

    /// Whether this wait begins awake.
    pub(crate) fn tries(&mut self) -> bool {
        let tries = self.sleeps == 0;
        self.sleeps = self.sleeps.saturating_sub(1);
        tries
    }

    /// What was waited for came in time.
    pub(crate) fn came(&mut self) {
        self.then = 1;
        self.came.increment(1);
    }

    /// It did not.
    pub(crate) fn in_vain(&mut self) {
        self.sleeps = self.then;
        self.then = (self.then * 2 + 1).min(SLEPT_MAX);
        self.in_vain.increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many waits are slept through until the next try.
    fn slept(mood: &mut Mood) -> u32 {
        (0..).take_while(|_| !mood.tries()).count() as u32
    }

    #[test]
    fn who_waits_in_vain_sleeps_longer_each_time_and_up_to_a_bound() {
        let mut mood = Mood::of("test");
        assert!(mood.tries(), "nobody knows yet");
        let mut all = Vec::new();
        for _ in 0..9 {
            mood.in_vain();
            all.push(slept(&mut mood));
        }
        assert_eq!(all, [1, 3, 7, 15, 31, 63, 127, 127, 127]);
        mood.came();
        assert!(mood.tries(), "what came is worth the next try");
        mood.in_vain();
        assert_eq!(slept(&mut mood), 1);
    }
}
