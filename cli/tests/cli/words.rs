//! What is said without a running fleet: help, pages, findings, errors.

use crate::ECHO;
use crate::fleet::{Fleet, Said, file, finish, loket};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const COMMANDS: [&str; 19] = [
    "history", "why", "diff", "reload", "fmt", "schema", "run", "check", "simulate", "tree",
    "status", "send", "call", "kill", "letters", "ask", "stop", "explain", "version",
];

fn say(words: &[&str]) -> Said {
    say_in(Path::new("."), words)
}

fn say_in(folder: &Path, words: &[&str]) -> Said {
    let mut command = loket();
    command.current_dir(folder).args(words);
    finish(command)
}

#[test]
fn help_shows_every_command_and_examples() {
    for ask in [&["--help"][..], &["-h"]] {
        let help = say(ask);
        assert_eq!(help.exit, 0, "{help:?}");
        assert!(help.out.contains("Examples:\n  loket run "), "{help:?}");
        for command in COMMANDS {
            assert!(help.out.contains(&format!("\n  {command} ")), "{command}: {}", help.out);
        }
    }
    for command in COMMANDS {
        let help = say(&[command, "--help"]);
        assert_eq!(help.exit, 0, "{help:?}");
        assert!(help.out.contains(&format!("Usage: loket {command}")), "{help:?}");
        let example = format!("Examples:\n  loket {command}");
        assert!(command == "version" || help.out.contains(&example), "{help:?}");
    }
}

#[test]
fn a_slip_of_the_finger_gets_the_near_word() {
    for (typed, near) in [
        (&["chekc", "a.ron"][..], "check"),
        (&["letter"], "letters"),
        (&["run", "a.ron", "--onec"], "--once"),
        (&["letters", "shwo", "1"], "show"),
    ] {
        let said = say(typed);
        assert_eq!(said.exit, 2, "{said:?}");
        assert!(said.err.contains("similar") && said.err.contains(near), "{said:?}");
        assert_eq!(said.out, "");
    }
    let alone = say(&[]);
    assert_eq!(alone.exit, 2, "no command is no success: {alone:?}");
    assert!(alone.err.contains("Usage: loket"), "{alone:?}");
}

#[test]
fn a_wrong_command_line_is_a_json_error_when_json_was_asked_for() {
    for typed in [
        &["chekc", "a.ron", "--json"][..],
        &["--json", "run"],
        &["kill", "--json", "--nobody"],
        &["--json"],
    ] {
        let said = say(typed);
        assert_eq!((said.exit, said.out.as_str()), (2, ""), "{said:?}");
        let error: Value = serde_json::from_str(&said.err).unwrap_or_else(|_| panic!("{said:?}"));
        assert_eq!(error["error"]["code"], "usage", "{said:?}");
        assert!(error["error"]["message"].as_str().unwrap().contains("Usage: loket"), "{said:?}");
    }
    // Behind `--` it is a word like any other.
    let said = say(&["check", "a.ron", "--onec", "--", "--json"]);
    assert!(said.exit == 2 && said.err.starts_with("error: "), "{said:?}");
}

#[test]
fn fmt_forms_the_good_files_and_tells_of_the_bad_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let crooked = "Fleet(version:1,name:\"a\",root:Supervisor())\n";
    write("a.ron", crooked);
    write("bad.ron", "Fleet(\n");
    write("c.ron", crooked);
    let said = say_in(folder.path(), &["fmt", "a.ron", "bad.ron", "none.ron", "c.ron"]);
    assert_eq!(said.exit, 2, "the worst of them: {said:?}");
    assert_eq!(said.out, "formatted: a.ron\nformatted: c.ron\n");
    let errors: Vec<_> = said.err.lines().collect();
    assert!(errors[0].starts_with("error[E001]: bad.ron:"), "{said:?}");
    assert!(errors[1].starts_with("error[C013]") && errors[1].contains("none.ron"), "{said:?}");
    assert!(read("a.ron") != crooked && read("a.ron") == read("c.ron"));
    assert_eq!(read("bad.ron"), "Fleet(\n");
    let json = say_in(folder.path(), &["fmt", "bad.ron", "a.ron", "--json"]);
    assert_eq!(json.exit, 1, "{json:?}");
    let told: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(told["failed"], serde_json::json!([{"file": "bad.ron", "code": "E001"}]));
}

#[test]
fn what_a_file_holds_does_nothing_to_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let odd =
        "Fleet(version: 1,name: \"a\\u{1b}[31m\", /* \u{202e} \u{9b} */ root: Supervisor())\n";
    fs::write(folder.path().join("odd\u{202e}.ron"), odd).unwrap();
    for words in [["check"], ["fmt"], ["simulate"], ["run"]] {
        let said = say_in(folder.path(), &[words[0], "odd\u{202e}.ron"]);
        let all = said.out.clone() + &said.err;
        assert!(!all.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{words:?}: {all:?}");
        assert!(all.contains("\\u{202e}"), "{words:?}: {all:?}");
    }
    let said = say_in(folder.path(), &["check", "odd\u{202e}.ron"]);
    assert!(said.out.contains("\"a\\u{1b}[31m\" is not well formed"), "{said:?}");
    // The caret stands under what is shown.
    let lines: Vec<_> = said.out.lines().collect();
    let at = lines.iter().position(|line| line.contains("^^^")).unwrap();
    let (source, caret) = (lines[at - 1], lines[at].find('^').unwrap());
    assert_eq!(source.find("\"a"), Some(caret), "{said:?}");
}

#[test]
fn every_code_that_is_listed_has_its_page() {
    let list = say(&["explain", "--json"]).json();
    assert_eq!(list["version"], 1);
    let codes = list["codes"].as_array().unwrap();
    assert!(codes.len() > 100, "{}", codes.len());
    let text = say(&["explain"]).out;
    for entry in codes {
        let code = entry["code"].as_str().unwrap();
        let page = say(&["explain", code, "--json"]).json();
        assert_eq!((&page["version"], &page["code"]), (&Value::from(1), &entry["code"]));
        let head = format!("# {code}: {}\n", entry["title"].as_str().unwrap());
        assert!(page["text"].as_str().unwrap().starts_with(&head), "{head}");
        assert!(text.lines().any(|line| line.starts_with(&format!("{code} "))), "{code}");
    }
    assert!(say(&["explain", "k003"]).out.starts_with("# K003"), "codes are found in any case");
    say(&["explain", "K999"]).failed(2, "C008", &["K999"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for words in [&["explain"][..], &["explain", "--json"], &["--help"], &["version"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = loket().args(words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
    // An error that nobody reads keeps its exit code.
    for (words, exit) in [(&["explain", "K999"][..], 2), (&["tree", "--data", "none"], 69)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = loket().args(words).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(exit), "{words:?}");
    }
}

/// What a fleet that logs shows on a terminal.
fn on_a_terminal(fleet: &Fleet, option: &str, variables: &[(&str, &str)]) -> String {
    let run = format!(
        "{} run {} --data {} --once {option}",
        env!("CARGO_BIN_EXE_loket"),
        fleet.path("fleet.ron").display(),
        fleet.data().display(),
    );
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &run, "/dev/null"]).stdin(Stdio::null());
    command.env_remove("NO_COLOR").env_remove("LOKET_LOG").env("TERM", "xterm");
    command.envs(variables.iter().copied());
    let said = finish(command);
    assert_eq!(said.exit, 0, "{said:?}");
    said.out
}

/// Cursor up and erase: how a frame is drawn over the last.
const REDRAWN: &str = "A\u{1b}[J";

#[test]
fn the_tree_is_live_on_a_terminal_only() {
    let fleet = Fleet::of(&file("", ECHO));
    let live = on_a_terminal(&fleet, "", &[]);
    assert!(live.contains(REDRAWN) && live.contains("─ echo  agent  running"), "{live}");
    assert!(live.trim_end().ends_with("0 lost"), "the counts stay: {live}");
    assert!(!live.contains("INFO"), "a log of what is well would write over it: {live}");
    for (option, variables) in [("--plain", &[][..]), ("", &[("TERM", "dumb")]), ("--json", &[])] {
        let plain = on_a_terminal(&fleet, option, variables);
        assert!(!plain.contains(REDRAWN), "{option} {variables:?}: {plain}");
    }
}

#[test]
fn colour_is_for_terminals_and_no_color_is_heeded() {
    let fleet = Fleet::of(&file("", ECHO));
    assert!(
        on_a_terminal(&fleet, "--plain", &[("LOKET_LOG", "trace")]).contains("\u{1b}["),
        "a terminal has colour"
    );
    assert!(
        !on_a_terminal(&fleet, "--plain", &[("LOKET_LOG", "trace"), ("NO_COLOR", "1")])
            .contains('\u{1b}'),
        "NO_COLOR is heeded"
    );
    let mut piped = fleet.run();
    piped.arg("--once").env("LOKET_LOG", "trace");
    let said = finish(piped);
    assert_eq!(said.exit, 0);
    assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "a pipe has none");
    let line = said.err.lines().next().unwrap();
    assert!(serde_json::from_str::<Value>(line).is_ok(), "a pipe gets JSON lines: {line}");
}

#[test]
fn check_tells_all_findings_with_places() {
    let fleet = Fleet::of(&file("", ECHO));
    let plain = format!("Fleet(version: 1, name: \"plain\", root: Supervisor(children: [{ECHO}]))");
    let good = fleet.write("good.ron", plain);
    let said = say(&["check", good.to_str().unwrap(), "--deny-warnings"]);
    assert_eq!((said.exit, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.contains("no findings"), "{said:?}");

    let often = format!(
        "Fleet(version: 1, name: \"often\", root: Supervisor(intensity: 100, children: [{ECHO}]))"
    );
    let doubtful = fleet.write("doubtful.ron", often);
    let said = say(&["check", doubtful.to_str().unwrap()]);
    assert_eq!(said.exit, 0, "a warning does not stop a fleet: {said:?}");
    assert!(said.out.contains("warning[W402]") && said.out.contains("doubtful.ron:1:"), "{said:?}");
    assert_eq!(say(&["check", doubtful.to_str().unwrap(), "--deny-warnings"]).exit, 1);

    let bad =
        file("", r#"Agent(id: "Echo", module: "builtin:nobody"), Agent(id: "a", modul: "x")"#);
    let bad = fleet.write("bad.ron", bad);
    let said = say(&["check", bad.to_str().unwrap()]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.out.contains("modul") && said.out.contains("bad.ron:2:"), "{said:?}");
    let json = say(&["check", bad.to_str().unwrap(), "--json"]);
    assert_eq!(json.exit, 1);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["version"], &json["ok"]), (&Value::from(1), &Value::from(false)));
    let findings = json["findings"].as_array().unwrap();
    assert!(findings.len() >= 2, "all at once: {findings:?}");
    for finding in findings {
        let page = say(&["explain", finding["code"].as_str().unwrap()]);
        assert_eq!(page.exit, 0, "a finding's code has its page: {finding}");
    }
    // `run` starts nothing from such a file, and leaves nothing behind.
    let mut run = loket();
    run.arg("run").arg(&bad).arg("--data").arg(fleet.data());
    let said = finish(run);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.err.contains("nothing was started") && said.err.contains("modul"), "{said:?}");
    assert!(!fleet.data().exists(), "a bad file makes no data directory");
}

#[test]
fn what_cannot_be_read_is_the_command_lines_fault() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("latin1.ron"), b"// caf\xe9\n").unwrap();
    for name in ["none.ron", ".", "latin1.ron"] {
        say_in(folder.path(), &["check", name]).failed(2, "C013", &[name]);
        say_in(folder.path(), &["run", name]).failed(2, "C013", &[name]);
    }
    fs::write(folder.path().join("fleet.ron"), file("", ECHO)).unwrap();
    say_in(folder.path(), &["check", "fleet.ron", "--set", "docs"]).failed(2, "usage", &["--set"]);
    let unknown = say_in(folder.path(), &["check", "fleet.ron", "--set", "docs=x"]);
    assert_eq!(unknown.exit, 1, "a parameter that the file has not: {unknown:?}");
    assert!(unknown.out.contains("docs"), "{unknown:?}");
}

#[test]
fn without_a_fleet_every_command_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 11] = [
        &["reload"],
        &["history"],
        &["why", "a"],
        &["tree"],
        &["status"],
        &["letters"],
        &["stop"],
        &["kill", "a"],
        &["send", "a", "b"],
        &["call", "a", "b"],
        &["ask", "agent.tree"],
    ];
    for words in commands {
        say_in(folder.path(), words).failed(69, "C001", &["--data"]);
        let named: Vec<_> = words.iter().chain(&["--data", "x.data"]).copied().collect();
        say_in(folder.path(), &named).failed(69, "C001", &["x.data", "loket run"]);
        let json: Vec<_> = named.iter().chain(&["--json"]).copied().collect();
        let said = say_in(folder.path(), &json);
        let error: Value = serde_json::from_str(&said.err).unwrap();
        assert_eq!(error["error"]["code"], "C001", "{said:?}");
        assert_eq!(said.out, "", "an error is no data");
    }
    // Sockets that processes left behind are no fleets.
    for data in ["a.data", "b.data"] {
        fs::create_dir(folder.path().join(data)).unwrap();
        fs::write(folder.path().join(data).join("loket.sock"), "").unwrap();
    }
    say_in(folder.path(), &["tree"]).failed(69, "C001", &["--data"]);
    // What is kept can be read without a fleet, but not of both at once.
    for data in ["a.data", "b.data"] {
        for kept in ["history.db", "ledger.db"] {
            fs::write(folder.path().join(data).join(kept), "").unwrap();
        }
    }
    for words in [&["why", "a"][..], &["history"], &["query", "SELECT 1"]] {
        say_in(folder.path(), words).failed(2, "C005", &["a.data", "b.data", "--data"]);
    }
    say_in(folder.path(), &["tree", "--data", "a.data"]).failed(69, "C001", &["a.data"]);
}

#[test]
fn version_names_what_is_inside() {
    let version = say(&["version", "--json"]).json();
    for part in ["loket", "data_format", "pure_version", "sqlite", "wasmtime", "world"] {
        assert!(!version[part].is_null(), "{part}: {version}");
    }
    assert_eq!(version["version"], 1);
    let text = say(&["version"]).out;
    assert!(text.starts_with(&format!("loket {} ", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(say(&["--version"]).out.contains(env!("CARGO_PKG_VERSION")));
}
