//! `brain` and `query`: what agents know, and what the ledger holds. Reads files only, whether a fleet runs on them or not.

use super::brain_files as files;
use crate::args::{BrainArgs, BrainVerb, QueryArgs, QueryBounds};
use crate::client;
use crate::exit::{self, CliError, Code};
use crate::node::of_ledger;
use crate::output;
use loket_ledger::{LEDGER_FILE, Living};
use loket_store::look::{self, Answer, Bounds, Places, QueryError, Whose};
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// What is done with one agent's brain.
pub(super) fn brain(args: BrainArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data_with(args.target.data, LEDGER_FILE)?;
    let agent = &*args.agent;
    match args.verb {
        BrainVerb::Query { sql, bounds } => {
            let whose = whose(&data, agent)?;
            let answer = look::query_brain(&data, &whose, &statement(sql)?, within(bounds));
            told(answer, json)
        }
        BrainVerb::Snapshot => files::snapshot(&data, agent, json),
        BrainVerb::Snapshots => files::snapshots(&data, agent, json),
        BrainVerb::Restore { id, exchange } => {
            files::restore(&data, agent, id.as_deref(), exchange, json)
        }
        BrainVerb::Rewind { to, exchange } => files::rewind(&data, agent, to, exchange, json),
        BrainVerb::Export { file } => files::export(&data, &whose(&data, agent)?, &file, json),
        BrainVerb::Import { file, force, exchange } => {
            files::import(&data, agent, &file, force, exchange, json)
        }
    }
}

/// Asks the ledger and all brains.
pub(super) fn query(args: QueryArgs, json: bool) -> Result<Code, CliError> {
    let data = client::find_data_with(args.target.data, LEDGER_FILE)?;
    let brains: Vec<Whose> = living(&data)?.into_iter().map(known).collect();
    let ledger = data.join(LEDGER_FILE);
    let glob = args.brains.as_deref();
    let places = Places { data: &data, ledger: &ledger, brains: &brains, glob };
    told(look::query_fleet(&places, &statement(args.sql)?, within(args.bounds)), json)
}

/// The statement as it was given; `-` is standard input. How long it may be, whoever answers it says.
fn statement(sql: String) -> Result<String, CliError> {
    if sql != "-" {
        return Ok(sql);
    }
    let mut text = String::new();
    let limit = look::SQL_BYTES_MAX as u64 + 1;
    let read = std::io::stdin().take(limit).read_to_string(&mut text);
    read.map_err(|error| CliError::new("C006", exit::USAGE, format!("standard input: {error}")))?;
    Ok(text)
}

fn within(bounds: QueryBounds) -> Bounds {
    Bounds { time: Duration::from_secs(bounds.timeout), rows: bounds.limit as usize }
}

fn known(living: Living) -> Whose {
    let Living { agent, life, epoch, durable, .. } = living;
    Whose { agent, life, epoch, durable }
}

fn living(data: &Path) -> Result<Vec<Living>, CliError> {
    loket_ledger::living(data).map_err(|error| of_ledger(&error))
}

fn whose(data: &Path, agent: &str) -> Result<Whose, CliError> {
    let found = living(data)?.into_iter().find(|living| &*living.agent == agent);
    found.map(known).ok_or_else(|| {
        let text = format!("no agent {agent:?} in the ledger; `loket tree` names them");
        CliError::new("no_such_agent", exit::FAILED, text)
    })
}

fn told(answer: Result<Answer, QueryError>, json: bool) -> Result<Code, CliError> {
    let answer = answer.map_err(|error| {
        let exit = match error {
            QueryError::NotAllowed(_) | QueryError::Sql(_) => exit::USAGE,
            QueryError::TimeOut(_) => exit::TRY_AGAIN,
            QueryError::Unreadable { .. } | QueryError::Gone { .. } => exit::DATA,
            _ => exit::FAILED,
        };
        CliError::new(error.code(), exit, error.to_string())
    })?;
    if answer.more {
        let rows = answer.rows.len();
        output::note(&format!(
            "there are more than these {rows} rows: raise --limit, or use OFFSET"
        ));
    }
    if json {
        return Ok(output::versioned(json!(answer)));
    }
    Ok(output::line(&table(&answer)))
}

/// Columns are padded to this width at most: a value may be a megabyte, and no row is made as wide for it.
const PADDED_MAX: usize = 120;

/// Columns as wide as what is in them, within bounds; a cell is one line.
fn table(answer: &Answer) -> String {
    let cell = |text: String| output::cell(&text);
    let head: Vec<String> = answer.columns.iter().cloned().map(cell).collect();
    let rows = answer.rows.iter().map(|row| row.iter().map(|it| cell(it.to_string())).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |at: usize| {
        lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0).min(PADDED_MAX)
    };
    let widths: Vec<usize> = (0..answer.columns.len()).map(width).collect();
    let row = |line: &Vec<String>| {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(row).collect::<Vec<_>>().join("\n")
}
