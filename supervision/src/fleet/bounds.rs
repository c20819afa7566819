//! What the values of a fleet file may be: the reader refuses what is outside, and the schema says the same.
//!
//! Constants only, each with its unit and its reason.

use std::ops::RangeInclusive;

/// Restarts within a period: the machine keeps each one's instant.
pub(crate) const INTENSITY: RangeInclusive<u32> = 0..=100_000;
/// Dynamic children of one supervisor: none could never start anything.
pub(crate) const CHILDREN: RangeInclusive<u32> = 1..=10_000_000;
/// Messages of one mailbox: an inbox is durable and must stay readable.
pub(crate) const CAPACITY: RangeInclusive<u32> = 1..=1_000_000;
/// Attempts of one message: beyond, a poison message blocks its agent for hours.
pub(crate) const ATTEMPTS: RangeInclusive<u32> = 1..=1_000;
/// Calls of one turn: each may leave a record that a re-run reads again.
pub(crate) const CALLS: RangeInclusive<u32> = 1..=10_000_000;
/// Table elements: an element is a pointer.
pub(crate) const TABLE: RangeInclusive<u32> = 1..=10_000_000;
/// Lanes: more threads than any machine has cores for.
pub(crate) const LANES: RangeInclusive<u32> = 1..=1_024;
/// Instance slots: each reserves address space.
pub(crate) const SLOTS: RangeInclusive<u32> = 1..=100_000;
/// Turns kept: a million of a small agent are some hundred megabytes.
pub(crate) const KEEP_TURNS: RangeInclusive<u32> = 0..=1_000_000;
/// Threads that may be stuck at a time: each keeps its memory and what it holds.
pub(crate) const QUARANTINE: RangeInclusive<u32> = 0..=64;
/// What a budget allows, in calls, tokens or bytes: sums of two stay in 64 bits.
pub(crate) const BUDGET: RangeInclusive<u64> = 1..=u64::MAX >> 1;

/// The share of a budget beyond which a person is asked.
pub(crate) const SOFT: RangeInclusive<f64> = 0.0..=1.0;
/// The random share of a delay.
pub(crate) const JITTER: RangeInclusive<f64> = 0.0..=1.0;
/// What each delay is multiplied by: below 1 they would shrink, and beyond a thousand the second one is for ever.
pub(crate) const FACTOR: RangeInclusive<f64> = 1.0..=1_000.0;

/// Linear memory of a 32-bit guest, in bytes.
pub(crate) const MAX_MEMORY: u64 = 4 << 30;
/// Largest answer, in bytes: it is held in memory and in the ledger.
pub(crate) const MAX_OUTPUT: u64 = 64 << 20;
/// Largest module, in bytes: compiling one takes memory of many times its size.
pub(crate) const MAX_MODULE: u64 = 256 << 20;
/// Largest inbox, in bytes.
pub(crate) const MAX_INBOX: u64 = 16 << 30;
/// Longest turn and longest compilation, in milliseconds: a day. What takes longer waits in the ledger, not in a turn.
pub(crate) const MAX_DEADLINE_MS: u64 = 86_400_000;

/// Longest id, in characters: it becomes a part of names, paths and metrics.
pub(crate) const MAX_ID: usize = 64;
/// Names that the fleet's own supervisors bear.
pub(crate) const RESERVED: [&str; 2] = ["root", "system"];
/// Rules of one list: more than there are pairs of blame and cause, so that each can have one.
pub(crate) const MAX_ON: usize = 64;
/// Opening messages; more belongs in a script.
pub(crate) const MAX_OPENING: usize = 1_000;
/// Longest name of an addressee, in bytes: `SUPERVISOR/NAME`.
pub(crate) const MAX_TO: usize = 512;
