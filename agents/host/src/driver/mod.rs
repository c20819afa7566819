//! The turn driver: an agent's incarnation, from the message in the ledger to the commit of the brain.
//!
//! It owns the guest's fibre and the turn's records. It must never answer a guest from anything but a record or a reply that came
//! through the kernel, and never commit a brain before the ledger has the end of the turn (rule D2). It knows no provider: it
//! reaches them by loket message. Start reading at `agent.rs`, then `turn.rs`, then `sending.rs` and `calls.rs`.

mod agent;
mod approval;
mod begin;
mod body;
mod brain;
mod calls;
mod catch_up;
mod end;
mod handover;
mod lane_time;
pub mod metrics;
mod modules;
mod parked;
mod patience;
mod pause;
#[cfg(feature = "simulation")]
pub mod script;
mod seed;
mod sending;
mod services;
mod turn;

pub use body::agent_body;
pub use handover::Handovers;
pub use lane_time::LANE_TIME;
pub use modules::{ModuleSource, Modules};
pub use services::{AgentPlan, HostServices, LaneDoors, allowances};
