//! One connection to a fleet's control socket: JSON lines, one call at a time.

use crate::{Child, OutsideError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer than any turn of the fleets measured here, and than the longest stall that is worth waiting for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a capability answered.
pub type Answer = Result<Value, Value>;

/// A connection as `@operator`.
#[derive(Debug)]
pub struct Connection {
    write: UnixStream,
    read: BufReader<UnixStream>,
    line: String,
}

impl Connection {
    /// Connects to the fleet that runs on `data`.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn open(data: &Path) -> Result<Self, OutsideError> {
        // Through the descriptor: a socket's path may hold 107 bytes only.
        let directory = File::open(data).map_err(OutsideError::new)?;
        let short = format!("/proc/self/fd/{}/loket.sock", directory.as_raw_fd());
        let write = UnixStream::connect(short).map_err(OutsideError::new)?;
        write.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(OutsideError::new)?;
        let read = BufReader::new(write.try_clone().map_err(OutsideError::new)?);
        Ok(Self { write, read, line: String::new() })
    }

    /// Calls a capability and waits for its answer.
    ///
    /// # Errors
    /// The fleet went away, did not answer within a minute, or answered no JSON. A failure of the capability is an answer.
    pub fn ask(&mut self, capability: &str, args: Value) -> Result<Answer, OutsideError> {
        self.post(capability, args)?;
        self.answer()
    }

    /// Sends a call and does not wait for its answer.
    pub fn post(&mut self, capability: &str, args: Value) -> Result<(), OutsideError> {
        let mut line = serde_json::to_vec(&json!({"capability": capability, "args": args}))
            .map_err(OutsideError::new)?;
        line.push(b'\n');
        self.write.write_all(&line).map_err(OutsideError::new)
    }

    /// Waits for the answer of what was sent first.
    fn answer(&mut self) -> Result<Answer, OutsideError> {
        self.line.clear();
        if self.read.read_line(&mut self.line).map_err(OutsideError::new)? == 0 {
            return Err(OutsideError::new("the fleet closed the connection"));
        }
        let mut answer: Value = serde_json::from_str(&self.line).map_err(OutsideError::new)?;
        match answer.get_mut("ok") {
            Some(value) => Ok(Ok(value.take())),
            None => Ok(Err(answer["error"].take())),
        }
    }

    /// Sends an agent a message and waits for its answer.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn call(&mut self, agent: &str, body: &str) -> Result<Answer, OutsideError> {
        self.ask("agent.call", json!({"to": agent, "body": body}))
    }

    /// The same, and a failure of the agent is one of the measurement.
    pub fn answered(&mut self, agent: &str, body: &str) -> Result<Value, OutsideError> {
        self.call(agent, body)?.map_err(|failure| OutsideError::new(format!("{agent}: {failure}")))
    }

    /// All children by name, supervisors among them.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), or the fleet refused.
    pub fn children(&mut self) -> Result<BTreeMap<String, Child>, OutsideError> {
        let tree = self.ask("agent.tree", json!({}))?;
        let mut all = BTreeMap::new();
        let mut open = vec![tree.map_err(OutsideError::new)?];
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
}
