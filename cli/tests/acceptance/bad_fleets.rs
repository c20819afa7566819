//! Fleet files and modules that cannot run: told at once, with a code, the place and an exit code, and nothing is started.

use crate::fleet::{Fleet, Said, file, finish};

const FOREIGN: &str = include_str!("../../../agents/hostile/foreign-import.wat");
const NO_HANDLE: &str = include_str!("../../../agents/hostile/no-handle.wat");

/// What `loket run` and `loket check` say of it; neither starts anything.
fn said(fleet: &Fleet) -> Said {
    let ran = finish(fleet.run());
    assert!(!fleet.data().join("ledger.db").exists(), "something was started: {ran:?}");
    ran
}

#[track_caller]
fn module(bytes: &[u8], words: &[&str]) {
    let fleet = Fleet::of(&file("", r#"Agent(id: "a", module: "a.wasm")"#));
    fleet.write("a.wasm", bytes);
    let said = said(&fleet);
    said.failed(1, "E202", words);
    // The place: the module's name in the file, and its agent in the tree.
    for word in ["fleet.ron:2:24", "in root/a", "a.wasm"] {
        assert!(said.err.contains(word), "{word}: {said:?}");
    }
}

#[test]
fn broken_ron() {
    let fleet =
        Fleet::of("Fleet(\n  version: 1,\n  name: \"x\"\n  root: Supervisor(children: []))");
    said(&fleet).failed(1, "E001", &["fleet.ron:4:3", "^", "help"]);
    let all =
        Fleet::of(&file("", r#"Agent(id: "A", module: "builtin:none"), Agent(id: "b", modul: 3)"#));
    let all = said(&all);
    assert_eq!(all.exit, 1, "{all:?}");
    let findings = all.err.matches(" --> ").count();
    assert!(findings >= 3, "every finding at once, not {findings}: {all:?}");
    for (text, code) in [("", "E001"), ("Fleet(", "E001"), ("{}", "E005"), ("\u{feff}\0\0", "E001")]
    {
        said(&Fleet::of(text)).failed(1, code, &["fleet.ron:1:"]);
    }
    let long = format!("{}{}", file("", ""), " ".repeat(17 << 20));
    let long = said(&Fleet::of(&long));
    long.failed(1, "E007", &["16 MiB"]);
    assert!(long.err.len() < 10_000, "the excerpt is cut");
    let deep = said(&Fleet::of(&"(".repeat(100_000)));
    assert_eq!(deep.exit, 1, "{}", &deep.err[..deep.err.len().min(300)]);
}

#[test]
fn a_fleet_file_that_cannot_be_read() {
    let fleet = Fleet::of("");
    fleet.write("fleet.ron", b"Fleet(name: \"\xff\xfe\")");
    said(&fleet).failed(2, "C013", &["fleet.ron", "UTF-8"]);
    std::fs::remove_file(fleet.path("fleet.ron")).unwrap();
    said(&fleet).failed(2, "C013", &["fleet.ron", "No such file"]);
    std::fs::create_dir(fleet.path("fleet.ron")).unwrap();
    said(&fleet).failed(2, "C013", &["fleet.ron", "directory"]);
}

#[test]
fn an_unknown_module() {
    let fleet = Fleet::of(&file("", r#"Agent(id: "a", module: "absent.wasm")"#));
    said(&fleet).failed(1, "E202", &["absent.wasm", "No such file", "in root/a"]);
    let fleet = Fleet::of(&file("", r#"Agent(id: "a", module: "builtin:raeder")"#));
    said(&fleet).failed(1, "E202", &["builtin:raeder", "there are: ", "reader"]);
}

#[test]
fn a_module_that_wants_more_than_the_counter() {
    module(FOREIGN.as_bytes(), &["wasi_snapshot_preview1", "fd_write", "M005"]);
    module(NO_HANDLE.as_bytes(), &["handle", "M006"]);
}

#[test]
fn a_module_that_is_no_wasm() {
    module(b"hello", &["not WebAssembly", "M001"]);
    module(b"", &["not WebAssembly", "M001"]);
    module(b"\0asm", &["M0"]);
    module(b"\0asm\x01\0\0\0\xff\xff\xff", &["M008"]);
    module(b"(module", &["M0"]);
    module(&vec![b'x'; 17 << 20], &["17825792 bytes", "16777216"]);
}

#[test]
fn every_code_that_is_told_here_has_a_page() {
    for code in [
        "E001",
        "E007",
        "C013",
        "E009",
        "E202",
        "M001",
        "M005",
        "M006",
        "M008",
        "L101",
        "L104",
        "refused",
        "too_large",
    ] {
        let mut explain = crate::fleet::loket();
        explain.args(["explain", code]);
        let page = finish(explain);
        assert!(page.exit == 0 && page.out.contains("What to do"), "{code}: {page:?}");
    }
}
