//! Metrics of the turn driver: names, units and help in one place.

use crate::engine::{LoadError, Made};
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

/// Turns by outcome: `completed`, `failed`, `parked`, `paused`, `letter`, `quarantined`.
pub const TURNS: &str = "loket_turns_total";
/// Guests that hold an instance.
pub const INSTANCES: &str = "loket_instances_live";
/// Turns that wait without an instance.
pub const PARKED: &str = "loket_turns_parked";
/// Turns that wait for a provider that is being restarted.
pub const PAUSED: &str = "loket_turns_paused";
/// Pauses by `outcome`: `resumed`, `set_aside` (its instance was dropped; it is run again), `restarting` (the guest was told).
pub const PAUSES: &str = "loket_pauses_total";
/// Seconds from a fresh instance to its end.
pub const TURN_SECONDS: &str = "loket_turn_run_seconds";
/// Turns re-run to bring a brain up.
pub const CAUGHT_UP: &str = "loket_turns_caught_up_total";

/// Turns that an incarnation began with what the one before it had left.
pub const HANDED_OVER: &str = "loket_turns_handed_over_total";

/// Modules loaded, by `outcome`: `cached`, `compiled_apart`, `compiled_here`, `refused`, `compiler_lost`.
pub const MODULES: &str = "loket_modules_loaded_total";

/// Describes them to the recorder.
pub fn describe() {
    describe_counter!(TURNS, Unit::Count, "Turns by outcome");
    describe_gauge!(INSTANCES, Unit::Count, "Guests that hold an instance");
    describe_gauge!(PARKED, Unit::Count, "Turns that wait without an instance");
    describe_gauge!(PAUSED, Unit::Count, "Turns that wait for a provider that is being restarted");
    describe_counter!(PAUSES, Unit::Count, "Pauses of turns by outcome");
    describe_histogram!(TURN_SECONDS, Unit::Seconds, "From a fresh instance to its end");
    let help = "Turns that began with what the incarnation before had left";
    describe_counter!(HANDED_OVER, Unit::Count, help);
    describe_counter!(MODULES, Unit::Count, "Modules loaded, by where their code came from");
    describe_counter!(CAUGHT_UP, Unit::Count, "Turns re-run to bring a brain up to the ledger");
}

/// The handles of what every turn counts: looking one up by its name costs more than counting.
struct Handles {
    completed: Counter,
    instances: Gauge,
    seconds: Histogram,
}

thread_local! {
    static HANDLES: Handles = Handles {
        completed: counter!(TURNS, "outcome" => "completed"),
        instances: gauge!(INSTANCES),
        seconds: histogram!(TURN_SECONDS),
    };
}

/// Counts a turn that ended otherwise than by its completion.
pub(super) fn turn(outcome: &'static str) {
    counter!(TURNS, "outcome" => outcome).increment(1);
}

pub(super) fn completed() {
    HANDLES.with(|handles| handles.completed.increment(1));
}

/// Counts one instance for as long as it is held.
pub(super) struct Live(Gauge);

impl Live {
    pub(super) fn new() -> Self {
        let instances = HANDLES.with(|handles| handles.instances.clone());
        instances.increment(1.0);
        Self(instances)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Counts one parked turn for as long as it waits.
pub(super) struct Parked(());

impl Parked {
    pub(super) fn new() -> Self {
        gauge!(PARKED).increment(1.0);
        Self(())
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        gauge!(PARKED).decrement(1.0);
    }
}

/// Counts one paused turn for as long as it is.
pub(super) struct Paused(());

impl Paused {
    pub(super) fn new() -> Self {
        gauge!(PAUSED).increment(1.0);
        Self(())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        gauge!(PAUSED).decrement(1.0);
    }
}

pub(super) fn pause(outcome: &'static str) {
    counter!(PAUSES, "outcome" => outcome).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a turn lasts far less than 2^52 ms")]
pub(super) fn ran(ms: u64) {
    HANDLES.with(|handles| handles.seconds.record(ms as f64 / 1e3));
}

pub(super) fn handed_over() {
    counter!(HANDED_OVER).increment(1);
}

pub(super) fn caught_up() {
    counter!(CAUGHT_UP).increment(1);
}

/// Counts a module that was loaded, or was not.
pub(super) fn loaded(made: Result<Made, &LoadError>) {
    let outcome = match made {
        Ok(Made::Before) => "cached",
        Ok(Made::Apart) => "compiled_apart",
        Ok(Made::Here) => "compiled_here",
        Err(LoadError::CompilerLost { .. }) => "compiler_lost",
        Err(_) => "refused",
    };
    counter!(MODULES, "outcome" => outcome).increment(1);
}
