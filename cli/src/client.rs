//! The client's side of the control socket: one request, one answer, JSON lines.

use crate::exit::{self, CliError, Code};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The socket's file name in the data directory.
pub(crate) const SOCKET: &str = "loket.sock";

/// Bytes of one line on the socket: a message body of the largest size as JSON, with room for escapes.
pub(crate) const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The capability, called as `@operator`.
    pub(crate) capability: String,
    /// Its arguments.
    #[serde(default = "no_args")]
    pub(crate) args: Value,
}

fn no_args() -> Value {
    Value::Object(serde_json::Map::new())
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    /// The result.
    Ok(Value),
    /// The failure.
    Error(loket_turn::Failure),
}

/// Calls a capability of the fleet that runs on `data`.
pub(crate) fn call(
    data: &Path,
    capability: &str,
    args: Value,
    timeout: Duration,
) -> Result<Value, CliError> {
    let mut stream = connect(data)?;
    let failed = |error: std::io::Error| {
        let text = format!("the fleet on {} went away: {error}", data.display());
        CliError::new("C002", exit::NOT_RUNNING, text)
    };
    stream.set_read_timeout(Some(timeout)).map_err(failed)?;
    let request = Request { capability: capability.to_owned(), args };
    let mut line = serde_json::to_vec(&request)
        .map_err(|error| CliError::new("C009", exit::BUG, error.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(failed)?;
    let mut answer = String::new();
    let read = BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut answer);
    match read {
        Ok(0) => Err(failed(std::io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => decode(&answer),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(CliError::new(
            "C003",
            exit::TRY_AGAIN,
            format!("no answer within {} s; what was accepted stays accepted", timeout.as_secs()),
        )),
        Err(error) => Err(failed(error)),
    }
}

fn decode(answer: &str) -> Result<Value, CliError> {
    let response: Response = serde_json::from_str(answer).map_err(|error| {
        CliError::new("C004", exit::BUG, format!("the fleet's answer cannot be read: {error}"))
    })?;
    match response {
        Response::Ok(value) => Ok(value),
        Response::Error(failure) => {
            let exit = exit_of(&failure);
            Err(CliError::new(&failure.code, exit, failure.message))
        }
    }
}

fn exit_of(failure: &loket_turn::Failure) -> Code {
    match failure.code.as_str() {
        "refused" => exit::REFUSED,
        _ if failure.retryable => exit::TRY_AGAIN,
        _ => exit::FAILED,
    }
}

/// Connects through the directory's descriptor, since a socket's path may hold 107 bytes only.
fn connect(data: &Path) -> Result<UnixStream, CliError> {
    let not_running = |error: std::io::Error| {
        if let Some(pid) = holder(data) {
            let text = format!(
                "the fleet on {} does not listen: it is starting, or ending (process {pid}); try again in a moment",
                data.display()
            );
            return CliError::new("C001", exit::NOT_RUNNING, text);
        }
        let text = format!(
            "no fleet runs on {} ({error}); start one with `loket run FLEET`, or name its data directory with --data; `query`, \
             `brain`, `replay`, `history` and `why` read a stopped fleet's data",
            data.display()
        );
        CliError::new("C001", exit::NOT_RUNNING, text)
    };
    let directory = std::fs::File::open(data).map_err(not_running)?;
    let short = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    UnixStream::connect(short).map_err(not_running)
}

/// How often the machine's list of locks is looked through before a lock counts as not there: while other locks come and go, one read
/// in some ten thousand misses one.
const LOCKS_LOOKS: u32 = 8;

/// The process that holds a data directory, as far as the machine tells: it has the ledger before it listens, and after. Looked
/// up, not tried: a lock that is taken only to see whether it can be would keep a fleet from starting.
pub(crate) fn holder(data: &Path) -> Option<u32> {
    let inode = std::fs::metadata(data.join(loket_ledger::LOCK_FILE)).ok()?.ino();
    let reads = (0..LOCKS_LOOKS).map_while(|_| std::fs::read_to_string("/proc/locks").ok());
    holder_in(reads, inode)
}

/// Who has the lock on this file in the first of these lists that knows of one.
fn holder_in(mut lists: impl Iterator<Item = String>, inode: u64) -> Option<u32> {
    let of_file = format!(":{inode}");
    let holds = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, file, ..] = words[..] else { return None };
        file.ends_with(&of_file).then(|| pid.parse().ok()).flatten()
    };
    lists.find_map(|locks| locks.lines().find_map(holds))
}

/// The data directory that a command means: the one named, or the only one here.
pub(crate) fn find_data(named: Option<PathBuf>) -> Result<PathBuf, CliError> {
    if let Some(named) = named {
        return Ok(named);
    }
    let mut found = all_with(SOCKET);
    if found.len() > 1 {
        // A process that was killed leaves its socket: only those that answer are fleets.
        found.retain(|data| connect(data).is_ok());
    }
    if found.is_empty() {
        // One that is starting has no socket yet.
        found = all_with(loket_ledger::LOCK_FILE);
        found.retain(|data| holder(data).is_some());
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(CliError::new(
            "C001",
            exit::NOT_RUNNING,
            "no running fleet is in this folder: start one with `loket run FLEET`, or name its data directory with --data DIR",
        )),
        _ => Err(several("fleets", &found)),
    }
}

fn several(what: &str, found: &[PathBuf]) -> CliError {
    let text = format!("several {what} are in this folder, name one with --data: {}", join(found));
    CliError::new("C005", exit::USAGE, text)
}

/// The data directory that is meant, whether a fleet runs on it or not: as [`find_data`], or the only one here with this file.
pub(crate) fn find_data_with(named: Option<PathBuf>, file: &str) -> Result<PathBuf, CliError> {
    match find_data(named) {
        Err(error) if error.exit == exit::NOT_RUNNING => {
            let mut kept = all_with(file);
            match kept.len() {
                0 => Err(error),
                1 => Ok(kept.remove(0)),
                _ => Err(several("data directories, of which no fleet runs on any,", &kept)),
            }
        }
        found => found,
    }
}

/// The data directories here with this file, whether fleets run on them or not.
fn all_with(file: &str) -> Vec<PathBuf> {
    let folders = [".", "fleets"].into_iter().filter_map(|place| std::fs::read_dir(place).ok());
    let paths = folders.flat_map(|entries| entries.flatten().map(|entry| entry.path()));
    let is_data = |path: &PathBuf| path.extension().is_some_and(|end| end == "data");
    let mut found: Vec<_> =
        paths.filter(|path| is_data(path) && path.join(file).exists()).collect();
    found.sort();
    found
}

fn join(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_that_misses_a_lock_does_not_make_it_free() {
        let other = "1: POSIX  ADVISORY  WRITE 11 fe:00:33 0 EOF\n".to_owned();
        let held = format!("{other}2: FLOCK  ADVISORY  WRITE 4711 fe:00:42 0 EOF\n");
        let lists = |all: &[&String]| all.iter().map(|list| (*list).clone()).collect::<Vec<_>>();
        let reads = lists(&[&other, &held]);
        assert_eq!(holder_in(reads.clone().into_iter(), 42), Some(4711));
        assert_eq!(holder_in(reads.into_iter(), 33), None);
        assert_eq!(holder_in(lists(&[&other]).into_iter(), 42), None);
    }
}
