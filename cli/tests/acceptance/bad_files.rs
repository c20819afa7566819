//! Documents that make trouble: each is read whole, or refused with a code; none is cut, none hangs, none takes the reader down.

use crate::fleet::{Fleet, READER, read};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Asks the reader to read; the reader survives it.
fn reading(fleet: &Fleet, root: &str, path: &str) -> Result<Value, Value> {
    let args = json!({"to": "reader", "body": {"read": {"root": root, "path": path}}, "timeout_ms": 50_000});
    let answer = fleet.ask("agent.call", &args);
    let child = fleet.child("reader");
    assert_eq!(child["restarts"], 0, "{path}: {answer:?} {child}");
    answer
}

#[track_caller]
fn refused(fleet: &Fleet, root: &str, path: &str, code: &str) {
    let failure = reading(fleet, root, path).unwrap_err();
    assert_eq!(failure["code"], code, "{failure}");
    assert!(failure["message"].as_str().unwrap().contains(path), "{failure}");
    assert_eq!(failure["retryable"], false, "{failure}");
}

/// The rows that a file left, in order, from the brain of the stopped fleet.
fn rows(fleet: &Fleet, source: &str) -> Vec<String> {
    let conn = rusqlite::Connection::open(fleet.data().join("brains/01/1.db")).unwrap();
    let mut select = conn.prepare("SELECT text FROM memory WHERE source = ? ORDER BY id").unwrap();
    let rows = select.query_map([source], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn what_is_not_there_or_not_a_file() {
    let fleet = Fleet::running(&READER.replace(r#"["docs"]"#, r#"["docs", "absent"]"#));
    fleet.write("secret.txt", "secret");
    std::fs::create_dir(fleet.path("docs/folder")).unwrap();
    symlink("../secret.txt", fleet.path("docs/link.txt")).unwrap();
    symlink("loop.txt", fleet.path("docs/loop.txt")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, fleet.path("docs/fifo"), rustix::fs::Mode::RUSR).unwrap();
    refused(&fleet, "docs", "absent.txt", "not_found");
    refused(&fleet, "docs", "folder", "not_a_file");
    refused(&fleet, "docs", "fifo", "not_a_file");
    refused(&fleet, "docs", "link.txt", "out_of_scope");
    refused(&fleet, "docs", "../secret.txt", "out_of_scope");
    refused(&fleet, "docs", "/etc/passwd", "out_of_scope");
    assert!(reading(&fleet, "docs", "loop.txt").is_err());
    // A missing folder, and one that is not granted.
    assert_eq!(reading(&fleet, "absent", "a.txt").unwrap_err()["code"], "not_found");
    assert_eq!(reading(&fleet, "..", "secret.txt").unwrap_err()["code"], "out_of_scope");
    let status = fleet.status();
    assert_eq!((&status["letters"], &status["lost"]), (&json!(0), &json!(0)), "{status}");
}

#[test]
fn an_unreadable_file() {
    let mut fleet = Fleet::of(&crate::fleet::file("", READER));
    let path = fleet.write("docs/closed.txt", "closed");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::read(&path).is_ok() {
        // The one who runs this may read everything: the fleet runs as somebody who may not.
        run_as_nobody(&mut fleet);
    } else {
        fleet.start();
    }
    refused(&fleet, "docs", "closed.txt", "unreadable");
}

/// Needs to be root: gives the folder away and starts a copy of the binary, which may lie where nobody can reach it.
fn run_as_nobody(fleet: &mut Fleet) {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let binary = fleet.path("loket");
    std::fs::copy(env!("CARGO_BIN_EXE_loket"), &binary).unwrap();
    std::fs::create_dir(fleet.data()).unwrap();
    for path in [fleet.path(""), fleet.data()] {
        std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut command = std::process::Command::new(binary);
    command.arg("run").arg(fleet.path("fleet.ron")).arg("--data").arg(fleet.data());
    command.env("LOKET_LOG", "warn").uid(NOBODY).gid(NOBODY);
    fleet.start_as(command, fleet.data());
}

#[test]
fn strange_but_whole() {
    let mut fleet = Fleet::running(READER);
    fleet.write("docs/empty.txt", "");
    fleet.write("docs/not-utf8.txt", b"caf\xe9 \xff\xfe end\n");
    fleet.write("docs/two\nlines.txt", "the name has two lines\n");
    fleet.write("docs/zeros.bin", [0_u8; 5_000]);
    fleet.write("docs/one-line.txt", "x".repeat(700_000));
    std::fs::write(fleet.path("docs").join(OsStr::from_bytes(b"name-\xff.txt")), "x").unwrap();

    let answer = reading(&fleet, "docs", "empty.txt").unwrap();
    assert_eq!(answer, json!({"path": "empty.txt", "passages": 0, "bytes": 0}));
    let answer = reading(&fleet, "docs", "not-utf8.txt").unwrap();
    assert_eq!((&answer["lossy"], &answer["bytes"]), (&json!(true), &json!(12)), "{answer}");
    let answer = reading(&fleet, "docs", "two\nlines.txt").unwrap();
    assert_eq!(answer, json!({"path": "two\nlines.txt", "passages": 1, "bytes": 23}));
    assert_eq!(reading(&fleet, "docs", "zeros.bin").unwrap()["bytes"], 5_000);
    assert_eq!(reading(&fleet, "docs", "one-line.txt").unwrap()["bytes"], 700_000);
    // On the command line too.
    assert_eq!(fleet.call("reader", &read("two\nlines.txt")).json()["bytes"], 23);
    fleet.stop();
    assert_eq!(rows(&fleet, "empty.txt"), [""]);
    assert_eq!(rows(&fleet, "not-utf8.txt"), ["caf\u{fffd} \u{fffd}\u{fffd} end\n"]);
    assert_eq!(rows(&fleet, "two\nlines.txt").len(), 2);
    assert_eq!(rows(&fleet, "zeros.bin").concat(), "\0".repeat(5_000));
    assert_eq!(rows(&fleet, "one-line.txt").concat(), "x".repeat(700_000));
}

#[test]
fn a_folder_is_listed_with_what_could_not_be() {
    let lister = r#"Provider(id: "fs", use: Fs()),
        Agent(id: "lister", module: "builtin:echo", grants: [(cap: "fs.list", scope: { "roots": ["docs"] })]),"#;
    let fleet = Fleet::running(lister);
    fleet.write("docs/two\nlines.txt", "x");
    std::fs::write(fleet.path("docs").join(OsStr::from_bytes(b"name-\xff.txt")), "x").unwrap();
    let list = fleet.call("lister", r#"call fs.list {"root": "docs"}"#).json();
    assert_eq!(
        list["entries"],
        json!([{"path": "two\nlines.txt", "kind": "file", "bytes": 1}]),
        "{list}"
    );
    assert_eq!(list["skipped"][0]["code"], "not_utf8", "{list}");
    assert_eq!(list["skipped"].as_array().unwrap().len(), 1, "{list}");
}

#[test]
fn files_of_6_and_of_200_mb() {
    let mut fleet = Fleet::running(READER);
    let text = "A line of the large file, with a number of words in it.\n".repeat(110_000);
    fleet.write("docs/6.txt", &text);
    let mut huge = std::fs::File::create(fleet.path("docs/200.txt")).unwrap();
    for _ in 0..33 {
        huge.write_all(text.as_bytes()).unwrap();
    }
    let sparse = std::fs::File::create(fleet.path("docs/sparse.bin")).unwrap();
    sparse.set_len(200_000_000).unwrap();

    let answer = reading(&fleet, "docs", "6.txt").unwrap();
    assert_eq!(answer["bytes"], text.len(), "{answer}");
    refused(&fleet, "docs", "200.txt", "too_large");
    refused(&fleet, "docs", "sparse.bin", "too_large");
    let status = fleet.status();
    assert_eq!((&status["completed"], &status["letters"]), (&json!(3), &json!(0)), "{status}");
    fleet.stop();
    assert_eq!(rows(&fleet, "6.txt").concat(), text);
    assert_eq!(rows(&fleet, "200.txt"), Vec::<String>::new());
}

#[test]
fn a_range_at_the_end_of_200_mb() {
    let asker = r#"Provider(id: "fs", use: Fs()),
        Agent(id: "asker", module: "builtin:echo", grants: [(cap: "fs.read", scope: { "roots": ["docs"] })]),"#;
    let fleet = Fleet::running(asker);
    let mut huge = std::fs::File::create(fleet.path("docs/200.txt")).unwrap();
    huge.write_all(&[b'x'; 300_000]).unwrap();
    huge.set_len(200_000_000).unwrap();
    std::io::Seek::seek(&mut huge, std::io::SeekFrom::End(0)).unwrap();
    huge.write_all(b"the end").unwrap();
    let ask = r#"call fs.read {"root": "docs", "path": "200.txt", "offset": 200000000}"#;
    let range = fleet.call("asker", ask).json();
    assert_eq!((&range["text"], &range["eof"]), (&json!("the end"), &json!(true)), "{range}");
    assert_eq!(range["size"], 200_000_007_u64, "{range}");
    let ask = r#"call fs.read {"root": "docs", "path": "200.txt", "length": 262144}"#;
    let range = fleet.call("asker", ask).json();
    assert_eq!(
        (&range["bytes"], &range["eof"]),
        (&json!(262_144), &json!(false)),
        "not cut in silence"
    );
    let ask = r#"call fs.read {"root": "docs", "path": "200.txt", "length": 1000000000}"#;
    fleet.call("asker", ask).failed(1, "bad_args", &["262144", "in ranges"]);
}
