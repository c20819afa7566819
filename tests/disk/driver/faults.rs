//! Faults while the fleet runs: an fsync that fails and loses what it should have kept, a disk that is full for a while.

use crate::check;
use crate::images;
use crate::node::Node;
use crate::work::{self, Message};
use crate::{Options, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a message may be refused before the fleet counts as one that does not come back.
const BACK_MAX: Duration = Duration::from_secs(60);

/// How often a refused message is sent again: an outside process waits for nobody.
const AGAIN_EVERY: Duration = Duration::from_millis(20);

/// Refusals of a full disk after which there is space again.
const FULL_FOR: usize = 3;

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Eio,
    Full,
}

/// What one run with one fault came to.
#[derive(Debug, Default)]
struct Ran {
    /// The fault came to pass in this run.
    hit: bool,
    refused: usize,
    restarts: usize,
    wrong: Option<String>,
}

/// Tries the fault at every place of the run, until a run ends that had no such place any more.
pub(crate) fn run(options: &Options, fault: Fault) -> Result<Value> {
    let (mut tried, mut refused, mut restarts, mut wrong) = (0, 0, 0, 0);
    for place in (options.from..=options.to).step_by(options.every) {
        let ran = once(options, fault, place)?;
        if !ran.hit {
            break;
        }
        (tried, refused, restarts) = (tried + 1, refused + ran.refused, restarts + ran.restarts);
        if let Some(told) = ran.wrong {
            wrong += 1;
            println!("WRONG: {fault:?} at {place}: {told}");
        }
    }
    Ok(json!({
        "scenario": format!("{fault:?}").to_lowercase(), "durability": options.durability, "messages": options.messages,
        "tried": tried, "refused": refused, "process_restarts": restarts, "wrong": wrong, "ok": wrong == 0 && tried > 0,
    }))
}

fn once(options: &Options, fault: Fault, place: usize) -> Result<Ran> {
    let data = options.work.join("faulty");
    let (space, log) = (options.work.join("faulty.space"), options.work.join("changes"));
    let _ = std::fs::remove_dir_all(&data);
    let _ = std::fs::remove_file(&space);
    let _ = std::fs::remove_file(&log);
    std::fs::create_dir_all(&data)?;
    let name = if fault == Fault::Eio { "LOKET_DISK_EIO" } else { "LOKET_DISK_FULL" };
    let shim = [(name, place.to_string()), ("LOKET_DISK_LOG", log.display().to_string())];
    let mut ran = Ran::default();
    // A fault at the start may end the process with its error; without the fault it must start.
    let mut node = match work::start(options, &data, &shim) {
        Ok(node) => node,
        Err(_) => {
            ran.restarts += 1;
            std::fs::write(&space, "")?;
            work::start(options, &data, &[])?
        }
    };
    let mut messages = work::messages(options.messages);
    for message in &mut messages {
        deliver(options, &mut node, &data, &space, message, &mut ran)?;
    }
    std::fs::write(&space, "")?;
    let status = work::drain(&mut node);
    let before = places(fault, &log)? >= place;
    let stopped = node.stop();
    // The failed one is not in the record.
    let hit = places(fault, &log)? + 1 >= place;
    // A brain whose last sync failed at the stop is behind, and its turns are in the ledger: the next start tells.
    let at_the_stop = hit && !before;
    ran.hit = hit || ran.restarts + ran.refused > 0;
    ran.wrong = match (status, stopped) {
        (Ok(status), Ok(())) if status["lost"] == 0 && status["letters_made"] == 0 => None,
        (Ok(status), Ok(())) => Some(format!("the counts are {status}")),
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
    };
    if ran.wrong.is_none() && !at_the_stop {
        let told = check::differences(&work::effects(options.messages), &check::effects(&data)?);
        ran.wrong = (!told.is_empty()).then(|| format!("{told:?}"));
    }
    if ran.wrong.is_none() && ran.hit {
        ran.wrong = match images::restart(options, &data)? {
            images::Outcome::Same => None,
            images::Outcome::Wrong(told) => Some(format!("after a new start: {told}")),
        };
    }
    Ok(ran)
}

/// Sends one message until it is accepted. A process that has ended with its error is started again, without the fault.
fn deliver(
    options: &Options,
    node: &mut Node,
    data: &Path,
    space: &Path,
    message: &mut Message,
    ran: &mut Ran,
) -> Result<()> {
    let began = Instant::now();
    let mut last = String::new();
    while began.elapsed() < BACK_MAX {
        let sent = node.door().and_then(|mut door| work::send(&mut door, message, false, data));
        match sent {
            Ok(()) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
        ran.refused += 1;
        if ran.refused >= FULL_FOR {
            std::fs::write(space, "")?;
        }
        if !node.lives()? {
            ran.restarts += 1;
            std::fs::write(space, "")?;
            *node = work::start(options, data, &[])?;
        }
        std::thread::sleep(AGAIN_EVERY);
    }
    Err(format!("{} was refused for {BACK_MAX:?}: {last}", message.key).into())
}

/// How many places of this fault the run has had that did not fail.
fn places(fault: Fault, log: &Path) -> Result<usize> {
    use crate::log::Change;
    let entries = crate::log::read(log)?;
    let of = |change: &Change| match fault {
        Fault::Eio => matches!(change, Change::Fsync { .. }),
        Fault::Full => matches!(change, Change::Write { .. }),
    };
    Ok(entries.iter().filter(|entry| of(&entry.change)).count())
}
