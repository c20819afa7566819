//! A run is recorded once; the states that it could have left are made from the record, and a fleet is started on them.

use crate::check;
use crate::dice::Dice;
use crate::disk::{Disk, Loss};
use crate::log::{self, Entry};
use crate::node::{Door, Node};
use crate::work::{self, Message};
use crate::{Options, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How often a message is sent that a failed fsync keeps from being acknowledged.
const TRIES: usize = 50;

/// Between two of them: an outside process waits for nobody.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A run: its changes, and what was acknowledged when.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) entries: Vec<Entry>,
    pub(crate) messages: Vec<Message>,
}

/// Runs the workload with every change written down. The run ends in order, so that the record has that too. `None`: the
/// fault that was asked for came at the start, and the process ended with its error before anything was acknowledged.
pub(crate) fn record(options: &Options) -> Result<Option<Recorded>> {
    let (data, file) = (options.work.join("recorded"), options.work.join("changes"));
    for old in [&data, &file] {
        let _ = std::fs::remove_dir_all(old);
        let _ = std::fs::remove_file(old);
    }
    std::fs::create_dir_all(&data)?;
    let mut shim = vec![("LOKET_DISK_LOG", file.display().to_string())];
    if options.lie > 0 {
        shim.push(("LOKET_DISK_LIE", options.lie.to_string()));
    }
    let mut node = match work::start(options, &data, &shim) {
        Err(_) if options.lie > 0 => return Ok(None),
        started => started?,
    };
    let mut messages = work::messages(options.messages);
    let mut door = node.door()?;
    for (index, message) in messages.iter_mut().enumerate() {
        deliver(&node, &mut door, message, index % 2 == 1, &file)?;
    }
    drop(door);
    work::drain(&mut node)?;
    node.stop()?;
    let found = check::effects(&data)?;
    let told = check::differences(&work::effects(options.messages), &found);
    if !told.is_empty() {
        return Err(format!("the run itself is wrong: {told:?}").into());
    }
    Ok(Some(Recorded { entries: log::read(&file)?, messages }))
}

/// Sends a message, again while the ledger cannot take it: a refused one is not acknowledged, and that is all it is.
fn deliver(
    node: &Node,
    door: &mut Door,
    message: &mut Message,
    wait: bool,
    file: &Path,
) -> Result<()> {
    let mut tries = 1;
    while let Err(error) = work::send(door, message, wait, file) {
        if tries == TRIES {
            return Err(error);
        }
        tries += 1;
        std::thread::sleep(AGAIN_AFTER);
        // The answer to what was given up on may still come, and must not be taken for the next one's.
        *door = node.door()?;
    }
    Ok(())
}

/// What became of a fleet that was started on an image and given every message again under its key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The brains say what they must.
    Same,
    /// They do not, or it did not start, or counts say that something was lost.
    Wrong(String),
}

/// Starts a fleet on `data`, sends every message again, waits for the end of the work, compares the brains.
pub(crate) fn restart(options: &Options, data: &Path) -> Result<Outcome> {
    let again = || -> Result<Option<String>> {
        let mut node = work::start(options, data, &[])?;
        let mut door = node.door()?;
        for message in &mut work::messages(options.messages) {
            work::send(&mut door, message, false, Path::new(""))?;
        }
        drop(door);
        let status = work::drain(&mut node)?;
        node.stop()?;
        let bad = status["lost"] != 0 || status["letters_made"] != 0;
        Ok(bad.then(|| format!("the counts are {status}")))
    };
    match again() {
        Ok(None) => {}
        Ok(Some(told)) => return Ok(Outcome::Wrong(told)),
        Err(error) => return Ok(Outcome::Wrong(error.to_string())),
    }
    let found = check::effects(data)?;
    let told = check::differences(&work::effects(options.messages), &found);
    Ok(if told.is_empty() { Outcome::Same } else { Outcome::Wrong(format!("{told:?}")) })
}

/// The state that a kill leaves before each change: all changes before it, none after. A kill takes no written byte away,
/// so this is what a process that is killed there leaves, and each place of the run is tried, not only those that a
/// random kill happens to meet.
pub(crate) fn kills(options: &Options) -> Result<Value> {
    let recorded = record(options)?.ok_or("the fleet did not start")?;
    let mut disk = Disk::new(&options.work.join("recorded"));
    let mut dice = Dice::new(options.seed);
    let (mut tried, mut raw, mut wrong) = (0, check::Raw::default(), 0);
    let mut cut = 0;
    for (index, entry) in recorded.entries.iter().enumerate() {
        if index % options.every == 0 {
            let data = options.work.join("image");
            let _ = std::fs::remove_dir_all(&data);
            disk.image(&data, Loss::Nothing, &mut dice)?;
            raw.add(&check::raw(&data, &recorded.messages, cut)?);
            if let Outcome::Wrong(told) = restart(options, &data)? {
                wrong += 1;
                println!("WRONG: killed before change {}: {told}", index + 1);
            }
            tried += 1;
        }
        disk.apply(&entry.change)?;
        cut = entry.end;
    }
    let ok = wrong == 0 && raw.lost == 0 && raw.holes == 0 && raw.ahead == 0 && raw.damaged == 0;
    Ok(json!({
        "scenario": "kills", "durability": options.durability, "messages": options.messages,
        "changes": recorded.entries.len(), "killed_before": tried, "wrong": wrong, "lost": raw.lost, "holes": raw.holes,
        "ahead": raw.ahead, "damaged": raw.damaged, "ok": ok && tried > 0,
    }))
}
