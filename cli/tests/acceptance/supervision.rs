//! What a fleet file says of crashes beyond OTP: rules by blame and cause, what is charged, dynamic children.

use crate::fleet::{Fleet, PATIENCE, file, finish, within};
use serde_json::{Value, json};

/// A child whose supervisor has done with its last exit.
fn settled(fleet: &Fleet, id: &str, state: &str) -> Value {
    within(PATIENCE, "the child comes to rest", || {
        Some(fleet.child(id)).filter(|child| child["state"] == state)
    })
}

#[test]
fn a_rule_by_cause_ends_one_agent_and_leaves_the_others() {
    let fleet = Fleet::running(
        r#"Agent(id: "desk", module: "builtin:echo", on: [(cause: OutOfMemory, action: Restart), (cause: Trap, action: End)]),
        Agent(id: "other", module: "builtin:echo")"#,
    );
    assert_eq!(fleet.command(&["send", "desk", "bomb"]).exit, 0);
    assert_eq!(fleet.call("desk", "alive").json(), "alive");
    assert_eq!(fleet.child("desk")["restarts"], 3, "a fitting Restart is a restart as ever");
    assert_eq!(fleet.command(&["send", "desk", "trap"]).exit, 0);
    let desk = settled(&fleet, "desk", "stopped");
    assert_eq!(desk["restarts"], 3, "{desk}");
    assert!(desk["last_exit"].as_str().unwrap().starts_with("Trap (Guest to blame)"), "{desk}");
    assert_eq!(fleet.call("other", "alive").json(), "alive");
    assert_eq!(fleet.child("other")["restarts"], 0);
}

#[test]
fn a_supervisors_rule_gives_up_at_once_and_a_childs_own_comes_first() {
    let group = |own: &str| {
        let agents = format!(r#"Agent(id: "desk", module: "builtin:echo", {own})"#);
        let fleet = file("", &agents)
            .replace("Supervisor(", "Supervisor(on: [(blame: Guest, action: Escalate)], ");
        let mut fleet = Fleet::of(&fleet);
        fleet.start();
        assert_eq!(fleet.command(&["send", "desk", "trap"]).exit, 0);
        fleet
    };
    let mut fleet = group("");
    assert_eq!(fleet.ended(), Some(4), "50 restarts were allowed");
    let log = fleet.log();
    let last = log.lines().find(|line| line.contains("C012")).unwrap_or_default();
    assert!(last.contains("the fleet gave up: desk ended (Trap (Guest to blame)"), "{last}");
    assert!(last.contains("a rule says Escalate, so root gave up; what was accepted"), "{last}");
    let fleet = group("on: [(cause: Trap, action: Restart)]");
    assert_eq!(fleet.call("desk", "alive").json(), "alive");
}

#[test]
fn a_poison_message_can_end_its_agent() {
    let fleet = Fleet::running(
        r#"Agent(id: "desk", module: "builtin:echo", max_attempts: 2, on: [(cause: Poison, action: End)])"#,
    );
    assert_eq!(fleet.command(&["send", "desk", "trap"]).exit, 0);
    let desk = settled(&fleet, "desk", "stopped");
    assert_eq!(desk["restarts"], 1, "the attempt before the last is a crash as ever: {desk}");
    assert!(desk["last_exit"].as_str().unwrap().contains("dead letter: Trap"), "{desk}");
    assert_eq!(fleet.status()["letters"], 1);
}

#[test]
fn a_damaged_brain_is_quarantined_or_what_the_rule_says() {
    let agents = |on: &str| {
        format!(
            r#"Agent(id: "desk", module: "builtin:echo", grants: [(cap: "store.brain")]{on}),
            Agent(id: "other", module: "builtin:echo")"#
        )
    };
    let mut fleet = Fleet::running(&agents(""));
    assert_eq!(fleet.call("desk", "count").json(), 1);
    fleet.stop();
    let brain = within(PATIENCE, "the brain's file", || {
        let folders = std::fs::read_dir(fleet.data().join("brains")).ok()?;
        let mut files = folders
            .flatten()
            .flat_map(|it| std::fs::read_dir(it.path()).into_iter().flatten().flatten());
        files.find(|it| it.path().extension().is_some_and(|end| end == "db")).map(|it| it.path())
    });
    std::fs::write(&brain, "no database at all, and longer than a header ".repeat(200)).unwrap();
    fleet.start();
    assert_eq!(fleet.command(&["send", "desk", "count"]).exit, 0);
    let desk = settled(&fleet, "desk", "quarantined");
    assert_eq!(desk["restarts"], 0, "{desk}");
    fleet.stop();

    fleet.write("fleet.ron", file("", &agents(", on: [(cause: BrainCorrupt, action: End)]")));
    fleet.start();
    let desk = settled(&fleet, "desk", "stopped");
    assert!(desk["last_exit"].as_str().unwrap().starts_with("BrainCorrupt"), "{desk}");
    assert_eq!(fleet.call("other", "alive").json(), "alive");
    assert_eq!(fleet.status()["waiting"], 1, "its inbox stays");
}

#[test]
fn g5_a_letter_is_charged_once_and_an_exit_each_time() {
    let fleet = |charge: &str| {
        let agent = format!(
            r#"Agent(id: "desk", module: "builtin:echo", max_attempts: 3, charge: {charge})"#
        );
        let mut fleet = Fleet::of(&file("", &agent).replace("intensity: 50", "intensity: 2"));
        fleet.start();
        assert_eq!(fleet.command(&["send", "desk", "trap"]).exit, 0);
        fleet
    };
    let mut each = fleet("Exit");
    assert_eq!(each.ended(), Some(4), "the third crash is one too many");
    // Its three strikes were noted before the end: the message is a letter, and the next start goes on with the next message.
    each.start();
    assert_eq!(each.call("desk", "alive").json(), "alive");
    assert_eq!(each.status()["letters"], 1);

    let mut once = fleet("Letter");
    assert_eq!(once.call("desk", "alive").json(), "alive");
    assert_eq!(once.child("desk")["restarts"], 3);
    assert_eq!(once.command(&["send", "desk", "trap"]).exit, 0);
    assert_eq!(once.call("desk", "alive").json(), "alive", "two letters in the period are allowed");
    assert_eq!(once.child("desk")["restarts"], 6);
    assert_eq!(once.command(&["send", "desk", "trap"]).exit, 0);
    assert_eq!(once.ended(), Some(4), "the third letter is one too many");
}

#[test]
fn g5_strikes_are_the_messages_and_outlive_a_kill() {
    let mut fleet = Fleet::running(
        r#"Agent(id: "desk", module: "builtin:echo", backoff: (first: "1h", max: "1h"))"#,
    );
    assert_eq!(fleet.command(&["send", "desk", "trap"]).exit, 0);
    let desk = settled(&fleet, "desk", "restarting");
    assert_eq!(desk["restarts"], 0, "{desk}");
    // One strike each: the agent never gets to its second attempt in one process.
    for _ in 0..2 {
        fleet.kill_process();
        fleet.start();
        settled(&fleet, "desk", "restarting");
    }
    let letters = fleet.command(&["letters", "--json"]).json();
    assert_eq!(letters["letters"][0]["attempts"], 3, "{letters}");
    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.call("desk", "alive").json(), "alive", "the next message has no strike");
}

/// A pool whose children count in their brains, and who spawns them.
fn pool(dynamic: &str) -> String {
    file(
        "",
        &format!(
            r#"Supervisor(id: "pool", strategy: SimpleOneForOne, {dynamic} intensity: 3, children: [
                Agent(id: "child", module: "builtin:echo", grants: [(cap: "store.brain")]),
            ]),
            Agent(id: "boss", module: "builtin:echo", grants: [(cap: "agent.spawn", scope: {{ "under": ["pool"] }})])"#
        ),
    )
}

fn spawn(fleet: &Fleet, name: &str) {
    let args = json!({"under": "pool", "name": name});
    let spawned = fleet.call("boss", &format!("call agent.spawn {args}")).json();
    assert_eq!(spawned["agent"], format!("pool/{name}"), "{spawned}");
}

#[test]
fn a6_dynamic_children_come_back_with_their_supervisor() {
    let mut fleet = Fleet::of(&pool(""));
    fleet.start();
    for (name, count) in [("x", 1), ("y", 2)] {
        spawn(&fleet, name);
        for expected in 1..=count {
            assert_eq!(fleet.call(&format!("pool/{name}"), "count").json(), expected);
        }
    }
    for lives in 2..=3 {
        assert_eq!(fleet.command(&["kill", "pool"]).exit, 0);
        // Accepted while nobody is there, and answered by who comes back.
        assert_eq!(fleet.call("pool/x", "count").json(), lives);
        let x = settled(&fleet, "pool/x", "running");
        assert_eq!(x["incarnation"], lives, "{x}");
    }
    assert_eq!(fleet.call("pool/y", "count").json(), 3);
    let stopped = fleet.ask("agent.stop", &json!({"agent": "pool/y"}));
    assert!(stopped.is_ok(), "{stopped:?}");
    fleet.kill_process();
    fleet.start();
    assert_eq!(fleet.call("pool/x", "count").json(), 4);
    fleet.call("pool/y", "count").failed(1, "no_such_agent", &["pool/y"]);
    assert_eq!(fleet.status()["letters"], 0);
    fleet.stop();
}

#[test]
fn a4_dynamic_otp_loses_the_children_with_their_supervisor_and_with_the_process() {
    let mut fleet = Fleet::of(&pool("dynamic: Otp,"));
    fleet.start();
    spawn(&fleet, "x");
    assert_eq!(fleet.call("pool/x", "count").json(), 1);
    assert_eq!(fleet.command(&["send", "pool/x", "loop"]).exit, 0);
    assert_eq!(fleet.command(&["kill", "pool"]).exit, 0);
    within(PATIENCE, "the child is gone for good", || {
        (fleet.status()["letters"] == 1).then_some(())
    });
    fleet.call("pool/x", "count").failed(1, "no_such_agent", &["pool/x"]);
    settled(&fleet, "pool", "running");
    // The name is free, and its next bearer knows nothing.
    spawn(&fleet, "x");
    assert_eq!(fleet.call("pool/x", "count").json(), 1);
    fleet.kill_process();
    fleet.start();
    fleet.call("pool/x", "count").failed(1, "no_such_agent", &["pool/x"]);
    let status = fleet.status();
    assert_eq!((&status["letters"], &status["lost"]), (&json!(1), &json!(0)), "{status}");
    fleet.stop();
}

/// A restarted supervisor starts all that its file names, also what had ended for good: that one begins a new life.
#[test]
fn a4_an_ended_temporary_child_comes_back_with_its_restarted_supervisor() {
    let mut fleet = Fleet::running(
        r#"Supervisor(id: "team", strategy: OneForAll, auto_shutdown: AnySignificant, children: [
            Agent(id: "worker", module: "builtin:echo", grants: [(cap: "store.brain")]),
            Agent(id: "lead", module: "builtin:echo", restart: Temporary, significant: true,
                grants: [(cap: "store.brain")]),
            Agent(id: "job", module: "builtin:echo", restart: Temporary,
                grants: [(cap: "store.brain")])]),
        Agent(id: "other", module: "builtin:echo")"#,
    );
    assert_eq!(fleet.call("job", "count").json(), 1);
    assert_eq!(fleet.command(&["kill", "job"]).exit, 0);
    within(PATIENCE, "it is gone", || (fleet.call("job", "count").exit == 1).then_some(()));
    fleet.call("job", "count").failed(1, "no_such_agent", &["job"]);
    assert_eq!(fleet.command(&["kill", "worker"]).exit, 0);
    within(PATIENCE, "the group is back", || {
        (fleet.child("worker")["incarnation"] == 2 && fleet.child("worker")["state"] == "running")
            .then_some(())
    });
    assert_eq!(
        fleet.child("job")["state"],
        "stopped",
        "a group restart brings no ended child back"
    );
    assert_eq!(fleet.command(&["kill", "team"]).exit, 0);
    within(PATIENCE, "the supervisor is back, its child with it", || {
        (fleet.child("team")["incarnation"] == 2 && fleet.child("job")["state"] == "running")
            .then_some(())
    });
    assert_eq!(fleet.call("job", "count").json(), 1);
    assert_eq!(fleet.call("lead", "count").json(), 1);
    assert_eq!(fleet.child("team")["incarnation"], 2);
    fleet.stop();
}

#[test]
fn a_turn_that_makes_no_progress_is_hung_and_its_attempt_counts() {
    let fleet = Fleet::running(
        r#"Agent(id: "desk", module: "builtin:echo", max_attempts: 2, limits: (deadline: "1h"),
            watchdog: (soft: "50ms", hard: "200ms")),
        Agent(id: "other", module: "builtin:echo")"#,
    );
    fleet.call("desk", "loop").failed(1, "dead_letter", &["2 times", "watchdog"]);
    assert_eq!(fleet.call("desk", "alive").json(), "alive");
    let desk = fleet.child("desk");
    assert_eq!(desk["restarts"], 2, "{desk}");
    assert!(desk["last_exit"].as_str().unwrap().contains("hung"), "{desk}");
    assert_eq!(fleet.child("other")["restarts"], 0);
    let letters = fleet.command(&["letters", "--json"]).json();
    assert_eq!(letters["letters"][0]["cause"], "hung", "{letters}");
    assert!(fleet.log().contains("makes no progress"), "{}", fleet.log());
}

#[test]
fn check_speaks_of_what_cannot_fire() {
    let fleet = Fleet::of(&file(
        "",
        r#"Agent(id: "a", module: "builtin:echo", on: [(cause: Trapp, action: End)])"#,
    ));
    let mut command = crate::fleet::loket();
    command.arg("check").arg(fleet.path("fleet.ron"));
    let said = finish(command);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(
        said.out.contains("did you mean `Trap`?") || said.err.contains("did you mean `Trap`?"),
        "{said:?}"
    );
}

/// A4: nobody starts again what is below a supervisor that is gone; who writes to it is told, and what waited there is dead letters.
#[test]
fn a4_who_is_below_a_supervisor_that_is_gone_for_good_is_gone_with_it() {
    let fleet = Fleet::running(
        r#"Supervisor(id: "s", restart: Temporary, children: [
            Supervisor(id: "t", children: [Agent(id: "deep", module: "builtin:echo")]),
            Agent(id: "desk", module: "builtin:echo", limits: (deadline: "60s"))]),
        Agent(id: "other", module: "builtin:echo")"#,
    );
    assert_eq!(fleet.call("deep", "alive").json(), "alive");
    assert_eq!(fleet.command(&["send", "desk", "loop"]).exit, 0);
    assert_eq!(fleet.command(&["send", "desk", "waits"]).exit, 0);
    assert_eq!(fleet.command(&["kill", "s"]).exit, 0);
    for agent in ["deep", "desk"] {
        within(PATIENCE, "the ledger knows", || {
            let said = fleet.command(&["send", agent, "late", "--json"]);
            Some(()).filter(|()| said.exit == 1 && said.err.contains("no_such_agent"))
        });
    }
    assert_eq!(fleet.status()["letters"], 2);
    assert_eq!(fleet.call("other", "alive").json(), "alive");
}

/// A restart that a child waits for can be cancelled by hand, and the child started by hand; OTP's words for what cannot.
#[test]
fn a_child_that_waits_for_its_restart_is_terminated_and_restarted_by_hand() {
    let delay = r#"backoff: (first: "600s", min: "600s", max: "600s", jitter: 0.0)"#;
    let fleet = Fleet::running(&format!(r#"Agent(id: "late", module: "builtin:echo", {delay})"#));
    assert_eq!(fleet.command(&["kill", "late"]).exit, 0);
    settled(&fleet, "late", "restarting");
    fleet.command(&["kill", "late"]).failed(1, "noproc", &["waits for its restart", "terminate"]);
    fleet.command(&["restart", "late"]).failed(1, "restarting", &["restarted"]);
    assert_eq!(fleet.command(&["terminate", "late"]).out, "terminated late\n");
    settled(&fleet, "late", "stopped");
    assert_eq!(fleet.command(&["terminate", "late"]).exit, 0, "as OTP: there is nothing to do");
    assert_eq!(fleet.command(&["send", "late", "meanwhile"]).exit, 0);
    let back = fleet.command(&["restart", "late", "--json"]).json();
    assert_eq!(back, json!({"restarted": "late", "incarnation": 2}));
    assert_eq!(fleet.call("late", "alive").json(), "alive");
    fleet.command(&["restart", "late"]).failed(1, "running", &["running"]);
    let why = fleet.command(&["why", "late"]).out;
    assert!(why.contains("late was waiting for its restart: it is cancelled, as asked"), "{why}");
    for (name, code) in
        [("root", "system_child"), ("kernel/0", "system_child"), ("nobody", "not_found")]
    {
        fleet.command(&["terminate", name]).failed(1, code, &[name]);
    }
}

/// A4: the same of dynamic children, which only the ledger knows by then.
#[test]
fn a4_dynamic_children_of_a_supervisor_that_is_gone_for_good_are_gone_with_it() {
    let fleet = Fleet::running(
        r#"Supervisor(id: "s", restart: Temporary, children: [
            Supervisor(id: "pool", strategy: SimpleOneForOne, children: [
                Agent(id: "w", module: "builtin:echo")])]),
        Agent(id: "boss", module: "builtin:script",
            grants: [(cap: "agent.spawn", scope: { "under": ["pool"] })])"#,
    );
    let spawn = json!([{"call": "agent.spawn", "args": {"under": "pool", "name": "x"}}]);
    assert_eq!(fleet.call("boss", &spawn.to_string()).json()[0]["ok"]["agent"], "pool/x");
    assert_eq!(fleet.call("pool/x", "alive").json(), "alive");
    assert_eq!(fleet.command(&["kill", "s"]).exit, 0);
    within(PATIENCE, "the ledger knows", || {
        let said = fleet.command(&["send", "pool/x", "late", "--json"]);
        Some(()).filter(|()| said.exit == 1 && said.err.contains("no_such_agent"))
    });
}
