//! Runs the steps of a document in a folder that has `fleets/` and `docs/` of the checkout, as a clone would.

use crate::book::Step;
use crate::root;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a command, or what it shows, may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often an outside process looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The prefix that a clone without an installed `loket` needs; the built one takes its place.
const FROM_SOURCE: &str = "cargo run --release -- ";

/// What ends the fleet that was started last. The signal is on its way when the command returns; who reads the document sees the
/// fleet end in its terminal, and goes on then.
const KILL: &str = "kill -9 ";

/// A fleet that goes on.
struct Background {
    command: String,
    child: Child,
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs all steps; what is wrong is told with the command.
pub(crate) fn play(steps: &[Step]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    for part in ["fleets", "docs"] {
        copy(&root().join(part), &folder.path().join(part));
    }
    let mut running: Vec<Background> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::File { name, text } => fs::write(folder.path().join(name), text).unwrap(),
            Step::Run { commands, exit, prints } => {
                run(folder.path(), commands, *exit, prints)?;
                if commands.iter().any(|line| line.starts_with(KILL)) {
                    gone(running.last_mut())?;
                }
            }
            Step::Background { command, prints } => {
                running.push(background(folder.path(), number, command, prints)?);
            }
        }
    }
    running.into_iter().try_for_each(end)
}

/// Files of the checkout; what a fleet has left there is not.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_file() {
            fs::copy(&path, to.join(name)).unwrap();
        } else if path.extension().is_none_or(|end| end != "data") {
            copy(&path, &to.join(name));
        }
    }
}

fn shell(folder: &Path, line: &str) -> Command {
    let line = match line.strip_prefix(FROM_SOURCE) {
        Some(rest) => format!("loket {rest}"),
        None => line.to_owned(),
    };
    let binaries = Path::new(env!("CARGO_BIN_EXE_loket")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(binaries).chain(std::env::split_paths(&path));
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(folder).stdin(Stdio::null());
    command.env("PATH", std::env::join_paths(paths).unwrap());
    command.env_remove("LOKET_DATA").env_remove("LOKET_LOG");
    command
}

fn run(folder: &Path, commands: &[String], exit: i32, prints: &[String]) -> Result<(), String> {
    let mut shown = String::new();
    for (at, line) in commands.iter().enumerate() {
        let expected = if at + 1 == commands.len() { exit } else { 0 };
        let log = folder.join(".shown");
        let mut child = spawn(folder, line, &log);
        let status = within(|| child.try_wait().unwrap());
        let output = fs::read_to_string(&log).unwrap_or_default();
        let Some(status) = status else {
            let _ = child.kill();
            return Err(format!("`{line}` does not end:\n{output}"));
        };
        if status.code() != Some(expected) {
            let code =
                status.code().map_or_else(|| status.to_string(), |c| format!("exit code {c}"));
            return Err(format!("`{line}`: {code}, not {expected}:\n{output}"));
        }
        shown.push_str(&output);
    }
    match prints.iter().find(|part| !shown.contains(part.as_str())) {
        Some(part) => Err(format!("{commands:?} do not print {part:?}, but:\n{shown}")),
        None => Ok(()),
    }
}

/// Both outputs go to one file, as to one terminal.
fn spawn(folder: &Path, line: &str, log: &Path) -> Child {
    let file = File::create(log).unwrap();
    let mut command = shell(folder, line);
    command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap()
}

fn background(
    folder: &Path,
    number: usize,
    line: &str,
    prints: &[String],
) -> Result<Background, String> {
    if prints.is_empty() {
        return Err(format!("no text shows when `{line}` is up"));
    }
    let log = folder.join(format!(".shown-{number}"));
    // The shell makes way, so that a signal reaches the fleet.
    let child = spawn(folder, &format!("exec {}", line.replacen(FROM_SOURCE, "loket ", 1)), &log);
    let mut background = Background { command: line.to_owned(), child };
    let mut shown = String::new();
    let up = within(|| {
        shown = fs::read_to_string(&log).unwrap_or_default();
        if prints.iter().all(|part| shown.contains(part.as_str())) {
            return Some(Ok(()));
        }
        background.child.try_wait().unwrap().map(Err)
    });
    match up {
        Some(Ok(())) => Ok(background),
        Some(Err(status)) => Err(format!("`{line}` ended with {status}:\n{shown}")),
        None => Err(format!("`{line}` does not show all of {prints:?}, but:\n{shown}")),
    }
}

/// The fleet that was killed has ended.
fn gone(killed: Option<&mut Background>) -> Result<(), String> {
    let Some(killed) = killed else { return Ok(()) };
    let ended = within(|| killed.child.try_wait().unwrap());
    ended.map(drop).ok_or_else(|| format!("`{}` was killed, and does not end", killed.command))
}

/// A fleet that still runs is stopped as by Ctrl-C. Each must have ended well, or by the `kill -9` that the document shows.
fn end(mut background: Background) -> Result<(), String> {
    use std::os::unix::process::ExitStatusExt;
    if background.child.try_wait().unwrap().is_none() {
        let pid = i32::try_from(background.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    }
    let Some(status) = within(|| background.child.try_wait().unwrap()) else {
        return Err(format!("`{}` does not end", background.command));
    };
    if status.success() || status.signal() == Some(Signal::KILL.as_raw()) {
        return Ok(());
    }
    Err(format!("`{}` ended with {status}", background.command))
}

fn within<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        match look() {
            None if began.elapsed() < PATIENCE => std::thread::sleep(LOOK_EVERY),
            found => return found,
        }
    }
}
