//! A turn whose call finds its provider between two incarnations is paused: its time stands still, the watchdog does not count it,
//! `tree` shows whom it waits for, and nothing is charged. The agent's `pause_max` bounds it; then the guest is told `restarting`.
//!
//! Must never take back a call that a provider may have seen: what is paused was given back untaken, or is sent again as its class
//! allows (rule C4).

use super::brain::DOWN;
use super::calls::Counter;
use super::end::{Failed, Halt};
use super::metrics;
use super::turn::Agent;
use loket_runtime::{Clock, Control, Paused, Presence};
use loket_turn::{Failure, TurnNo};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// What a guest that saw `restarting` should wait when nobody has said when the provider is back, milliseconds.
pub(super) const RESTARTING_RETRY_MS: u64 = 1_000;

/// The pauses of one agent's incarnation. A clone is the same.
#[derive(Clone)]
pub(super) struct Pauses {
    control: Control,
    clock: Clock,
    /// How long one turn may be paused in all, milliseconds.
    most_ms: u64,
    /// How long the turn of this number has been, in all its runs.
    spent: Rc<Cell<(TurnNo, u64)>>,
}

/// One pause of one turn, for as long as it lasts.
pub(super) struct Pause {
    of: Pauses,
    n: TurnNo,
    shown: Paused,
    _counted: metrics::Paused,
}

impl Pauses {
    pub(super) fn new(control: &Control, clock: &Clock, most_ms: u64) -> Self {
        let (control, clock, spent) = (control.clone(), clock.clone(), Rc::default());
        Self { control, clock, most_ms, spent }
    }

    /// Begins one.
    pub(super) fn begin(&self, n: TurnNo, on: &Arc<Presence>) -> Pause {
        let shown = self.control.pause(on, &self.clock);
        Pause { of: self.clone(), n, shown, _counted: metrics::Paused::new() }
    }

    fn spent_ms(&self, n: TurnNo) -> u64 {
        let (of, ms) = self.spent.get();
        if of == n { ms } else { 0 }
    }
}

impl Pause {
    /// Until when it may last, on the monotonic clock.
    pub(super) fn until_ms(&self) -> u64 {
        let left_ms = self.of.most_ms.saturating_sub(self.of.spent_ms(self.n));
        self.of.clock.monotonic_ms().saturating_sub(self.shown.ms()).saturating_add(left_ms)
    }

    /// How long it has lasted, milliseconds.
    pub(super) fn ms(&self) -> u64 {
        self.shown.ms()
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let spent_ms = self.of.spent_ms(self.n).saturating_add(self.shown.ms());
        self.of.spent.set((self.n, spent_ms));
    }
}

impl Counter {
    /// Waits until the provider is there again; then the call is to be sent once more. A failure when it will not be within the
    /// bound. The turn is set aside, its instance dropped, when it takes long or when others want the slot (rule H1).
    pub(super) async fn pause(
        &self,
        name: &str,
        on: &Arc<Presence>,
    ) -> Result<Option<Failure>, Halt> {
        let pause = self.pauses.begin(self.turn.key.n, on);
        tracing::info!(
            agent = %self.turn.key.agent, capability = name, provider = on.name(),
            "paused: its provider is being restarted"
        );
        let until_ms = pause.until_ms();
        let waited = tokio::select! {
            biased;
            back = on.back(&self.clock, until_ms) => Some(back),
            () = self.pauses.control.stop() => None,
            () = self.slots.contended() => None,
            () = self.clock.sleep(self.park_after_ms) => None,
        };
        // The guest's time has stood still.
        self.paused_ms.set(self.paused_ms.get().saturating_add(pause.ms()));
        let late = match waited {
            Some(Ok(())) => {
                metrics::pause("resumed");
                return Ok(None);
            }
            None => {
                metrics::pause("set_aside");
                return Err(Halt::Away(Arc::clone(on)));
            }
            Some(Err(late)) => late,
        };
        metrics::pause("restarting");
        let after_ms = late.due_in_ms.unwrap_or(RESTARTING_RETRY_MS);
        let text = format!(
            "{}, which serves {name}, is being restarted; a turn is paused for at most {} ms (`pause_max`)",
            on.name(),
            self.pauses.most_ms
        );
        Ok(Some(Failure::retryable("restarting", text, Some(after_ms))))
    }
}

impl Agent {
    /// Waits without an instance until a provider is there again, or as long as a turn may be paused: its call is then told so. Only
    /// without the store is there no turn.
    pub(super) async fn set_aside(
        &self,
        n: TurnNo,
        provider: &Arc<Presence>,
        control: &Control,
    ) -> Result<(), Failed> {
        metrics::turn("paused");
        let pause = self.pauses.begin(n, provider);
        let back = tokio::select! {
            biased;
            () = control.stop() => Ok(()),
            back = provider.back(&self.services.clock, pause.until_ms()) => back,
        };
        match back {
            Err(_) if self.brain.away().is_some() => {
                let text = format!("{} is not back within `pause_max`", provider.name());
                Err(Failed::environment(DOWN, text))
            }
            _ => Ok(()),
        }
    }
}
