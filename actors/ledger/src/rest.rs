//! The writer without requests: awake for a little, then asleep until there is something to do.

use crate::engine::Engine;
use crate::upkeep;
use crate::writer::Order;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use loket_crossing::{Mood, receive};
use std::time::Duration;

/// How long nobody must have asked for anything before the writer gives back what only a burst needs.
const REST_AFTER: Duration = Duration::from_secs(1);

/// What a writer does without requests.
pub(crate) struct Rest {
    /// What the last burst needed has been given back.
    rested: bool,
    /// It has worked since it last waited: who has only slept has nobody to expect.
    busy: bool,
    mood: Mood,
}

impl Rest {
    pub(crate) fn new() -> Self {
        Self { rested: false, busy: false, mood: Mood::of("ledger") }
    }

    /// There are requests again.
    pub(crate) fn over(&mut self) {
        (self.rested, self.busy) = (false, true);
    }

    /// Waits for a request, or until there is something else to do.
    pub(crate) fn wait(
        &mut self,
        engine: &mut Engine,
        from: &Receiver<Order>,
    ) -> Result<Order, RecvTimeoutError> {
        if std::mem::take(&mut self.busy)
            && let Some(order) = receive(from, &mut self.mood)
        {
            return Ok(order);
        }
        let patience = patience(engine);
        let rests = !self.rested && patience >= REST_AFTER;
        let came = from.recv_timeout(if rests { REST_AFTER } else { patience });
        if rests && came.is_err() {
            self.rested = upkeep::rest(engine);
        }
        came
    }
}

/// How long an idle writer sleeps: until a timer may be due, or the moment is to be written down.
fn patience(engine: &mut Engine) -> Duration {
    let clock = Duration::from_millis(upkeep::CLOCK_EVERY_MS);
    let now_ms = engine.now();
    let timers = engine.timers.patience(now_ms).unwrap_or(clock);
    // Not less than the clock's own step: a sleep of nothing would spin.
    timers.clamp(Duration::from_millis(1), clock)
}
