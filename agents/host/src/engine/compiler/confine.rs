//! What a process that compiles may take of the machine, and how it ends when nobody waits for it any more.
//!
//! The bounds are the machine's own: no module can talk its way around them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Time of a processor, seconds. 16 MiB in small functions take 5, a single function of 1 MiB full of branches takes 22; a module of
/// fifteen such functions, which the limits on size let through, would take five minutes.
const PROCESSOR_SECONDS: u64 = 120;

/// More of it before the system ends the process without a signal that says why, seconds.
const PROCESSOR_GRACE_SECONDS: u64 = 2;

/// Address space, bytes: some 300 MiB for the pool's slot, and 650 MiB at most for the modules above. A function of 1 MiB with a
/// thousand locals, assigned in as many branches as fit, asks for 6.5 GB at once.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;

/// The first one to go when the machine runs out of memory, as the system counts it.
const FIRST_TO_GO: &str = "1000";

/// Bounds this process, for good: processor time, address space, no file written, no core dump; it ends with the thread that
/// started it, and goes first when memory is short. For a process that does nothing but compile.
///
/// # Errors
/// The system refused a bound.
pub fn confine() -> io::Result<()> {
    // With kill -9 of the fleet this process would otherwise go on to its bounds.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // Where there is no such file the system chooses as it likes.
    let _ = std::fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
    at_most(Resource::Cpu, PROCESSOR_SECONDS, PROCESSOR_GRACE_SECONDS)?;
    at_most(Resource::As, ADDRESS_SPACE_BYTES, 0)?;
    at_most(Resource::Fsize, 0, 0)?;
    at_most(Resource::Core, 0, 0)
}

/// Lowers a bound, and the bound of the bound, which is so much higher; what is lower already stays.
fn at_most(resource: Resource, most: u64, grace: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let lower = |bound: Option<u64>, most: u64| Some(bound.map_or(most, |bound| bound.min(most)));
    let (current, maximum) = (lower(now.current, most), lower(now.maximum, most + grace));
    Ok(setrlimit(resource, Rlimit { current, maximum })?)
}
