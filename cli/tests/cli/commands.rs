//! What is said to a running fleet: each command, its JSON, its exit codes.

use crate::ECHO;
use crate::fleet::{Fleet, PATIENCE, file, finish, loket, within};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

#[test]
fn every_reading_command_prints_a_versioned_object() {
    let fleet = Fleet::running(ECHO);
    assert_eq!(fleet.call("echo", "trap").exit, 1);
    let commands: [(&[&str], &str); 4] = [
        (&["tree"], "children"),
        (&["status"], "accepted"),
        (&["letters"], "letters"),
        (&["letters", "show", "1"], "reason"),
    ];
    for (words, field) in commands {
        let words: Vec<_> = words.iter().chain(&["--json"]).copied().collect();
        let shown = fleet.command(&words).json();
        assert_eq!(shown["version"], 1, "{shown}");
        assert!(!shown[field].is_null(), "{words:?} has {field}: {shown}");
        let text = fleet.command(&words[..words.len() - 1]);
        assert_eq!(text.exit, 0, "{text:?}");
        assert!(serde_json::from_str::<Value>(&text.out).is_err(), "people get text: {text:?}");
    }
}

#[test]
fn the_same_key_is_the_same_message() {
    let fleet = Fleet::running(ECHO);
    let send = |body: &str| fleet.command(&["send", "echo", body, "--key", "job-17", "--json"]);
    let (first, second) = (send("count").json(), send("count").json());
    assert_eq!(first["message"], second["message"]);
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
    let text = fleet.command(&["send", "echo", "count", "--key", "job-17"]);
    assert!(text.out.contains("the same as before"), "{text:?}");
    send("other").failed(1, "key_reused", &["job-17"]);
    // It was handled once: the next count is the second.
    assert_eq!(fleet.call("echo", "count").json(), json!(2));
    assert_eq!(fleet.status()["accepted"], 2);
}

#[test]
fn a_call_waits_for_the_answer() {
    let fleet = Fleet::running(
        r#"
        Agent(id: "echo", module: "builtin:echo", charge: Letter, max_attempts: 1, grants: [(cap: "store.brain")],
            limits: (deadline: "2s"))"#,
    );
    assert_eq!(fleet.command(&["call", "echo", "hello"]).out, "hello\n");
    assert_eq!(fleet.call("echo", r#"{"a": 1}"#).json(), json!({"a": 1}));
    fleet.call("echo", "fail no_luck").failed(1, "no_luck", &[]);
    fleet.call("nobody", "hello").failed(1, "no_such_agent", &["nobody"]);
    // Its time is over before the answer is there; what was accepted stays accepted.
    let late = fleet.command(&["call", "echo", "loop", "--timeout", "1"]);
    late.failed(75, "timeout", &["stays accepted"]);
    within(PATIENCE, "the loop ends at its deadline", || {
        Some(()).filter(|()| fleet.status()["letters"] == 1)
    });
}

#[test]
fn a_message_may_come_from_a_pipe() {
    let fleet = Fleet::running(ECHO);
    let piped = |bytes: &[u8]| {
        let mut command = loket();
        command.args(["call", "echo", "-", "--data"]).arg(fleet.data());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may refuse before it has read all.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        crate::fleet::Said::of(child.wait_with_output().unwrap())
    };
    assert_eq!(piped("grüße\n".as_bytes()).out, "grüße\n\n");
    piped(b"caf\xe9").failed(2, "C006", &["UTF-8"]);
    piped(&vec![b'x'; 2 * 1024 * 1024]).failed(2, "too_large", &["1048576"]);
    assert_eq!(fleet.status()["accepted"], 1, "what is refused is not accepted");
}

#[test]
fn a_refusal_has_an_exit_code_of_its_own_and_the_line_that_would_allow_it() {
    let fleet = Fleet::running(ECHO);
    let refused = fleet.command(&["ask", "time.now"]);
    refused.failed(3, "refused", &["K003", "(cap: \"time.now\")"]);
    fleet.command(&["ask", "agent.status", "{"]).failed(2, "C007", &["JSON"]);
    fleet.command(&["ask", "agent.status", r#"{"a": 1}"#]).failed(1, "bad_args", &["a"]);
    assert_eq!(fleet.command(&["ask", "agent.status"]).json()["accepted"], 0);
}

#[test]
fn kill_crashes_a_child_and_its_supervisor_brings_it_back() {
    let fleet = Fleet::running(ECHO);
    assert_eq!(fleet.command(&["kill", "echo"]).out, "killed echo\n");
    within(PATIENCE, "it is back", || {
        let echo = fleet.child("echo");
        Some(()).filter(|()| echo["state"] == "running" && echo["incarnation"] == 2)
    });
    let tree = fleet.command(&["tree"]).out;
    let line = tree.lines().find(|line| line.contains("─ echo")).unwrap();
    assert!(line.contains("restarts 1") && line.contains("last exit: killed"), "{line}");
    let nobody = fleet.command(&["kill", "nobody"]);
    assert_eq!(nobody.exit, 1, "{nobody:?}");
    assert!(nobody.err.contains("nobody"), "{nobody:?}");
}

#[test]
fn letters_are_listed_shown_retried_and_dropped() {
    let fleet = Fleet::running(ECHO);
    assert_eq!(fleet.command(&["letters"]).out, "no dead letters\n");
    fleet.call("echo", "trap").failed(1, "dead_letter", &["dead letter 1"]);
    let list = fleet.command(&["letters"]).out;
    let columns: Vec<_> = list.lines().nth(1).unwrap().split_whitespace().take(4).collect();
    assert_eq!(columns, ["1", "echo", "trap", "3"], "{list}");
    let (head, row) = (list.lines().next().unwrap(), list.lines().nth(1).unwrap());
    assert_eq!(head.find("agent"), row.find("echo"), "the columns stand below each other:\n{list}");
    let shown = fleet.command(&["letters", "show", "1"]).out;
    for part in ["letter 1: echo failed 3 times", "cause trap", "from @operator", "backtrace"] {
        assert!(shown.contains(part), "{part:?} in\n{shown}");
    }
    let retried = fleet.command(&["letters", "retry", "1"]);
    assert!(retried.out.contains("letter 1 is message"), "{retried:?}");
    within(PATIENCE, "it fails again", || {
        Some(()).filter(|()| fleet.command(&["letters"]).out.contains("\n     2  echo"))
    });
    assert_eq!(fleet.command(&["letters", "drop", "2"]).out, "dropped 2\n");
    assert_eq!(fleet.command(&["letters", "list"]).out, "no dead letters\n");
    fleet.command(&["letters", "show", "2"]).failed(1, "not_found", &["letter 2"]);
}

#[test]
fn stop_ends_the_fleet_and_what_was_accepted_stays() {
    let mut fleet = Fleet::running(ECHO);
    assert_eq!(fleet.call("echo", "count").json(), json!(1));
    assert_eq!(fleet.command(&["stop"]).out, "stopping\n");
    fleet.ended_well();
    assert!(!fleet.data().join("loket.sock").exists(), "no socket without a fleet");
    fleet.command(&["tree"]).failed(69, "C001", &["loket run"]);
    fleet.start();
    assert_eq!(fleet.call("echo", "count").json(), json!(2));
    assert_eq!(fleet.command(&["stop", "--now"]).exit, 0);
    fleet.ended_well();
}

#[test]
fn the_data_directory_is_found_or_named_and_the_flag_wins() {
    let mut fleet = Fleet::of(&file(r#"data: "here.data","#, ECHO));
    let mut run = loket();
    run.arg("run").arg(fleet.path("fleet.ron"));
    fleet.start_as(run, fleet.path("here.data"));
    let tree = |data: Option<&str>, words: &[&str]| {
        let mut command = loket();
        command.current_dir(fleet.path(".")).arg("tree").args(words);
        if let Some(data) = data {
            command.env("LOKET_DATA", data);
        }
        finish(command)
    };
    assert_eq!(tree(None, &[]).exit, 0, "the only one in this folder is found");
    // One that a killed process left behind does not count, one that answers does.
    fs::create_dir(fleet.path("dead.data")).unwrap();
    fs::write(fleet.path("dead.data/loket.sock"), "").unwrap();
    assert_eq!(tree(None, &[]).exit, 0, "the only one that runs is found");
    fs::create_dir(fleet.path("there.data")).unwrap();
    let there = UnixListener::bind(fleet.path("there.data/loket.sock")).unwrap();
    tree(None, &[]).failed(2, "C005", &["here.data", "there.data", "--data"]);
    drop(there);
    assert_eq!(tree(Some("here.data"), &[]).exit, 0);
    tree(Some("none.data"), &[]).failed(69, "C001", &["none.data"]);
    assert_eq!(tree(Some("none.data"), &["--data", "here.data"]).exit, 0);
}
