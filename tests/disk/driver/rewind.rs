//! A brain is rewound while no fleet runs; a fleet is started on what a kill before each change of that leaves, and on what a loss of
//! power could leave (rule E7): the agent knows what it knew before or what it was rewound to, never anything else, and the same after
//! the next kill.

use crate::dice::Dice;
use crate::disk::{Disk, Loss};
use crate::log::{self, Entry};
use crate::node::Node;
use crate::work;
use crate::{Options, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Turns before the rewind; each counts up by one.
const TURNS: u64 = 5;

/// The turn that it goes back to.
const BACK_TO: u64 = 2;

/// What the fleets on all states came to.
#[derive(Debug, Default)]
struct Sum {
    kills: usize,
    losses: usize,
    old: usize,
    new: usize,
    wrong: usize,
}

/// Records the rewind, and starts a fleet on each state.
pub(crate) fn run(options: &Options) -> Result<Value> {
    let (entries, from) = record(options)?;
    let mut disk = Disk::new(&options.work.join("recorded"));
    let mut dice = Dice::new(options.seed);
    let mut sum = Sum::default();
    let last = entries.len();
    for (index, entry) in entries.iter().enumerate() {
        if index >= from && (index - from) % options.every == 0 {
            look(options, &disk, Loss::Nothing, &mut dice, &mut sum, false)?;
            look(options, &disk, Loss::Random, &mut dice, &mut sum, false)?;
        }
        disk.apply(&entry.change)?;
    }
    // The command has said that it is done: nothing takes it back any more.
    for loss in [Loss::Nothing, Loss::Everything, Loss::Random] {
        look(options, &disk, loss, &mut dice, &mut sum, true)?;
    }
    let ok = sum.wrong == 0 && sum.old > 0 && sum.new > 2;
    Ok(json!({
        "scenario": "rewind", "changes": last - from, "kills": sum.kills, "losses_of_power": sum.losses,
        "as_before": sum.old, "rewound": sum.new, "wrong": sum.wrong, "ok": ok,
    }))
}

/// The changes of a fleet's run, and of the rewind from the returned one on.
fn record(options: &Options) -> Result<(Vec<Entry>, usize)> {
    let (data, file) = (options.work.join("recorded"), options.work.join("changes"));
    std::fs::create_dir_all(&data)?;
    let node = work::start(options, &data, &[("LOKET_DISK_LOG", file.display().to_string())])?;
    for n in 1..=TURNS {
        if count(&node)? != n {
            return Err("the run itself is wrong".into());
        }
    }
    node.stop()?;
    let from = log::read(&file)?.len();
    let agent = work::agent(0);
    let mut command = Command::new(&options.loket);
    command.args(["brain", &agent, "rewind", "--to", &BACK_TO.to_string(), "--data"]).arg(&data);
    command.env("LD_PRELOAD", &options.shim).env("LOKET_DISK_DIR", &data);
    let said = command.env("LOKET_DISK_LOG", &file).output()?;
    if !said.status.success() {
        return Err(format!("the rewind failed: {}", String::from_utf8_lossy(&said.stderr)).into());
    }
    Ok((log::read(&file)?, from))
}

fn count(node: &Node) -> Result<u64> {
    let said = node.door()?.ask("agent.call", &json!({"to": work::agent(0), "body": "count"}))?;
    said.as_u64().ok_or_else(|| format!("no count: {said}").into())
}

fn look(
    options: &Options,
    disk: &Disk,
    loss: Loss,
    dice: &mut Dice,
    sum: &mut Sum,
    done: bool,
) -> Result<()> {
    let data = options.work.join("image");
    let _ = std::fs::remove_dir_all(&data);
    match loss {
        Loss::Nothing => sum.kills += 1,
        _ => sum.losses += 1,
    }
    disk.image(&data, loss, dice)?;
    match start(options, &data) {
        Ok(known) if known == BACK_TO => sum.new += 1,
        Ok(known) if known == TURNS && !done => sum.old += 1,
        Ok(known) => {
            sum.wrong += 1;
            println!("WRONG: after {} states it knew turn {known}", sum.kills + sum.losses);
        }
        Err(error) => {
            sum.wrong += 1;
            println!("WRONG: state {}: {error}", sum.kills + sum.losses);
        }
    }
    Ok(())
}

/// Starts a fleet twice, with a kill between. Up to which turn it knew.
fn start(options: &Options, data: &Path) -> Result<u64> {
    let node = work::start(options, data, &[])?;
    let first = count(&node)?;
    node.kill()?;
    let node = work::start(options, data, &[])?;
    let second = count(&node)?;
    let status = node.status()?;
    node.stop()?;
    if second != first + 1 {
        return Err(format!("it counted to {first}, and after a kill to {second}").into());
    }
    if status["lost"] != 0 || status["letters_made"] != 0 {
        return Err(format!("the counts are {status}").into());
    }
    let ledger = rusqlite::Connection::open(data.join("ledger.db"))?;
    let sql = "SELECT epoch FROM agents WHERE name = ?1";
    let epoch: i64 = ledger.query_row(sql, [work::agent(0)], |row| row.get(0))?;
    if (epoch == 1) != (first == BACK_TO + 1) {
        return Err(format!("epoch {epoch} in the ledger, and it counted to {first}").into());
    }
    Ok(first - 1)
}
