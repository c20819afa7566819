//! Erlang's gen_server:call through a gen_server that forwards, on the installed `erl`, one scheduler.

use crate::Measured;
use crate::load::Load;
use std::process::{Command, Stdio};

/// The module, compiled by `erl` itself into a folder of its own.
const SOURCE: &str = include_str!("loket_peer.erl");

pub(crate) fn installed() -> bool {
    let mut version = Command::new("erl");
    let version = version.arg("-version").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

pub(crate) fn forward(load: Load) -> Measured {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    std::fs::write(folder.path().join("loket_peer.erl"), SOURCE)
        .map_err(|error| error.to_string())?;
    let run = format!(
        "{{ok, loket_peer}} = c:c(loket_peer), io:format(\"~nns ~p~n\", [loket_peer:run({}, {})]), halt().",
        load.callers,
        load.time.as_millis()
    );
    let output = Command::new("erl")
        .args(["+S", "1", "-noshell", "-noinput", "-eval", &run])
        .current_dir(folder.path())
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let ns = said.lines().find_map(|line| line.strip_prefix("ns ")?.trim().parse().ok());
    ns.ok_or_else(|| format!("erl said: {said}"))
}
