//! `brain`: snapshots, and another file in a brain's place (rule E7). Of a running fleet through its socket; of a stopped one under the
//! lock of its data directory.

use crate::args::ExchangeArgs;
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::node::{Workshop, at_rest, of_file, of_ledger};
use crate::output;
use loket_agent::{Exchange, brains};
use loket_ledger::Past;
use loket_store::keep::{Keeper, state_of};
use loket_turn::{Life, TurnNo};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long the fleet may take for one of these: a copy of a large brain, on a slow disk.
const TIMEOUT: Duration = Duration::from_secs(600);

/// How often a brain is made anew because its agent has ended a turn meanwhile.
const TRIES: u32 = 5;

/// How long it may take to make a brain anew for a quarantine.
const RESTORE_TIME: Duration = Duration::from_secs(600);

/// Takes a snapshot.
pub(super) fn snapshot(data: &Path, agent: &str, json: bool) -> Result<Code, CliError> {
    let args = json!({"agent": agent});
    let taken = match client::call(data, "agent.brain.snapshot", args, TIMEOUT) {
        Err(error) if error.exit == exit::NOT_RUNNING => {
            at_rest(data, async |keeping| Ok(brains::snapshot(&keeping, agent.into()).await?))?
        }
        other => other?,
    };
    if json {
        return Ok(output::json(&taken));
    }
    let (id, n) = (id_of(&taken["snapshot"]), &taken["snapshot"]["n"]);
    Ok(output::line(&output::safe(&format!("snapshot {id} of {agent}: after turn {n}"))))
}

/// Lists snapshots.
pub(super) fn snapshots(data: &Path, agent: &str, json: bool) -> Result<Code, CliError> {
    let mut found = kept(data, agent)?;
    let rows = found["snapshots"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|mut row| {
            row["id"] = json!(id_of(&row));
            row
        })
        .collect();
    if json {
        return Ok(output::versioned(json!({"agent": agent, "snapshots": rows})));
    }
    if rows.is_empty() {
        return Ok(output::line("no snapshots"));
    }
    let mut text =
        format!("{:<12} {:>6} {:>8}  {:<24}  file", "snapshot", "epoch", "turn", "taken");
    for row in &rows {
        text.push_str(&format!(
            "\n{:<12} {:>6} {:>8}  {:<24}  {}",
            row["id"].as_str().unwrap_or_default(),
            row["epoch"].to_string(),
            row["n"].to_string(),
            loket_time::rfc3339(row["at_ms"].as_u64().unwrap_or_default()),
            row["file"].as_str().unwrap_or_default(),
        ));
    }
    Ok(output::line(&output::safe(&text)))
}

fn kept(data: &Path, agent: &str) -> Result<Value, CliError> {
    match client::call(data, "agent.brain.snapshots", json!({"agent": agent}), TIMEOUT) {
        Err(error) if error.exit == exit::NOT_RUNNING => {
            at_rest(data, async |keeping| Ok(brains::list(&keeping, agent.into()).await?))
        }
        other => other,
    }
}

/// Epoch and turn name a snapshot of an agent.
fn id_of(snapshot: &Value) -> String {
    format!("{}-{}", snapshot["epoch"], snapshot["n"])
}

/// Puts a snapshot in the brain's place; without one, makes the brain anew.
pub(super) fn restore(
    data: &Path,
    agent: &str,
    id: Option<&str>,
    how: ExchangeArgs,
    json: bool,
) -> Result<Code, CliError> {
    let Some(id) = id else {
        return anew(data, agent, how.abandon, Duration::from_secs(how.timeout), json);
    };
    let found = kept(data, agent)?;
    let rows = found["snapshots"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = rows.iter().find(|row| id_of(row) == id).ok_or_else(|| {
        let text =
            format!("no snapshot {id} of {agent}; `loket brain {agent} snapshots` lists them");
        CliError::new("not_found", exit::FAILED, text)
    })?;
    let file = Keeper::new(data).snapshot_file(row["file"].as_str().unwrap_or_default());
    let what = format!("restored from snapshot {id}");
    let done = exchange(data, agent, &file, what.clone(), how.abandon, false)?;
    told(agent, &what, done, json)
}

/// The way out of a quarantine: see [`restore`].
pub(super) fn restore_exactly(data: &Path, agent: &str, json: bool) -> Result<Code, CliError> {
    anew(data, agent, None, RESTORE_TIME, json)
}

fn anew(
    data: &Path,
    agent: &str,
    abandon: Option<u64>,
    time: Duration,
    json: bool,
) -> Result<Code, CliError> {
    let mut tries = 1;
    loop {
        let workshop = Workshop::open(data, agent, time)?;
        let scratch = workshop.brain_anew()?;
        let what = format!("made anew up to turn {}", workshop.living.done);
        match exchange(data, agent, scratch.file(), what.clone(), abandon, true) {
            Err(error) if error.code == "brain_busy" && tries < TRIES => tries += 1,
            done => return told(agent, &what, done?, json),
        }
    }
}

/// Goes on with what the brain knew after an earlier turn.
pub(super) fn rewind(
    data: &Path,
    agent: &str,
    to: u64,
    how: ExchangeArgs,
    json: bool,
) -> Result<Code, CliError> {
    let workshop = Workshop::open(data, agent, Duration::from_secs(how.timeout))?;
    let (n, done) = (TurnNo(to), workshop.living.done);
    if n > done {
        let text = format!("turn {n} has not ended; the last one that has is {done}");
        return Err(CliError::new("not_found", exit::FAILED, text));
    }
    let scratch = workshop.brain_after(n)?;
    let what = format!("rewound to turn {n}");
    let mut done = exchange(data, agent, scratch.file(), what.clone(), how.abandon, false)?;
    done["to"] = to.into();
    told(agent, &what, done, json)
}

/// Copies the brain into a file.
pub(super) fn export(
    data: &Path,
    whose: &loket_store::look::Whose,
    file: &Path,
    json: bool,
) -> Result<Code, CliError> {
    let state = Keeper::new(data).export(whose.life, whose.epoch, file);
    let state = state.map_err(|error| of_file(&error))?;
    if json {
        let file = file.display().to_string();
        return Ok(output::json(&json!({"agent": whose.agent, "n": state.n, "file": file})));
    }
    let text = format!("{} after turn {} is in {}", whose.agent, state.n, file.display());
    Ok(output::line(&output::safe(&text)))
}

/// Puts a file in the brain's place.
pub(super) fn import(
    data: &Path,
    agent: &str,
    file: &Path,
    force: bool,
    how: ExchangeArgs,
    json: bool,
) -> Result<Code, CliError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut what = format!("imported from {name}");
    let mut from = Value::Null;
    // What is no brain at all is told by the exchange.
    if let Ok(state) = state_of(file) {
        let owner = owner_of(data, state.life)?;
        let whose =
            owner.clone().unwrap_or_else(|| "an agent that this ledger does not know".into());
        if owner.as_deref() != Some(agent) && !force {
            let text = format!(
                "{} is a brain of {whose} after turn {}, and not of {agent}; --force puts it there all the same",
                file.display(),
                state.n
            );
            return Err(CliError::new("brain_of_another", exit::FAILED, text));
        }
        what = format!("{what}, a brain of {whose} after turn {}", state.n);
        from = json!({"agent": owner, "n": state.n});
    }
    let mut done = exchange(data, agent, file, what.clone(), how.abandon, false)?;
    done["from"] = from;
    told(agent, &what, done, json)
}

/// Whose brain a file of this life is, as far as the ledger knows.
fn owner_of(data: &Path, life: Life) -> Result<Option<String>, CliError> {
    let past = Past::open(data).map_err(|error| of_ledger(&error))?;
    let living = past.living().map_err(|error| of_ledger(&error))?;
    Ok(living.into_iter().find(|it| it.life == life).map(|it| it.agent.to_string()))
}

fn exchange(
    data: &Path,
    agent: &str,
    file: &Path,
    reason: String,
    abandon: Option<u64>,
    only_exact: bool,
) -> Result<Value, CliError> {
    // The fleet's process may stand in another folder.
    let file = file.canonicalize().map_err(|error| {
        CliError::new("S008", exit::USAGE, format!("{}: {error}", file.display()))
    })?;
    let args = json!({
        "agent": agent, "file": file, "reason": reason, "abandon": abandon, "only_exact": only_exact,
    });
    match client::call(data, "agent.brain.switch", args, TIMEOUT) {
        Err(error) if error.exit == exit::NOT_RUNNING => {
            let agent = agent.to_owned();
            let exchange = Exchange { agent, file, reason, abandon, only_exact };
            at_rest(data, async |keeping| Ok(brains::switch(&keeping, exchange, None).await?))
        }
        other => other,
    }
}

/// `what` has become of the brain; which turn comes next is the ledger's to say.
fn told(agent: &str, what: &str, done: Value, json: bool) -> Result<Code, CliError> {
    if json {
        return Ok(output::json(&done));
    }
    let next = done["n"].as_u64().unwrap_or(0) + 1;
    let mut text =
        format!("the brain of {agent} is {what}: epoch {}, the next turn is {next}", done["epoch"]);
    if done["before"].is_object() {
        text.push_str(&format!("; the one before is snapshot {}", id_of(&done["before"])));
    }
    if done["letter"].is_u64() {
        text.push_str(&format!("; the message of the open turn is dead letter {}", done["letter"]));
    }
    Ok(output::line(&output::safe(&text)))
}
