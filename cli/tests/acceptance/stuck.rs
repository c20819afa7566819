//! A turn that keeps its thread: its lane goes on on another one, and past the bound the process ends with a code of its own.
//!
//! No guest can keep a thread: it is interrupted. So a bug of ours is played, by a fail point that no shipped binary has:
//! `cargo test -p loket-cli --features failpoints --test acceptance stuck`.

use crate::fleet::{Fleet, PATIENCE, file, free_port, metric, metrics, within};

/// 200 ms after its turn has begun the thread is taken out of service.
const HEAVY: &str = r#"Agent(id: "heavy", module: "builtin:echo", grants: [(cap: "store.brain")],
    watchdog: (soft: "50ms", hard: "100ms")),"#;

fn stalled(fleet: &mut Fleet, ms: u32) {
    let mut command = fleet.run();
    command.env("LOKET_STALL", format!("stay:{ms}"));
    let data = fleet.data();
    fleet.start_as(command, data);
}

#[test]
fn whose_brain_is_on_a_stuck_thread_is_stuck_and_all_others_go_on() {
    let port = free_port();
    let other = r#"Agent(id: "other", module: "builtin:echo", grants: [(cap: "store.brain")]),"#;
    let fields = format!("lanes: 1, listen: \"127.0.0.1:{port}\",");
    let mut fleet = Fleet::of(&file(&fields, &format!("{HEAVY}{other}")));
    stalled(&mut fleet, 15_000);
    assert_eq!(fleet.call("other", "count").json(), 1);
    assert_eq!(fleet.command(&["send", "heavy", "stay", "--key", "k"]).exit, 0);
    let heavy = within(PATIENCE, "it waits for its brain", || {
        Some(fleet.child("heavy")).filter(|child| child["state"] == "stuck")
    });
    assert_eq!(heavy["incarnation"], 2, "{heavy}");
    assert_eq!(metric(&metrics(port), "loket_stuck_threads"), 1.0);
    // On the same lane, on its new thread.
    assert_eq!(fleet.call("other", "count").json(), 2);
    let other = fleet.child("other");
    assert_eq!((&other["incarnation"], &other["lane"]), (&2.into(), &0.into()), "{other}");
    // The thread lets go, and the agent goes on with what it had.
    assert_eq!(fleet.command(&["call", "heavy", "stay", "--key", "k", "--json"]).json(), "stay");
    within(PATIENCE, "it is stuck no more", || {
        (fleet.child("heavy")["state"] == "running").then_some(())
    });
    assert_eq!(metric(&metrics(port), "loket_stuck_threads"), 0.0);
    fleet.kill_process();
}

#[test]
fn past_the_bound_the_process_ends_with_71_and_the_next_one_has_the_work() {
    let mut fleet = Fleet::of(&file("quarantine: 0,", HEAVY));
    stalled(&mut fleet, 120_000);
    assert_eq!(fleet.command(&["send", "heavy", "stay", "--key", "k"]).exit, 0);
    assert_eq!(fleet.ended(), Some(71));
    assert!(fleet.log().contains("C014"), "{}", fleet.log());
    fleet.start();
    assert_eq!(fleet.command(&["call", "heavy", "stay", "--key", "k", "--json"]).json(), "stay");
    fleet.stop();
}
