//! Flags, specs and reasons, in few words.

use loket_runtime::{
    ChildKind, DoorSpec, DynamicSpec, LaneChoice, NodeSpec, SupervisorNode, WorkerNode,
};
use loket_supervision::machine::*;
use std::sync::Arc;

pub fn start_error(why: &str) -> Exit {
    Exit::crash(Cause::Start, Blame::Config, why)
}

pub fn crash() -> Exit {
    Exit::crash(Cause::Panic, Blame::Guest, "boom")
}

pub fn term() -> Exit {
    Exit::ShutdownTerm("t".to_owned())
}

/// These flags allow any number of restarts.
pub fn lenient(strategy: Strategy) -> Flags {
    Flags { strategy, intensity: 1_000_000, ..Flags::default() }
}

/// So many restarts within 5 s; gives up with plain `shutdown`, as OTP.
pub fn strict(strategy: Strategy, intensity: u32) -> Flags {
    Flags { strategy, intensity, escalation: Escalation::AsOtp, ..Flags::default() }
}

pub fn node_of(id: &str, flags: Flags, children: Vec<NodeSpec>) -> SupervisorNode {
    SupervisorNode { spec: ChildSpec::supervisor(id), flags, children, forgets: false }
}

pub fn sub(id: &str, flags: Flags, children: Vec<NodeSpec>) -> NodeSpec {
    NodeSpec::Supervisor(node_of(id, flags, children))
}

pub fn kind(number: usize) -> Arc<ChildKind> {
    Arc::new(ChildKind::System("test", number))
}

/// A permanent worker with OTP's defaults.
pub fn worker(id: &str) -> NodeSpec {
    with(id, |_| {})
}

/// A worker whose spec is changed.
pub fn with(id: &str, change: impl FnOnce(&mut ChildSpec)) -> NodeSpec {
    let mut spec = ChildSpec::worker(id);
    change(&mut spec);
    NodeSpec::Worker(WorkerNode {
        spec,
        kind: kind(0),
        door: DoorSpec::Closed,
        lane: LaneChoice::Any,
        grants: None,
        serves: None,
        watchdog: None,
        last_incarnation: 0,
    })
}

pub fn of(id: &str, restart: Restart) -> NodeSpec {
    with(id, |spec| spec.restart = restart)
}

pub fn significant(id: &str, restart: Restart) -> NodeSpec {
    with(id, |spec| (spec.restart, spec.significant) = (restart, true))
}

pub fn instance(name: &str) -> DynamicSpec {
    DynamicSpec { name: name.into(), kind: kind(0), last_incarnation: 0 }
}

pub fn spec_of(child: &NodeSpec) -> &ChildSpec {
    match child {
        NodeSpec::Worker(node) => &node.spec,
        NodeSpec::Supervisor(node) => &node.spec,
    }
}
