//! Signals and pipes of a running fleet, and what it says about itself.

use crate::ECHO;
use crate::fleet::{Fleet, PATIENCE, ask, file, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running fleet whose output is the test's own.
struct Running {
    fleet: Fleet,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Its standard output and error go to these, or to the file `out`.
    fn start(fleet: Fleet, words: &[&str], to: Option<[Stdio; 2]>) -> Self {
        let [out, err] =
            to.unwrap_or_else(|| [File::create(fleet.path("out")).unwrap().into(), Stdio::null()]);
        let child = fleet.run().args(words).stdout(out).stderr(err).spawn().unwrap();
        let mut running = Self { fleet, child };
        within(PATIENCE, "the fleet is up", || {
            assert!(running.child.try_wait().unwrap().is_none(), "it ended");
            ask(&running.fleet.data(), "agent.status", &json!({})).ok()
        });
        running
    }

    fn of(children: &str) -> Self {
        Self::start(Fleet::of(&file("", children)), &[], None)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        within(PATIENCE, "the fleet ends", || self.child.try_wait().unwrap())
    }

    fn out(&self) -> String {
        fs::read_to_string(self.fleet.path("out")).unwrap()
    }
}

#[test]
fn one_interrupt_stops_in_order() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = Running::of(ECHO);
        assert_eq!(running.fleet.call("echo", "count").json(), json!(1));
        running.signal(signal);
        assert_eq!(running.ended().code(), Some(0), "{signal:?}");
        assert!(!running.fleet.data().join("loket.sock").exists());
        let last = running.out().lines().last().unwrap().to_owned();
        assert!(last.starts_with("1 accepted, 1 completed, 0 waiting"), "{last}");
    }
}

#[test]
fn the_last_counts_know_of_crashes_whoever_stops_the_fleet() {
    let mut running = Running::of(ECHO);
    assert_eq!(running.fleet.call("echo", "trap").exit, 1);
    let crashes = running.fleet.status()["restarts"].clone();
    assert_eq!(running.fleet.command(&["stop"]).exit, 0);
    assert_eq!(running.ended().code(), Some(0));
    let last = running.out().lines().last().unwrap().to_owned();
    assert!(last.contains(&format!("{crashes} restarts")), "{last}");
    assert_ne!(crashes, json!(0));
}

/// The ledger is there before the tree, and the signals are listened to before that.
#[test]
fn a_signal_while_it_starts_stops_in_order() {
    let children: Vec<_> =
        (0..500).map(|n| format!(r#"Agent(id: "a{n}", module: "builtin:echo")"#)).collect();
    for signal in [Signal::INT, Signal::TERM] {
        let fleet = Fleet::of(&file("", &children.join(",")));
        let child = fleet.run().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut running = Running { fleet, child };
        within(PATIENCE, "it has begun", || {
            running.fleet.data().join("ledger.db").exists().then_some(())
        });
        running.signal(signal);
        assert_eq!(running.ended().code(), Some(0), "{signal:?}");
    }
}

/// A fleet that does not listen yet is stopped all the same, and nobody is told that there is none.
#[test]
fn a_stop_while_it_starts_waits_for_it_and_stops_it() {
    let children: Vec<_> =
        (0..500).map(|n| format!(r#"Agent(id: "a{n}", module: "builtin:echo")"#)).collect();
    let fleet = Fleet::of(&file("", &children.join(",")));
    let child = fleet.run().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut running = Running { fleet, child };
    within(PATIENCE, "it has begun", || {
        running.fleet.data().join("ledger.db").exists().then_some(())
    });
    let early = running.fleet.command(&["status"]);
    let listens = early.exit == 0;
    assert!(listens || early.err.contains("is starting, or ending"), "{early:?}");
    let said = running.fleet.command(&["stop"]);
    assert_eq!((said.exit, said.out.as_str()), (0, "stopping\n"), "{said:?}");
    assert_eq!(running.ended().code(), Some(0));
    running.fleet.command(&["stop"]).failed(69, "C001", &["no fleet runs"]);
}

/// A turn that outlives every patience, and an order to wait for it.
const ENDLESS: &str = r#"
    Agent(id: "echo", module: "builtin:echo", charge: Letter, shutdown: Timeout("10m"), limits: (deadline: "10m"))"#;

#[test]
fn a_second_interrupt_stops_at_once() {
    let mut running = Running::of(ENDLESS);
    assert_eq!(running.fleet.command(&["send", "echo", "loop"]).exit, 0);
    within(PATIENCE, "the turn runs", || {
        Some(()).filter(|()| running.fleet.status()["waiting"] == 1)
    });
    running.signal(Signal::INT);
    within(PATIENCE, "it says so", || {
        Some(()).filter(|()| running.out().contains("Ctrl-C again stops at once"))
    });
    let began = Instant::now();
    running.signal(Signal::INT);
    assert_eq!(running.ended().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(20), "at once is not {:?}", began.elapsed());
}

#[test]
fn nobody_need_read_what_a_fleet_says() {
    let pipes = [(); 2].map(|()| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    });
    let mut running = Running::start(Fleet::of(&file("", ECHO)), &[], Some(pipes));
    // Three crashes are three reports on a closed pipe.
    assert_eq!(running.fleet.call("echo", "trap").exit, 1);
    assert_eq!(running.fleet.command(&["call", "echo", "hello"]).out, "hello\n");
    running.signal(Signal::INT);
    assert_eq!(running.ended().code(), Some(0));
}

#[test]
fn json_output_is_a_line_an_object() {
    let fields = r#"opening: [(to: "echo", title: "First", body: "{\"a\": 1}")],"#;
    let fleet = Fleet::of(&file(fields, ECHO));
    let mut command = fleet.run();
    command.args(["--once", "--json"]);
    let said = crate::fleet::finish(command);
    assert_eq!(said.exit, 0, "{said:?}");
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["answer"], json!({"a": 1}), "{lines:?}");
    let status = &lines.last().unwrap()["status"];
    assert_eq!((&status["accepted"], &status["lost"]), (&json!(1), &json!(0)), "{lines:?}");
}

#[test]
fn counts_are_told_when_they_change() {
    let running = Running::of(ECHO);
    assert_eq!(running.fleet.call("echo", "hello").exit, 0);
    within(PATIENCE, "the new count is told", || {
        Some(()).filter(|()| running.out().contains("1 accepted, 1 completed, 0 waiting"))
    });
}
