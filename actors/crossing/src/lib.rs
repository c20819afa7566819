//! Crossing a thread: who waits for another thread's word stays awake for a little before it sleeps.
//!
//! To wake a thread that sleeps takes some 45 µs, and costs whoever wakes it a part of that; an answer of the ledger often comes
//! sooner. So a lane that expects one ([`Expected`]) goes on looking for it, and so does the ledger's thread for the next request
//! ([`receive`]): for [`AWAKE_NS`] at most, and only until somebody else wants the core, to whom it is offered all the while. Who was
//! awake in vain sleeps at once the next times ([`Mood`]), and while there is work for threads that let the others go first ([`Bulk`])
//! nobody stays awake.
//!
//! Must never decide anything: with [`AWAKE`] set to `off`, or on a machine of one core, all is the same but for the time. Start
//! reading at [`keep_awake`].

mod bulk;
mod clock;
mod lane;
pub mod metrics;
mod mood;
mod receive;

pub use bulk::Bulk;
pub use lane::{Expected, keep_awake};
pub use mood::Mood;
pub use receive::receive;

use std::sync::OnceLock;

/// How long a thread stays awake at most since it last got what it waits for, nanoseconds: a group commit with a quick disk's fsync,
/// or the part of a turn that lies between two requests of one agent.
pub const AWAKE_NS: u64 = 150_000;

/// The environment variable that has every waiting thread sleep at once when it is `off`. For measuring what staying awake is worth.
pub const AWAKE: &str = "LOKET_AWAKE";

/// Whether threads stay awake at all. On one core whoever is waited for needs it.
fn stays_awake() -> bool {
    static STAYS: OnceLock<bool> = OnceLock::new();
    *STAYS.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cores > 1 && std::env::var_os(AWAKE).is_none_or(|word| word != "off")
    })
}
