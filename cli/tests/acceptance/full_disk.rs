//! No space left: what cannot be accepted is refused, what was accepted stays, and the fleet goes on once there is space (J3).
//!
//! The data directory is a small file system of its own, in a mount namespace of the fleet's; from outside it is seen
//! through `/proc/PID/root`. Where no such namespace can be made the test says so and fails: it never passes unseen.

use crate::fleet::{Fleet, PATIENCE, ask, file, finish, loket, within};
use crate::outside::Outside;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Size of the file system.
const BYTES: &str = "12m";

const DESK: &str = r#"Agent(id: "desk", module: "builtin:echo", grants: [(cap: "store.brain")]),"#;

/// A command in a namespace where `data` is a file system of [`BYTES`], kept by a process that waits for its end.
fn on_small_disk(fleet: &Fleet, user: bool) -> Command {
    let script =
        format!("mount -t tmpfs -o size={BYTES},mode=700 none \"$1\" && shift && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.arg(if user { "-Urm" } else { "-m" }).args(["sh", "-c", &script, "sh"]);
    command.arg(fleet.data()).arg(env!("CARGO_BIN_EXE_loket")).arg("run");
    command.arg(fleet.path("fleet.ron")).arg("--data").arg(fleet.data()).env("LOKET_LOG", "warn");
    command
}

/// The data directory as it is seen from here: the process replaces itself, so its number is known only once it runs.
fn seen(fleet: &Fleet, pid: u32) -> PathBuf {
    Path::new(&format!("/proc/{pid}/root")).join(fleet.data().strip_prefix("/").unwrap())
}

/// Fills the file system to the last block, and gives the ballast.
fn fill(data: &Path) -> PathBuf {
    let path = data.join("ballast");
    let mut ballast = fs::File::create(&path).unwrap();
    let mut block = vec![0_u8; 1 << 20];
    while !block.is_empty() {
        if ballast.write_all(&block).is_err() {
            block.truncate(block.len() / 2);
        }
    }
    path
}

/// A fleet with these children on such a disk, and its data directory as it is seen from here.
fn running_on_small_disk(children: &str) -> (Fleet, PathBuf) {
    let mut fleet = Fleet::of(&file("", children));
    fs::create_dir(fleet.data()).unwrap();
    let root = rustix::process::geteuid().is_root();
    let command = on_small_disk(&fleet, !root);
    fleet.spawn(command);
    let data = seen(&fleet, fleet.pid());
    fleet.up(&data);
    (fleet, data)
}

fn send(data: &Path, text: &str, key: &str) -> Result<Value, Value> {
    ask(data, "agent.send", &json!({"to": "desk", "body": text, "key": key}))
}

#[test]
fn a_full_disk_refuses_loses_nothing_and_recovers() {
    let (mut fleet, data) = running_on_small_disk(DESK);

    let mut accepted = Vec::new();
    for at in 0..3 {
        let key = format!("before-{at}");
        accepted.push((key.clone(), send(&data, "count", &key).unwrap()["message"].clone()));
    }
    let ballast = fill(&data);
    // Some may find a page that is free already; it cannot be many of this size.
    let body = format!("append {}", "x".repeat(100_000));
    let mut refused = None;
    for at in 0..50 {
        let key = format!("full-{at}");
        match send(&data, &body, &key) {
            Ok(answer) => accepted.push((key, answer["message"].clone())),
            Err(failure) => {
                refused = Some((key, failure));
                break;
            }
        }
    }
    let (refused_key, failure) = refused.expect("50 messages of 100 kB found room on a full disk");
    assert_eq!(
        (&failure["code"], &failure["retryable"]),
        (&json!("disk_full"), &json!(true)),
        "{failure}"
    );
    // On the command line: exit code 75, try again later.
    let mut command = loket();
    command.args(["send", "desk", &body, "--data"]).arg(&data);
    finish(command).failed(75, "disk_full", &[]);
    // It is up, and says what it holds.
    let status = ask(&data, "agent.status", &json!({})).unwrap();
    assert_eq!((&status["lost"], &status["letters"]), (&json!(0), &json!(0)), "{status}");
    assert_eq!(status["accepted"], accepted.len(), "{status}");

    fs::remove_file(ballast).unwrap();
    let answer =
        within(PATIENCE, "it recovers by itself", || send(&data, &body, &refused_key).ok());
    accepted.push((refused_key, answer["message"].clone()));
    let status = within(PATIENCE, "all that was accepted is completed", || {
        let status = ask(&data, "agent.status", &json!({})).unwrap();
        Some(status.clone()).filter(|status| status["waiting"] == 0)
    });
    assert_eq!(status["completed"], accepted.len(), "{status}");
    assert_eq!((&status["lost"], &status["letters"]), (&json!(0), &json!(0)), "{status}");
    for (key, message) in &accepted {
        let body = if key.starts_with("before") { "count" } else { body.as_str() };
        assert_eq!(
            send(&data, body, key).unwrap()["message"],
            *message,
            "{key} is the same message"
        );
    }
    assert_eq!(ask(&data, "agent.shutdown", &json!({})).unwrap()["stopping"], true);
    fleet.ended_well();
}

#[test]
fn c4_an_answer_that_meets_a_full_disk_is_written_once_there_is_room() {
    let outside = Outside::start().unwrap();
    let children = format!(
        r#"Provider(id: "web", use: Http()),
           Agent(id: "buyer", module: "builtin:script", grants: [
               (cap: "http", scope: {{ "hosts": [{:?}], "methods": ["POST"] }})]),
           {DESK}"#,
        outside.host
    );
    let (mut fleet, data) = running_on_small_disk(&children);
    outside.hold(true);
    let url = format!("http://{}/tea", outside.host);
    let body = json!([{"call": "http.send", "args": {"url": url, "body": "tea"}}]).to_string();
    let args = json!({"to": "buyer", "body": body, "key": "tea"});
    ask(&data, "agent.send", &args).unwrap();
    within(PATIENCE, "the outside has it", || (outside.count("/tea") > 0).then_some(()));
    let ballast = fill(&data);
    // What is free already is used up: the answer, too, finds no room.
    for (bytes, most) in [(100_000, 50), (1, 2_000)] {
        let body = format!("append {}", "x".repeat(bytes));
        let full = (0..most).any(|at| send(&data, &body, &format!("{bytes}-{at}")).is_err());
        assert!(full, "{most} messages of {bytes} bytes found room on a full disk");
    }
    outside.hold(false);
    within(PATIENCE, "its answer could not be written", || {
        fleet.log().contains("result not written").then_some(())
    });
    fs::remove_file(ballast).unwrap();
    let told = ask(&data, "agent.call", &args).unwrap();
    assert_eq!(told[0]["ok"]["status"], 200, "{told}");
    let status = ask(&data, "agent.status", &json!({})).unwrap();
    assert_eq!((outside.count("/tea"), &status["doubts"]), (1, &json!(0)), "{status}");
    assert_eq!(ask(&data, "agent.shutdown", &json!({})).unwrap()["stopping"], true);
    fleet.ended_well();
}

#[test]
fn a_start_on_a_full_disk_says_so() {
    let fleet = Fleet::of(&file("", DESK));
    fs::create_dir(fleet.data()).unwrap();
    let root = rustix::process::geteuid().is_root();
    let script = "mount -t tmpfs -o size=64k none \"$1\" \\
        && (head -c 1000000 /dev/zero > \"$1/ballast\"; shift; exec \"$@\") 2>&1 >&2";
    let mut command = Command::new("unshare");
    command.arg(if root { "-m" } else { "-Urm" }).args(["sh", "-c", script, "sh"]);
    command.arg(fleet.data()).arg(env!("CARGO_BIN_EXE_loket")).arg("run");
    command.arg(fleet.path("fleet.ron")).arg("--data").arg(fleet.data()).env("LOKET_LOG", "error");
    let said = finish(command);
    assert!([73, 75].contains(&said.exit), "{said:?}");
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains("error[L") && !told.contains("panicked"), "{said:?}");
    assert!(told.contains("full") || told.contains("space"), "{said:?}");
}
