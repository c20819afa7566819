//! The checkout against its own rules: who may depend on whom, what each crate never knows, the shape of the files, and that
//! what the documents name is there.
//!
//! It reads manifests and sources and builds nothing of ours: it works also when a crate does not compile. Each rule is one
//! test; ARCHITECTURE.md names the test that holds each rule, `tests/mutations/tidy.sh` breaks each rule once and expects
//! that test to fail. Start reading at `layers.rs`.
#![allow(clippy::unwrap_used)]

mod cargo;
mod docs;
mod layering;
mod layers;
mod metrics;
mod never;
mod pages;
mod shape;
mod simulation;
mod source;

/// Fails with all findings at once: mending one a run would take as many runs as there are findings.
fn none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
