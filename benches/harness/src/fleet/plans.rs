//! The fleet files of the benchmarks that run a fleet.

use std::fmt::Write;

/// Messages that one turn of the calling agent sends to its partner and waits for.
pub(crate) const CALLS: u32 = 100;

/// Most dynamic children: the fleet file's own bound.
pub(crate) const SPAWNED_MAX: usize = 10_000;

/// A fleet whose messages have one attempt and are kept through kill -9: what is measured is Loket, not the disk.
fn fleet(children: &str) -> String {
    format!(
        "Fleet(version: 1, name: \"bench\", durability: Process, defaults: (max_attempts: 1),\n\
         root: Supervisor(intensity: 100_000, period: \"1s\", children: [\n{children}]))\n"
    )
}

/// So many agents that can do nothing but write to their brains.
pub(crate) fn standing(agents: u32) -> String {
    let mut all = String::new();
    for agent in 0..agents {
        let _ = writeln!(
            all,
            "Agent(id: \"agent-{agent}\", module: \"builtin:echo\", grants: [(cap: \"store.brain\")]),"
        );
    }
    fleet(&all)
}

/// So many pairs of a caller and its callee.
pub(crate) fn pairs(pairs: usize) -> String {
    let mut all = String::new();
    for pair in 0..pairs {
        let _ = writeln!(
            all,
            "Agent(id: \"caller-{pair}\", module: \"{CALLER}\",\n\
             grants: [(cap: \"agent.call\", scope: {{\"to\": [\"callee-{pair}\"]}})]),\n\
             Agent(id: \"callee-{pair}\", module: \"builtin:echo\"),"
        );
    }
    fleet(&all)
}

/// The file of the calling guest.
pub(crate) const CALLER: &str = "caller.wat";

/// The calling guest's text: it calls `agent.call` with its message's body, [`CALLS`] times, and answers the last answer.
pub(crate) fn caller() -> String {
    format!(
        r#"(module
  (import "loket:agent/counter@1.0.0" "call" (func $call (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 16)
  (data (i32.const 16) "agent.call")
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (local $left i32)
    (local.set $left (i32.const {CALLS}))
    (loop $next
      (call $call (i32.const 16) (i32.const 10) (local.get 6) (local.get 7) (i32.const 64))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 64)))"#
    )
}

/// So many pairs of an agent that waits for another's answer, and that other.
pub(crate) fn recoverable(pairs: usize) -> String {
    let mut all = String::new();
    for pair in 0..pairs {
        let _ = writeln!(
            all,
            "Agent(id: \"waiting-{pair}\", module: \"builtin:echo\",\n\
             grants: [(cap: \"agent.call\", scope: {{\"to\": [\"held-{pair}\"]}})]),\n\
             Agent(id: \"held-{pair}\", module: \"builtin:echo\"),"
        );
    }
    fleet(&all)
}

/// So many agents that start others below one supervisor.
pub(crate) fn spawning(spawners: usize) -> String {
    let mut all = String::new();
    for spawner in 0..spawners {
        let _ = writeln!(
            all,
            "Agent(id: \"spawner-{spawner}\", module: \"builtin:echo\",\n\
             grants: [(cap: \"agent.spawn\", scope: {{\"under\": [\"pool\"]}})]),"
        );
    }
    let _ = writeln!(
        all,
        "Supervisor(id: \"pool\", strategy: SimpleOneForOne, max_children: {SPAWNED_MAX}, children: [\n\
         Agent(id: \"pool\", module: \"builtin:echo\", restart: Temporary)]),"
    );
    fleet(&all)
}
