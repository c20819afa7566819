//! The process under test: start, ask, kill, stop, and what it left behind.

use crate::{Options, Result};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(60);

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How long an ordered stop may take.
const STOP_MAX: Duration = Duration::from_secs(60);

/// How often an outside process looks: nobody tells it.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Bytes of a slot of the file of open turns; its form is in `actors/ledger/src/open_turns.rs`.
const SLOT_BYTES: usize = 64;

/// A turn that the file of open turns names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OpenTurn {
    pub(crate) life: u64,
    pub(crate) n: u64,
    /// The start of the process that opened it.
    pub(crate) boot: u64,
}

/// A running fleet. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    data: PathBuf,
}

/// A connection to the control socket.
#[derive(Debug)]
pub(crate) struct Door(BufReader<UnixStream>);

impl Node {
    /// Starts the fleet and waits until it answers. Gives the time that took.
    pub(crate) fn start(options: &Options, data: &Path, docs: &str) -> Result<(Self, Duration)> {
        Self::start_with(options, data, &format!("docs={docs}"), None)
    }

    /// The same with another parameter, and perhaps a fail point.
    pub(crate) fn start_with(
        options: &Options,
        data: &Path,
        set: &str,
        fail_point: Option<&str>,
    ) -> Result<(Self, Duration)> {
        let mut command = Command::new(&options.loket);
        command.arg("run").arg(&options.fleet).arg("--data").arg(data);
        command.arg("--set").arg(set).env("LOKET_FAILPOINT", fail_point.unwrap_or_default());
        Self::launch(command, data, &options.work.join("loket.log"))
    }

    /// Runs the command, which starts a fleet, and waits until that answers.
    pub(crate) fn launch(
        mut command: Command,
        data: &Path,
        log: &Path,
    ) -> Result<(Self, Duration)> {
        let began = Instant::now();
        let child = command
            .env("LOKET_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(OpenOptions::new().create(true).append(true).open(log)?)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let mut node = Self { child, data: data.to_owned() };
        while began.elapsed() < START_MAX {
            if let Some(status) = node.child.try_wait()? {
                let log = log.display();
                return Err(format!("the fleet ended at its start: {status}; see {log}").into());
            }
            // The socket file of a killed process is still there: only an answer counts.
            if node.door().and_then(|mut door| door.ask("agent.status", &json!({}))).is_ok() {
                return Ok((node, began.elapsed()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err("the fleet did not start within 60 s".into())
    }

    pub(crate) fn door(&self) -> Result<Door> {
        Door::open(&self.data)
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the ledger counts.
    pub(crate) fn status(&self) -> Result<Value> {
        self.door()?.ask("agent.status", &json!({}))
    }

    /// `kill -9`, and gone when this returns.
    pub(crate) fn kill(mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Waits until it has ended by itself. `false`: it still lives after this long.
    pub(crate) fn ends(&mut self, most: Duration) -> Result<bool> {
        let began = Instant::now();
        while self.lives()? {
            if began.elapsed() > most {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }

    /// Whether it still lives.
    pub(crate) fn lives(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Stops in order; anything but exit code 0 is an error.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.door()?.ask("agent.shutdown", &json!({"now": false}))?;
        let began = Instant::now();
        while began.elapsed() < STOP_MAX {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("the stop: {status}").into())
                };
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err("the fleet did not stop in order within 60 s".into())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Door {
    /// Connects.
    pub(crate) fn open(data: &Path) -> Result<Self> {
        let stream = UnixStream::connect(data.join("loket.sock"))?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// One request, one answer. An error is the connection's, or the fleet's failure.
    pub(crate) fn ask(&mut self, capability: &str, args: &Value) -> Result<Value> {
        let mut answer: Value = serde_json::from_slice(&self.ask_bytes(capability, args)?)?;
        match answer.get("error") {
            Some(error) => Err(format!("{capability}: {error}").into()),
            None => Ok(answer["ok"].take()),
        }
    }

    /// The same with the answer as it came: reading a large one takes longer than getting it.
    pub(crate) fn ask_bytes(&mut self, capability: &str, args: &Value) -> Result<Vec<u8>> {
        let mut line = json!({"capability": capability, "args": args}).to_string();
        line.push('\n');
        self.0.get_mut().write_all(line.as_bytes())?;
        let mut answer = Vec::new();
        self.0.read_until(b'\n', &mut answer)?;
        Ok(answer)
    }
}

/// The turns that the file of open turns names now (rule B2). Of a dead process it is what was open when it died.
pub(crate) fn open_turns(data: &Path) -> Result<Vec<OpenTurn>> {
    let bytes = std::fs::read(data.join("open-turns"))?;
    let number = |slot: &[u8], at: usize| {
        slot[at..at + 8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let open = bytes.chunks_exact(SLOT_BYTES).filter(|slot| slot[0] != 0);
    Ok(open
        .map(|slot| OpenTurn { life: number(slot, 8), n: number(slot, 16), boot: number(slot, 24) })
        .collect())
}
