//! A fleet under measurement: the real binary, in a process and a data directory of its own.

use crate::{Connection, OutsideError, Since, look_again};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a fleet may take to open its socket: a debug build compiles guests for some seconds, and a hundred thousand agents take
/// minutes on a machine that has other things to do.
const START: Duration = Duration::from_secs(600);

/// How long it may take to stop: a looping turn ends at its deadline.
const STOP: Duration = Duration::from_secs(30);

/// Characters of the log that are shown when a fleet does not start.
const LOG_SHOWN: usize = 2_000;

/// A child as the tree shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its present life.
    pub incarnation: u64,
    /// How often its supervisor has restarted it.
    pub restarts: u64,
    /// `alive`, or what else the tree says.
    pub state: String,
}

/// A running fleet. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    process: std::process::Child,
    data: PathBuf,
}

impl Running {
    /// Starts `binary run fleet --data data`; logs go to the file `log`. Returns when the socket answers.
    ///
    /// # Errors
    /// It ended, or its socket did not answer in time; the error shows the log's end.
    pub fn start(
        binary: &Path,
        fleet: &Path,
        data: &Path,
        log: &Path,
    ) -> Result<Self, OutsideError> {
        let logs = File::create(log).map_err(OutsideError::new)?;
        let process = Command::new(binary)
            .args(["run", "--plain"])
            .arg(fleet)
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(logs.try_clone().map_err(OutsideError::new)?)
            .stderr(logs)
            .spawn()
            .map_err(|error| OutsideError::new(format!("{}: {error}", binary.display())))?;
        let mut running = Self { process, data: data.to_owned() };
        let began = Since::now();
        loop {
            let open = Connection::open(data).and_then(|mut it| it.ask("agent.status", json!({})));
            if let Ok(Ok(_)) = open {
                return Ok(running);
            }
            let over = running.process.try_wait().map_err(OutsideError::new)?;
            if over.is_some() || began.is_past(START) {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let from = said.char_indices().rev().nth(LOG_SHOWN).map_or(0, |(at, _)| at);
                let ended = format!("it did not start ({over:?}): {}", &said[from..]);
                return Err(OutsideError::new(ended));
            }
            look_again();
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// The fleet is gone.
    pub fn connect(&self) -> Result<Connection, OutsideError> {
        Connection::open(&self.data)
    }

    /// Whether the process lives.
    ///
    /// # Errors
    /// The system does not say.
    pub fn lives(&mut self) -> Result<bool, OutsideError> {
        Ok(self.process.try_wait().map_err(OutsideError::new)?.is_none())
    }

    /// All children by name, supervisors among them.
    ///
    /// # Errors
    /// The fleet does not answer.
    pub fn children(&self) -> Result<BTreeMap<String, Child>, OutsideError> {
        self.connect()?.children()
    }

    /// The fleet's own counts.
    ///
    /// # Errors
    /// The fleet does not answer.
    pub fn status(&self) -> Result<Value, OutsideError> {
        let status = self.connect()?.ask("agent.status", json!({}))?;
        status.map_err(OutsideError::new)
    }

    /// Ends it as `kill -9` does; returns once it is gone.
    pub fn kill(mut self) -> Result<(), OutsideError> {
        self.process.kill().map_err(OutsideError::new)?;
        self.process.wait().map(drop).map_err(OutsideError::new)
    }

    /// Processor time of all its threads that live, nanoseconds (`/proc/PID/task/TID/schedstat`).
    pub fn cpu_ns(&self) -> u64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let each = threads.into_iter().flatten().flatten().filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        each.sum()
    }

    /// Bytes of memory that are its own or shared (`VmRSS`).
    pub fn rss(&self) -> Result<u64, OutsideError> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let text = text.map_err(OutsideError::new)?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| OutsideError::new("its memory is not told"))
    }

    /// Asks it to stop, and waits.
    ///
    /// # Errors
    /// It did not stop in time, or said that it failed.
    pub fn stop(mut self) -> Result<(), OutsideError> {
        self.connect()?.ask("agent.shutdown", json!({}))?.map_err(OutsideError::new)?;
        let began = Since::now();
        while !began.is_past(STOP) {
            if let Some(status) = self.process.try_wait().map_err(OutsideError::new)? {
                return if status.success() { Ok(()) } else { Err(OutsideError::new(status)) };
            }
            look_again();
        }
        Err(OutsideError::new("it did not stop"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
