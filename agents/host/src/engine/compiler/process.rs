//! One process, one question, one answer: started, fed, read to its end, killed when its time is over.
//!
//! It must never wait without a bound, leave a process behind, or hand it more of the fleet's than the module.

use super::super::classify::bounded;
use super::super::entry::MAX_ENTRY_BYTES;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Its name in lists of processes.
const NAME: &str = "loket";

/// What it may need of the environment: where the libraries lie that it is linked to. Nothing else, no secret above all.
const ENVIRONMENT: [&str; 1] = ["LD_LIBRARY_PATH"];

/// How much of its last words is read, bytes: a panic's, or that memory was refused.
const WORDS_BYTES: usize = 2_000;

/// How much of them is told, bytes.
const TOLD_BYTES: usize = 300;

/// A process that has ended.
pub(super) struct Talk {
    /// Its standard output, up to one byte beyond what is allowed.
    pub(super) answer: Vec<u8>,
    words: Vec<u8>,
    status: ExitStatus,
    out_of_time: bool,
}

impl Talk {
    /// Why it did not end as one that has answered; `time` is what it was given.
    pub(super) fn how_lost(&self, time: Duration) -> Option<String> {
        if self.out_of_time {
            return Some(format!("it had not ended after {} s", time.as_secs_f64()));
        }
        match (self.status.signal().and_then(Signal::from_named_raw), self.status.code()) {
            (_, Some(0)) => None,
            (_, Some(code)) => Some(format!("it ended with exit code {code}")),
            (Some(Signal::XCPU), _) => {
                Some("it was ended for the processor time it took".to_owned())
            }
            (Some(Signal::KILL), _) => Some("it was killed: is memory short?".to_owned()),
            _ => Some(format!("it crashed ({})", self.status)),
        }
    }

    /// What it said last, on one line.
    pub(super) fn words(&self) -> String {
        let words = String::from_utf8_lossy(&self.words);
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        bounded(&words, TOLD_BYTES)
    }
}

/// Starts the program, gives it `input`, reads its answer, and waits for its end, at most for `time`.
pub(super) fn talk(
    program: &Path,
    arguments: impl Iterator<Item = OsString>,
    input: &[u8],
    time: Duration,
) -> io::Result<Talk> {
    let kept = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .arg0(NAME)
        .args(arguments)
        .env_clear()
        .envs(kept)
        // A group of its own: Ctrl-C on the fleet's terminal is the fleet's to answer, and whoever it starts ends with it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (group, watch) = (Pid::from_child(&child), Watch::default());
    let talked = thread::scope(|scope| -> io::Result<_> {
        let guard = thread::Builder::new().name("loket-compile-t".to_owned());
        let guard = guard.spawn_scoped(scope, || watch.kill_after(time, group))?;
        let (answer, words) = converse(&mut child, input);
        // Not reaped yet: until the watch is over, the number must stay this process's.
        let ended = waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        watch.over();
        let out_of_time = guard.join().unwrap_or(false);
        ended?;
        Ok((answer, words, out_of_time))
    });
    if talked.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait()?;
    let (answer, words, out_of_time) = talked?;
    Ok(Talk { answer, words, status, out_of_time })
}

/// All that is said, one way after the other: the program reads its input whole before it answers. One that does otherwise
/// waits until the watch ends it.
fn converse(child: &mut Child, input: &[u8]) -> (Vec<u8>, Vec<u8>) {
    if let Some(mut stdin) = child.stdin.take() {
        // Who does not read on has ended, or will have: how tells more than this error.
        let _ = stdin.write_all(input);
    }
    let answer = up_to(child.stdout.take(), MAX_ENTRY_BYTES + 1);
    let words = up_to(child.stderr.take(), WORDS_BYTES as u64);
    (answer, words)
}

/// What comes until the end, or until this many bytes; then the pipe is closed.
fn up_to(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut read = Vec::new();
    if let Some(from) = from {
        // An error ends it as the end does: what was read so far is no whole answer.
        let _ = from.take(most).read_to_end(&mut read);
    }
    read
}

/// Ends a process when its time is over.
#[derive(Default)]
struct Watch {
    over: Mutex<bool>,
    told: Condvar,
}

impl Watch {
    /// Waits until it is over; after `time` kills the group, and says so.
    fn kill_after(&self, time: Duration, group: Pid) -> bool {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(over, time, |over| !*over);
        let (_over, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        let late = timeout.timed_out();
        if late {
            // Gone already is as well.
            let _ = kill_process_group(group, Signal::KILL);
        }
        late
    }

    fn over(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }
}
