//! What cargo says of the workspace.

use crate::source::root;
use serde_json::Value;
use std::process::Command;

/// What `cargo metadata` says; `deps`: with the graph as it is resolved for this machine.
pub(crate) fn metadata(deps: bool) -> Value {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(root()).args(["metadata", "--format-version", "1", "--offline"]);
    if deps {
        cargo.args(["--filter-platform", &host()]);
    } else {
        cargo.arg("--no-deps");
    }
    let output = cargo.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// This machine's target: crates of other platforms need not be on its disk.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}
