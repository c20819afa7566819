//! What a deterministic simulation changes in the crates above: where chance comes from, and which rule is broken on purpose.
//!
//! Only in builds with the feature `simulation`, which no shipped binary has; elsewhere every function here is a constant. The state
//! is the thread's: a simulated node runs on one thread, and tests beside it on others are not touched. Start reading at
//! [`Simulated`]; who uses it is `tests/sim`.

/// A rule of the turn, broken at one place of the real code. Named as in the executable model of the rules, where that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutation {
    /// A1: requests are answered before their group is committed.
    AckEarly,
    /// D2: the brain commits before the ledger has the end of the turn.
    BrainFirst,
    /// D2: the brain commits once the end of the turn is on its way to the ledger.
    WrittenD2,
    /// C2: the records before a Keyed or Once call do not go out with its intent.
    ObserveUnflushed,
    /// C2: at `Process` an intent is not fsynced before its request leaves.
    IntentUnsynced,
    /// C4, C11: an intent's arguments are not compared.
    IntentNoArgs,
    /// C4: a result is refused once its caller's incarnation has ended.
    LateRefused,
    /// C4: the fence of intents stands in the wrapper, before the write, and not in the writer.
    FenceInWrapper,
    /// C4: intents of older incarnations are taken.
    NoFence,
    /// C4: a Once call without a result is sent again.
    OnceResent,
    /// G3: a Once call that an operator let out once more may go out ever again.
    DoubtForgotten,
    /// F1: a turn is re-run with today's module.
    ModuleToday,
    /// B1, C9: a re-run gets a new time and seed.
    TimeUnpinned,
    /// B2: the death of the process counts as an attempt.
    KillCounts,
    /// C2: a result is shown to the guest before it is durable.
    ResultEarly,
    /// C8: no places are reserved for what a turn stages.
    NoReserve,
    /// H2: nobody looks whether a call closes a cycle.
    NoCycleCheck,
    /// E6: turns are forgotten that the brain does not have on disk.
    PurgeEarly,
    /// E7: a rewound brain is caught up with the turns that it was rewound over.
    RewindUndone,
    /// E7: a brain is exchanged under an open turn that nobody has given up.
    OpenTurnKept,
    /// E7: a new brain's file is not on the disk when the ledger names it.
    NewBrainUnsynced,
    /// E7: a restore to exactly where the ledger is costs the open turn.
    RestoreRefused,
    /// J2a: what an earlier process left unsynced is acted upon.
    NoStartSync,
    /// G2: a retry keeps every record.
    BadKept,
    /// G2: a retry keeps Staged records past the last intent.
    StagedKept,
    /// G2: a retry keeps what came before a Keyed call that was refused.
    RefusedPins,
    /// G2: a retry sends a call again whose failure was recorded.
    TimeoutDropped,
}

impl Mutation {
    /// All of them.
    pub const ALL: [(&'static str, Self); 27] = [
        ("ack_early", Self::AckEarly),
        ("brain_first", Self::BrainFirst),
        ("written_D2", Self::WrittenD2),
        ("observe_unflushed", Self::ObserveUnflushed),
        ("intent_unsynced", Self::IntentUnsynced),
        ("intent_no_args", Self::IntentNoArgs),
        ("late_refused", Self::LateRefused),
        ("mended_C4_wrapper", Self::FenceInWrapper),
        ("written_C4_fence", Self::NoFence),
        ("once_resent", Self::OnceResent),
        ("written_doubt", Self::DoubtForgotten),
        ("module_today", Self::ModuleToday),
        ("time_unpinned", Self::TimeUnpinned),
        ("kill_counts", Self::KillCounts),
        ("result_early", Self::ResultEarly),
        ("no_reserve", Self::NoReserve),
        ("no_cycle_check", Self::NoCycleCheck),
        ("purge_early", Self::PurgeEarly),
        ("rewind_undone", Self::RewindUndone),
        ("written_E7_open", Self::OpenTurnKept),
        ("written_E7_sync", Self::NewBrainUnsynced),
        ("mended_E7_restore", Self::RestoreRefused),
        ("written_start_sync", Self::NoStartSync),
        ("bad_kept", Self::BadKept),
        ("written_G2_staged", Self::StagedKept),
        ("mended_G2_refused", Self::RefusedPins),
        ("timeout_dropped", Self::TimeoutDropped),
    ];
}

#[cfg(not(feature = "simulation"))]
mod state {
    use super::Mutation;

    /// Whether this rule is broken.
    #[inline(always)]
    pub const fn broken(_: Mutation) -> bool {
        false
    }

    /// The next number of the simulation's chance; `None` outside of one.
    #[inline(always)]
    pub const fn chance() -> Option<u64> {
        None
    }

    /// Whether a simulation runs on this thread, so that it must never block.
    #[inline(always)]
    pub const fn runs() -> bool {
        false
    }

    /// A place where the machine may give the processor to another thread. Where there are threads it does so by itself.
    #[inline(always)]
    pub fn interrupted() -> std::future::Ready<()> {
        std::future::ready(())
    }
}

#[cfg(feature = "simulation")]
mod state {
    use super::Mutation;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::task::Poll;

    thread_local! {
        static INTERRUPTED: Cell<bool> = const { Cell::new(false) };
        static CHANCE: Cell<Option<u64>> = const { Cell::new(None) };
        static BROKEN: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// A simulation on this thread, until it is dropped.
    #[derive(Debug)]
    pub struct Simulated(());

    impl Simulated {
        /// Chance comes from `seed` from here on, and `mutation` is in force.
        pub fn begin(seed: u64, mutation: Option<Mutation>) -> Self {
            CHANCE.set(Some(seed));
            BROKEN.set(mutation);
            Self(())
        }
    }

    impl Drop for Simulated {
        fn drop(&mut self) {
            CHANCE.set(None);
            BROKEN.set(None);
        }
    }

    /// Whether this rule is broken.
    pub fn broken(mutation: Mutation) -> bool {
        BROKEN.get() == Some(mutation)
    }

    /// The next number of the simulation's chance (SplitMix64); `None` outside of one.
    pub fn chance() -> Option<u64> {
        let state = CHANCE.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
        CHANCE.set(Some(state));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ (mixed >> 31))
    }

    /// Whether a simulation runs on this thread, so that it must never block.
    pub fn runs() -> bool {
        CHANCE.get().is_some()
    }

    /// A place where the machine may give the processor to another thread: whoever polls is told so, and goes on here later.
    pub async fn interrupted() {
        let mut before = !runs();
        poll_fn(|context| {
            if std::mem::replace(&mut before, true) {
                return Poll::Ready(());
            }
            INTERRUPTED.set(true);
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Whether what was polled last on this thread stands at such a place.
    pub fn was_interrupted() -> bool {
        INTERRUPTED.take()
    }
}

pub use state::*;
