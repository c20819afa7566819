//! `stop`: the fleet's end, in order, at once, or whatever it is busy with. One that is starting is waited for.

use crate::args::StopArgs;
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::output;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long an ordered stop may take before the client gives up waiting; the fleet goes on stopping.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// After so long without a change of its directory, a fleet that is starting is looked at: it may have ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks at a fleet that is starting, at most: as long as a stop may take, and a few more for what else changes there.
const LOOKS_MAX: u32 = 1_000;

/// Stops the fleet.
pub(super) fn stop(args: StopArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data(args.target.data)?;
    let how = if args.all { json!({"all": true}) } else { json!({"now": args.now}) };
    let answer = match client::call(&data, "agent.shutdown", how.clone(), STOP_TIMEOUT) {
        Err(error) if error.exit == exit::NOT_RUNNING => later(&data, &how, error)?,
        answer => answer?,
    };
    if json {
        return Ok(output::json(&answer));
    }
    Ok(output::line("stopping"))
}

/// Stops a fleet that does not listen yet as soon as it does. One that ends meanwhile is what was asked for.
fn later(data: &Path, how: &Value, why: CliError) -> Result<Value, CliError> {
    if client::holder(data).is_none() {
        return Err(why);
    }
    output::note("the fleet is starting, or ending: waiting for it");
    let failed = |error: io::Error| {
        CliError::new("io", exit::TRY_AGAIN, format!("it cannot be waited for: {error}"))
    };
    watch(data).map_err(failed)?;
    for _ in 0..LOOKS_MAX {
        if client::holder(data).is_none() {
            return Ok(json!({"stopping": true}));
        }
        match client::call(data, "agent.shutdown", how.clone(), STOP_TIMEOUT) {
            Err(error) if error.exit == exit::NOT_RUNNING => std::thread::park_timeout(LOOK_EVERY),
            answer => return answer,
        }
    }
    Err(why)
}

/// Wakes this thread whenever there is a new file in the data directory, the control socket among them. The thread that does it ends
/// with the process, which has nothing else to do.
fn watch(data: &Path) -> io::Result<()> {
    let watch = inotify::init(CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, data, WatchFlags::CREATE)?;
    let waiting = std::thread::current();
    let tell = move || {
        let mut seen = [0; 4_096];
        // What it was is looked up: only that there was something counts.
        while rustix::io::read(&watch, &mut seen).is_ok() {
            waiting.unpark();
        }
    };
    std::thread::Builder::new().name("watch".to_owned()).spawn(tell).map(drop)
}
