//! One connection to a fleet's control socket: JSON lines, one call at a time.

use crate::Failed;
use serde_json::{Value, json};
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
    pub fn open(data: &Path) -> Result<Self, Failed> {
        // Through the descriptor: a socket's path may hold 107 bytes only.
        let directory = File::open(data)?;
        let short = format!("/proc/self/fd/{}/loket.sock", directory.as_raw_fd());
        let write = UnixStream::connect(short)?;
        write.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let read = BufReader::new(write.try_clone()?);
        Ok(Self { write, read, line: String::new() })
    }

    /// Calls a capability and waits for its answer.
    ///
    /// # Errors
    /// The fleet went away, did not answer within a minute, or answered no JSON. A failure of the capability is an answer.
    pub fn ask(&mut self, capability: &str, args: Value) -> Result<Answer, Failed> {
        let mut line = serde_json::to_vec(&json!({"capability": capability, "args": args}))?;
        line.push(b'\n');
        self.write.write_all(&line)?;
        self.line.clear();
        if self.read.read_line(&mut self.line)? == 0 {
            return Err("the fleet closed the connection".into());
        }
        let mut answer: Value = serde_json::from_str(&self.line)?;
        match answer.get_mut("ok") {
            Some(value) => Ok(Ok(value.take())),
            None => Ok(Err(answer["error"].take())),
        }
    }

    /// Sends an agent a message and waits for its answer.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn call(&mut self, agent: &str, body: &str) -> Result<Answer, Failed> {
        self.ask("agent.call", json!({"to": agent, "body": body}))
    }
}
