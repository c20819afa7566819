//! The committed guests are what their sources give.
//!
//! The work is in `agents/guests/check-rebuild.sh`: a rebuild in another folder, compared byte for byte.
//! Where this machine cannot know (no wasm target, another toolchain) the test says SKIPPED and passes;
//! with `CI=true` that is a failure, so that a pipeline cannot lose the check in silence.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the script ends with when it could not compare.
const SKIPPED: i32 = 77;

/// A guest is to be committed, fetched and compiled without a thought.
const MODULE_MAX_BYTES: u64 = 150_000;

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../agents/guests")
}

/// Past the test harness, which shows the output of failed tests only.
fn loudly(line: &str) {
    let _ = writeln!(std::io::stderr(), "\n{}", line.trim_end());
}

#[test]
fn a_rebuild_gives_the_committed_bytes() {
    let output = Command::new("bash")
        .arg(guests().join("check-rebuild.sh"))
        .output()
        .expect("bash is there");
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {}
        Some(SKIPPED) => loudly(&format!("SKIPPED a_rebuild_gives_the_committed_bytes: {said}")),
        code => panic!("check-rebuild.sh ended with {code:?}:\n{said}"),
    }
}

#[test]
fn every_guest_is_committed_and_small() {
    let modules = guests().join("modules");
    let sums = std::fs::read_to_string(modules.join("SHA256SUMS")).expect("the sums are committed");
    let mut named: Vec<&str> =
        sums.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    named.sort_unstable();
    let expected = ["assistant", "echo", "gremlin", "librarian", "reader", "script"];
    assert_eq!(named, expected.map(|guest| format!("{guest}.wasm")));
    for name in named {
        let bytes = std::fs::metadata(modules.join(name)).expect(name).len();
        assert!(bytes <= MODULE_MAX_BYTES, "{name} is {bytes} bytes");
    }
}
