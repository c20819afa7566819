//! Modules that are not in the cache are compiled in a process apart: it does the work, takes what it takes of the machine, and
//! costs the fleet nothing when it is lost.

use crate::fleet::{Fleet, PATIENCE, file, finish, free_port, loket, metric, metrics, within};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::process::Stdio;

const TWO: &str = r#"Agent(id: "echo", module: "builtin:echo"),
    Agent(id: "again", module: "builtin:echo"),
    Agent(id: "script", module: "builtin:script"),"#;

/// A module of this many functions, which takes long to compile.
fn heavy(functions: usize) -> String {
    let body = "local.get 0 i32.const 7 i32.mul local.get 1 i32.xor local.set 1 ".repeat(100);
    let function = format!("(func (param i32) (local i32) {body})");
    format!(
        r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
        (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
        {})"#,
        function.repeat(functions)
    )
}

const HEAVY: &str = r#"Agent(id: "heavy", module: "heavy.wat"),"#;

fn of(outcome: &str) -> String {
    format!("loket_modules_loaded_total{{outcome=\"{outcome}\"}}")
}

/// The process that compiles for this one, while there is one, and once it has confined itself.
fn compiler_of(parent: u32) -> Option<i32> {
    fs::read_dir("/proc").unwrap().find_map(|entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // Behind the name in brackets: the state, and the parent.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let ours = fields.next()? != "Z" && fields.next()?.parse() == Ok(parent);
        (ours && is_confined(&fs::read_to_string(entry.path().join("limits")).ok()?)).then_some(pid)
    })
}

/// The last of the bounds is there, and so all of them.
fn is_confined(limits: &str) -> bool {
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    core.is_some_and(|bounds| bounds.split_whitespace().take(2).eq(["0", "0"]))
}

fn signal(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Orphans below this process are its own from here on, so that it can tell how they ended.
fn adopt() {
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1)).unwrap();
}

/// The signal that ended a process whose parent is gone. A stopped one would be sent SIGHUP by the system in any case: that it ends
/// is not enough.
#[track_caller]
fn ended_by(compiler: i32) -> Option<i32> {
    let pid = rustix::process::Pid::from_raw(compiler);
    let status = within(PATIENCE, "the compiler has ended", || {
        // Until it is an orphan, it is nobody that we know.
        rustix::process::waitpid(pid, rustix::process::WaitOptions::NOHANG).ok().flatten()
    });
    status.1.terminating_signal()
}

#[test]
fn a_first_start_compiles_apart_and_the_next_one_nothing() {
    let port = free_port();
    let mut fleet = Fleet::of(&file(&format!("listen: \"127.0.0.1:{port}\","), TWO));
    fleet.start();
    let lines = metrics(port);
    let outcomes = ["compiled_apart", "compiled_here", "cached"];
    assert_eq!(outcomes.map(|outcome| metric(&lines, &of(outcome))), [2.0, 0.0, 0.0], "{lines:?}");
    assert_eq!(fleet.call("echo", "hello").out, "\"hello\"\n");
    fleet.stop();
    let kept = || {
        let entries = fs::read_dir(fleet.data().join("modules")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let entries = kept();
    assert_eq!(entries.len(), 2, "{entries:?}");
    fleet.start();
    let lines = metrics(port);
    assert_eq!(outcomes.map(|outcome| metric(&lines, &of(outcome))), [0.0, 0.0, 2.0], "{lines:?}");
    fleet.stop();
    let entries = fs::read_dir(fleet.data().join("modules")).unwrap();
    assert_eq!(entries.count(), 2);
}

#[test]
fn a_compiler_that_is_killed_costs_the_module_and_the_fleet_goes_on() {
    let port = free_port();
    let fields = format!("listen: \"127.0.0.1:{port}\",");
    let mut fleet = Fleet::of(&file(&fields, TWO));
    fleet.start();
    fleet.write("heavy.wat", heavy(600));
    fleet.write("fleet.ron", file(&fields, &(TWO.to_owned() + HEAVY)));
    let reload = std::thread::scope(|scope| {
        let reload = scope.spawn(|| fleet.command(&["reload", "--json"]));
        let compiler = within(PATIENCE, "it compiles", || compiler_of(fleet.pid()));
        assert_eq!(fleet.call("echo", "while it compiles").out, "\"while it compiles\"\n");
        signal(compiler, rustix::process::Signal::KILL);
        reload.join().unwrap()
    });
    assert_eq!(reload.exit, 1, "{reload:?}");
    assert!(reload.out.contains("M011") && reload.out.contains("it was killed"), "{reload:?}");
    assert_eq!(metric(&metrics(port), &of("compiler_lost")), 1.0);
    assert_eq!(metric(&metrics(port), &of("compiled_here")), 0.0);
    assert_eq!(fleet.call("echo", "after").out, "\"after\"\n");
    assert_eq!(fleet.child("echo")["restarts"], 0);
    // Nobody kills it the second time.
    assert_eq!(fleet.command(&["reload"]).exit, 0);
    assert_eq!(metric(&metrics(port), &of("compiled_apart")), 3.0);
    fleet.stop();
}

#[test]
fn no_compiler_outlives_its_fleet() {
    adopt();
    let mut fleet = Fleet::of(&file("", HEAVY));
    fleet.write("heavy.wat", heavy(600));
    // Not an interrupt: whatever was started in the background of a script ignores it, and so do its children.
    for way in ["kill", "terminate"] {
        let run = fleet.run();
        fleet.spawn(run);
        let compiler = within(PATIENCE, "it compiles", || compiler_of(fleet.pid()));
        // Seen hanging, so that it cannot have ended by itself.
        signal(compiler, rustix::process::Signal::STOP);
        match way {
            "kill" => fleet.kill_process(),
            _ => {
                signal(fleet.pid().try_into().unwrap(), rustix::process::Signal::TERM);
                assert_eq!(fleet.ended(), None, "by the signal");
            }
        }
        assert_eq!(ended_by(compiler), Some(9), "{way}");
    }
}

#[test]
fn a_stop_waits_for_no_compiler() {
    adopt();
    let mut fleet = Fleet::of(&file("", TWO));
    fleet.start();
    fleet.write("heavy.wat", heavy(600));
    fleet.write("fleet.ron", file("", &(TWO.to_owned() + HEAVY)));
    let (compiler, _reload) = std::thread::scope(|scope| {
        let reload = scope.spawn(|| fleet.command(&["reload"]));
        let compiler = within(PATIENCE, "it compiles", || compiler_of(fleet.pid()));
        signal(compiler, rustix::process::Signal::STOP);
        assert_eq!(fleet.command(&["stop"]).exit, 0);
        (compiler, reload.join().unwrap())
    });
    fleet.ended_well();
    assert_eq!(ended_by(compiler), Some(9));
}

#[test]
fn it_is_confined_before_it_reads() {
    let mut command = loket();
    command.args(["compile-module", "--memory-bytes=67108864", "--module-bytes=1000000"]);
    command.args(["--functions=1000", "--function-bytes=100000"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let of = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    // It confines itself before it reads.
    within(PATIENCE, "it is confined", || is_confined(&of("limits")).then_some(()));
    for (line, bound) in [
        ("Max cpu time", "120"),
        ("Max address space", "4294967296"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
    ] {
        let limits = of("limits");
        let found = limits.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        assert_eq!(found.split_whitespace().next(), Some(bound), "{limits}");
    }
    assert_eq!(of("oom_score_adj").trim(), "1000");
    child.stdin.take().unwrap().write_all(b"no module").unwrap();
    let said = child.wait_with_output().unwrap();
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let refusal: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(refusal, json!({"code": "M001", "message": ""}));
}

#[test]
fn it_holds_no_file_of_the_fleets() {
    let mut fleet = Fleet::of(&file("", TWO));
    fleet.start();
    fleet.write("heavy.wat", heavy(600));
    fleet.write("fleet.ron", file("", &(TWO.to_owned() + HEAVY)));
    let (open, environment) = std::thread::scope(|scope| {
        scope.spawn(|| fleet.command(&["reload"]));
        let compiler = within(PATIENCE, "it compiles", || compiler_of(fleet.pid()));
        signal(compiler, rustix::process::Signal::STOP);
        let open = fs::read_dir(format!("/proc/{compiler}/fd")).unwrap();
        let open = open.map(|fd| fs::read_link(fd.unwrap().path()).unwrap().display().to_string());
        let seen = (open.collect::<Vec<_>>(), fs::read(format!("/proc/{compiler}/environ")));
        signal(compiler, rustix::process::Signal::KILL);
        seen
    });
    let folder = fleet.path("").canonicalize().unwrap().display().to_string();
    let fleets = |open: &&String| open.starts_with("socket:") || open.starts_with(&folder);
    assert_eq!(open.iter().find(fleets), None, "{open:?}");
    assert!(open.iter().filter(|open| open.starts_with("pipe:")).count() >= 2, "{open:?}");
    let environment = String::from_utf8_lossy(&environment.unwrap()).into_owned();
    let mut names = environment.split_terminator('\0').map(|pair| pair.split('=').next());
    assert!(names.all(|name| name == Some("LD_LIBRARY_PATH")), "{environment}");
}

#[test]
fn check_tells_of_a_module_what_a_start_does() {
    let fleet = Fleet::of(&file("", r#"Agent(id: "bad", module: "bad.wat")"#));
    fleet
        .write("bad.wat", heavy(1).replace("(result i32) unreachable", "(result i64) unreachable"));
    let mut check = loket();
    check.arg("check").arg(fleet.path("fleet.ron"));
    let (checked, started) = (finish(check), finish(fleet.run()));
    for said in [&checked, &started] {
        let told = format!("{}{}", said.out, said.err);
        assert!(told.contains("M007") && told.contains("does not fit the world"), "{said:?}");
    }
}
