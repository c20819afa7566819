//! The data directory: one process, nobody else's eyes, any path, and what it holds after a kill.

use crate::ECHO;
use crate::fleet::{Fleet, PATIENCE, file, finish, within};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_second_process_on_a_data_directory_is_turned_away() {
    let fleet = Fleet::running(ECHO);
    let said = finish(fleet.run());
    said.failed(73, "L101", &[&fleet.pid().to_string()]);
    assert_eq!(fleet.command(&["call", "echo", "still here"]).out, "still here\n");
}

#[test]
fn nobody_else_may_look_into_the_data_directory() {
    let fleet = Fleet::running(ECHO);
    let mode = fs::metadata(fleet.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
    // One that was there before keeps its mode, and the operator is told.
    let mut open = Fleet::of(&file("", ECHO));
    fs::create_dir(open.data()).unwrap();
    fs::set_permissions(open.data(), fs::Permissions::from_mode(0o755)).unwrap();
    open.start();
    assert!(open.log().contains("others may look into the data directory"), "{}", open.log());
    assert_eq!(fs::metadata(open.data()).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(!fleet.log().contains("others may look"), "{}", fleet.log());
}

#[test]
fn a_data_directory_may_lie_deep() {
    let mut fleet = Fleet::of(&file("", ECHO));
    let deep = (0..6).fold(fleet.path("deep"), |path, _| path.join("a".repeat(60)));
    assert!(deep.as_os_str().len() > 300, "longer than a socket's path may be: 107 bytes");
    let mut run = crate::fleet::loket();
    run.arg("run").arg(fleet.path("fleet.ron")).arg("--data").arg(&deep);
    // The test itself looks through a short name.
    let short = fleet.path("short");
    std::os::unix::fs::symlink(&deep, &short).unwrap();
    fleet.start_as(run, short);
    let ask = |words: &[&str]| {
        let mut command = crate::fleet::loket();
        command.args(words).arg("--data").arg(&deep);
        finish(command)
    };
    assert_eq!(ask(&["call", "echo", "hello"]).out, "hello\n");
    assert_eq!(ask(&["stop"]).exit, 0);
    fleet.ended_well();
    assert!(!deep.join("loket.sock").exists());
}

#[test]
fn after_a_kill_it_goes_on_and_nothing_is_done_twice() {
    let mut fleet = Fleet::running(ECHO);
    for round in 1..=3_u64 {
        for n in 0..20 {
            let key = format!("{round}-{n}");
            assert_eq!(fleet.command(&["send", "echo", "count", "--key", &key]).exit, 0);
        }
        fleet.kill_process();
        fleet.command(&["status"]).failed(69, "C001", &[]);
        fleet.start();
        let counted = fleet.call("echo", "count").json();
        assert_eq!(counted, json!(21 * round), "each message counts once");
    }
    let status = within(PATIENCE, "all is completed", || {
        Some(fleet.status()).filter(|status| status["waiting"] == 0)
    });
    assert_eq!(status["accepted"], 63, "{status}");
    assert_eq!((&status["completed"], &status["lost"]), (&json!(63), &json!(0)), "{status}");
    fleet.stop();
}
