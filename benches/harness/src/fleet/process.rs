//! A fleet under measurement: the real binary, in a process and a data directory of its own.

use crate::{Connection, Failed};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a fleet may take to open its socket; a debug build compiles guests for some seconds.
const START: Duration = Duration::from_secs(120);

/// How long it may take to stop: a looping turn ends at its deadline.
const STOP: Duration = Duration::from_secs(30);

/// Between two looks at a process that starts or stops.
const LOOK_EVERY: Duration = Duration::from_millis(5);

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
    pub fn start(binary: &Path, fleet: &Path, data: &Path, log: &Path) -> Result<Self, Failed> {
        let logs = File::create(log)?;
        let process = Command::new(binary)
            .args(["run", "--plain"])
            .arg(fleet)
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(logs.try_clone()?)
            .stderr(logs)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let mut running = Self { process, data: data.to_owned() };
        let until = Instant::now() + START;
        loop {
            let open = Connection::open(data).and_then(|mut it| it.ask("agent.status", json!({})));
            if let Ok(Ok(_)) = open {
                return Ok(running);
            }
            let over = running.process.try_wait()?;
            if over.is_some() || Instant::now() > until {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let from = said.char_indices().rev().nth(LOG_SHOWN).map_or(0, |(at, _)| at);
                return Err(format!("the fleet did not start ({over:?}): {}", &said[from..]).into());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// The fleet is gone.
    pub fn connect(&self) -> Result<Connection, Failed> {
        Connection::open(&self.data)
    }

    /// Whether the process lives.
    ///
    /// # Errors
    /// The system does not say.
    pub fn lives(&mut self) -> Result<bool, Failed> {
        Ok(self.process.try_wait()?.is_none())
    }

    /// All children by name, supervisors among them.
    ///
    /// # Errors
    /// The fleet does not answer.
    pub fn children(&self) -> Result<BTreeMap<String, Child>, Failed> {
        let tree = self.connect()?.ask("agent.tree", json!({}))?;
        let mut all = BTreeMap::new();
        let mut open = vec![tree.map_err(|failure| failure.to_string())?];
        while let Some(mut node) = open.pop() {
            if let Value::Array(children) = node["children"].take() {
                open.extend(children);
            }
            let child = Child {
                incarnation: node["incarnation"].as_u64().unwrap_or(0),
                restarts: node["restarts"].as_u64().unwrap_or(0),
                state: node["state"].as_str().unwrap_or_default().to_owned(),
            };
            all.insert(node["id"].as_str().unwrap_or_default().to_owned(), child);
        }
        Ok(all)
    }

    /// The fleet's own counts.
    ///
    /// # Errors
    /// The fleet does not answer.
    pub fn status(&self) -> Result<Value, Failed> {
        let status = self.connect()?.ask("agent.status", json!({}))?;
        status.map_err(|failure| failure.to_string().into())
    }

    /// Asks it to stop, and waits.
    ///
    /// # Errors
    /// It did not stop in time, or said that it failed.
    pub fn stop(mut self) -> Result<(), Failed> {
        self.connect()?.ask("agent.shutdown", json!({}))?.map_err(|failure| failure.to_string())?;
        let until = Instant::now() + STOP;
        while Instant::now() < until {
            if let Some(status) = self.process.try_wait()? {
                return if status.success() { Ok(()) } else { Err(status.to_string().into()) };
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err("the fleet did not stop".into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
