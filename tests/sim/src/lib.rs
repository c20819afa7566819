//! Deterministic simulation of a whole node: one seed, one schedule, one trace.
//!
//! Real, as it is shipped: the kernel and its shards, the supervision core and its actors, cells, mailboxes, the registry, slots and
//! waiters (`actors/runtime`), the ledger's engine, its SQL and its group commit (`actors/ledger`), the turn driver
//! (`agents/host/src/driver`), journal and hashes (`actors/turn`), the journaling wrapper (`providers/contract`), the brains on SQLite
//! (`providers/store`), the providers `agent` and `time`.
//!
//! Simulated: who runs them (one thread; the seed chooses which woken future is polled, when the ledger's writer takes, commits and
//! answers a group, when a store thread does a job), the clock, chance, the guests (scripts in place of wasm modules, so no slices and
//! no watchdog), the outside (a fake provider with one operation of each effect class), the senders, the operator, and what of the
//! files survives a death: `fsync` only notes, see `disk.rs`. Not simulated: torn writes inside a commit of a process that is killed,
//! failed syncs and full disks (`tests/disk` has these), several threads at once.
//!
//! Start reading at [`run`].

mod brains;
mod disk;
mod exec;
mod faults;
mod fleet;
mod guest;
mod machine;
mod operator;
mod oracle;
mod peace;
mod rewind;
mod rng;
mod run;
mod trace;
mod world;

pub use run::{Config, Report, run};
