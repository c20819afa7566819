//! The machine, and the process's own time on it.

use crate::report::Machine;
use loket_runtime::Clock;
use rustix::time::{ClockId, clock_gettime};

/// Readings of the clock of which the cost is told.
const READINGS: u32 = 100_000;

/// The machine now.
pub(crate) fn machine(load_before: f64) -> Machine {
    Machine {
        cpu: cpu(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        system: system(),
        load_before,
        load_after: load(),
        optimised: !cfg!(debug_assertions),
    }
}

/// Processor time of the whole process.
pub(crate) fn cpu_ns() -> u64 {
    let at = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, ns) = (u64::try_from(at.tv_sec), u64::try_from(at.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(ns.unwrap_or(0))
}

/// What one reading of the clock costs, nanoseconds.
pub(crate) fn reading(clock: &Clock) -> f64 {
    let began = clock.monotonic_ns();
    let last = (0..READINGS).fold(began, |_, _| clock.monotonic_ns());
    last.saturating_sub(began) as f64 / f64::from(READINGS)
}

/// Load of the last minute.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown");
    name.trim().to_owned()
}

fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim())
}
