//! An agent's past, beside the fleet: its brain as it was after a turn, and turns run again in a copy of it. Files are only read, so
//! a fleet may run on them or not.
//!
//! Start reading at [`Workshop::brain_after`].

use super::builtins;
use super::compiler::engine;
use super::directory::SCRATCH;
use super::start::cache_in;
use crate::exit::{self, CliError};
use loket_contract::failpoints;
use loket_contract::rerun::{PureServer, Sandbox};
use loket_host::driver::Modules;
use loket_host::engine::{LoadLimits, Module, SLICE};
use loket_host::rerun::{Again, By, End, Ran, run_again};
use loket_kernel::Moment;
use loket_ledger::{Living, OpenError, Past};
use loket_log::Unheard;
use loket_runtime::Clock;
use loket_store::PURE_VERSION;
use loket_store::keep::{KeepError, Keeper, Scratch, state_of};
use loket_time::OfTurn;
use loket_turn::{EndedTurn, Epoch, Hash, RanTurn, TurnNo};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Agents that a refusal names at most.
const NAMED_MAX: usize = 5;

/// A folder that goes when it is dropped. It lies in the data directory, so that what an agent knows stays where it is kept.
struct Folder(PathBuf);

impl Folder {
    fn new(data: &Path) -> Result<Self, CliError> {
        let path = data.join(format!("{SCRATCH}{}", std::process::id()));
        let made = match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir(&path),
        };
        made.map_err(|error| {
            CliError::new("L104", exit::DATA, format!("{}: {error}", path.display()))
        })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// Where an agent's turns are run again.
pub(crate) struct Workshop {
    past: Past,
    keeper: Keeper,
    modules: Modules,
    /// The agent.
    pub(crate) living: Living,
    folder: Folder,
    clock: Clock,
    ends_at_ms: u64,
}

impl Workshop {
    /// For an agent of a data directory; all that it does may take so long together.
    pub(crate) fn open(data: &Path, agent: &str, time: Duration) -> Result<Self, CliError> {
        let past = Past::open(data).map_err(|error| of_ledger(&error))?;
        let living = past.living().map_err(|error| of_ledger(&error))?;
        let living = living.into_iter().find(|living| &*living.agent == agent);
        let living = living.ok_or_else(|| {
            let text = format!("no agent {agent:?} in the ledger; `loket tree` names them");
            CliError::new("no_such_agent", exit::FAILED, text)
        })?;
        let cache = cache_in(data);
        let modules = Modules::new(engine(1)?, LoadLimits::default(), cache, builtins::modules());
        let (keeper, folder) = (Keeper::new(data), Folder::new(data)?);
        let clock = Clock::machine(Moment(0));
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let ends_at_ms = clock.monotonic_ms().saturating_add(ms);
        Ok(Self { past, keeper, modules, living, folder, clock, ends_at_ms })
    }

    /// A turn that has ended.
    pub(crate) fn turn(&self, n: TurnNo) -> Result<EndedTurn, CliError> {
        if n == TurnNo(0) {
            let text = "there is no turn 0: an agent's first turn is 1";
            return Err(CliError::new("not_found", exit::FAILED, text));
        }
        if n > self.living.done {
            let done = self.living.done;
            let text = format!("turn {n} has not ended; the last one that has is {done}");
            return Err(CliError::new("not_found", exit::FAILED, text));
        }
        let found = self.past.ended(self.living.life, TurnNo(n.0 - 1), n);
        let found = found.map_err(|error| of_ledger(&error))?;
        found.into_iter().next().ok_or_else(|| given_up(n, n))
    }

    /// The brain that turn `n` began with.
    pub(crate) fn brain_before(&self, n: TurnNo) -> Result<Scratch, CliError> {
        self.brain(self.epoch_of(n)?, TurnNo(n.0.saturating_sub(1)))
    }

    /// The brain as it was after turn `n`.
    pub(crate) fn brain_after(&self, n: TurnNo) -> Result<Scratch, CliError> {
        self.brain(self.epoch_of(n)?, n)
    }

    /// The present epoch's brain after the ledger's last turn, made anew: the present file may be what is wrong.
    pub(crate) fn brain_anew(&self) -> Result<Scratch, CliError> {
        let (epoch, done) = (self.living.epoch, self.living.done);
        self.still(epoch, done)
    }

    /// The epoch that a turn was run in.
    fn epoch_of(&self, n: TurnNo) -> Result<Epoch, CliError> {
        let epochs = self.past.epochs(self.living.life).map_err(|error| of_ledger(&error))?;
        let before = epochs.into_iter().filter(|seen| seen.from < n);
        Ok(before.map(|seen| seen.epoch).max().unwrap_or_default())
    }

    /// From the nearest file of that epoch that is not beyond, by running again what it lacks.
    fn brain(&self, epoch: Epoch, n: TurnNo) -> Result<Scratch, CliError> {
        match self.brain_from(epoch, n, self.nearest(epoch, n, true)?)? {
            Some(scratch) => Ok(scratch),
            // The agent has ended turns while its file was copied: from a snapshot, which does not move.
            None => self.still(epoch, n),
        }
    }

    /// The same without the brain's own file.
    fn still(&self, epoch: Epoch, n: TurnNo) -> Result<Scratch, CliError> {
        let made = self.brain_from(epoch, n, self.nearest(epoch, n, false)?)?;
        made.ok_or_else(|| {
            let text = format!("no file of epoch {epoch} holds the brain at turn {n} or before");
            CliError::new("C015", exit::FAILED, text)
        })
    }

    fn brain_from(
        &self,
        epoch: Epoch,
        n: TurnNo,
        nearest: Option<(PathBuf, TurnNo)>,
    ) -> Result<Option<Scratch>, CliError> {
        let whose = (self.living.life, epoch);
        let from = match nearest {
            Some((file, _)) => Some(file),
            None if epoch == Epoch(0) => None,
            None => {
                let text = format!(
                    "there is no snapshot of the brain in epoch {epoch} at turn {n} or before, nor the file that the epoch began with"
                );
                return Err(CliError::new("C015", exit::FAILED, text));
            }
        };
        let folder = self.folder.0.join(format!("{epoch}-{n}"));
        // Only where tests are built: what may come between the look and the copy.
        failpoints::stall(b"copied");
        let scratch = Scratch::new(&folder, &self.living.agent, whose, from.as_deref())
            .map_err(|error| of_file(&error))?;
        // What the copy says of itself: a brain in use may have moved on since it was looked at.
        let (at, _) = scratch.state();
        if at > n {
            // Whoever makes it of another file would find this one.
            drop(scratch);
            let gone = std::fs::remove_dir_all(&folder);
            gone.map_err(|source| of_file(&KeepError::Io { file: folder, source }))?;
            return Ok(None);
        }
        self.bring_up(&scratch, at, n)?;
        Ok(Some(scratch))
    }

    /// The file with the latest turn up to `n`: a snapshot, or the brain itself.
    fn nearest(
        &self,
        epoch: Epoch,
        n: TurnNo,
        itself: bool,
    ) -> Result<Option<(PathBuf, TurnNo)>, CliError> {
        let life = self.living.life;
        let kept = self.past.snapshots(life).map_err(|error| of_ledger(&error))?;
        let kept = kept.iter().filter(|it| it.epoch == epoch);
        let mut files: Vec<PathBuf> = kept.map(|it| self.keeper.snapshot_file(&it.file)).collect();
        if itself {
            files.push(self.keeper.brain(life, epoch));
        }
        let mut best: Option<(PathBuf, TurnNo)> = None;
        for file in files {
            // What is damaged or gone is not gone back to; another file may do.
            let Ok(state) = state_of(&file) else { continue };
            let fits = (state.life, state.epoch) == (life, epoch) && state.n <= n;
            if fits && best.as_ref().is_none_or(|(_, at)| state.n > *at) {
                best = Some((file, state.n));
            }
        }
        Ok(best)
    }

    /// Runs the turns after `at` up to `n` again, strictly.
    fn bring_up(&self, scratch: &Scratch, at: TurnNo, n: TurnNo) -> Result<(), CliError> {
        let mut at = at;
        while at < n {
            let page =
                self.past.ended(self.living.life, at, n).map_err(|error| of_ledger(&error))?;
            if page.first().is_none_or(|first| first.n.0 != at.0 + 1) {
                return Err(given_up(TurnNo(at.0 + 1), n));
            }
            for ended in page {
                scratch.begin().map_err(|error| of_file(&error))?;
                if let Some(ran) = &ended.ran {
                    let module = self.module(ran.begin.module)?;
                    let again = self.again(scratch, ended.n, ran, &module, By::Number)?;
                    agrees(&again, ran, ended.n)?;
                }
                scratch.commit(ended.n, ended.chain).map_err(|error| of_file(&error))?;
                at = ended.n;
            }
        }
        Ok(())
    }

    /// Runs a turn again in the open transaction of this brain.
    pub(crate) fn again(
        &self,
        scratch: &Scratch,
        n: TurnNo,
        ran: &RanTurn,
        module: &Module,
        by: By,
    ) -> Result<Ran, CliError> {
        if ran.begin.pure_version != PURE_VERSION {
            let text = format!(
                "turn {n} was run by a store of version {}, this is version {PURE_VERSION}: look at it with the loket that ran it",
                ran.begin.pure_version
            );
            return Err(CliError::new("C016", exit::FAILED, text));
        }
        let settings = String::from_utf8(self.pinned(ran.begin.settings)?);
        let grants = serde_json::from_slice(&self.pinned(ran.begin.grants)?);
        let (Ok(settings), Ok(grants)) = (settings, grants) else {
            let text = format!("the settings or grants of turn {n} cannot be read");
            return Err(CliError::new("L105", exit::DATA, text));
        };
        let it = Again {
            agent: &self.living.agent,
            life: self.living.life,
            n,
            message: &ran.message,
            begin: &ran.begin,
            records: &ran.records,
            settings: settings.into(),
            grants: Arc::new(grants),
        };
        let servers: Vec<Box<dyn PureServer>> = vec![
            Box::new(scratch.server()),
            Box::new(OfTurn(self.clock.clone())),
            Box::new(Unheard),
        ];
        let mut sandbox = Sandbox::new(&self.living.agent, servers);
        let over = || self.clock.monotonic_ms() >= self.ends_at_ms;
        self.ticking(run_again(module, &it, by, &mut sandbox, &over))
    }

    /// The module of this hash, from the ledger.
    pub(crate) fn module(&self, hash: Hash) -> Result<Module, CliError> {
        if let Some(kept) = self.modules.kept(hash) {
            return Ok(kept.module);
        }
        self.loaded(self.pinned(hash)?)
    }

    /// A module of these bytes.
    pub(crate) fn loaded(&self, bytes: Vec<u8>) -> Result<Module, CliError> {
        let loaded = self.modules.load(bytes.into());
        let loaded = loaded.map_err(|why| CliError::new("M000", exit::USAGE, why))?;
        Ok(loaded.module)
    }

    /// What a turn answered.
    pub(crate) fn reply(&self, n: TurnNo) -> Result<Option<loket_turn::Outcome>, CliError> {
        self.past.reply(self.living.life, n).map_err(|error| of_ledger(&error))
    }

    fn pinned(&self, hash: Hash) -> Result<Vec<u8>, CliError> {
        let found = self.past.pinned(hash).map_err(|error| of_ledger(&error))?;
        found.ok_or_else(|| {
            let text = format!("the ledger has no bytes of {hash}");
            CliError::new("L105", exit::DATA, text)
        })
    }

    /// Waits for a guest while a thread ticks the engine, so that one without end is stopped in time.
    fn ticking<T>(&self, run: impl Future<Output = T>) -> Result<T, CliError> {
        let failed = |error: std::io::Error| {
            CliError::new("io", exit::TRY_AGAIN, format!("no thread to run the turn on: {error}"))
        };
        let (ticker, done) = (self.modules.engine().ticker(), Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&done);
        let thread = std::thread::Builder::new().name("loket-ticks".to_owned()).spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                std::thread::park_timeout(SLICE);
                ticker.tick();
            }
        });
        let thread = thread.map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        let out = runtime.block_on(run);
        done.store(true, Ordering::Relaxed);
        let _ = thread.join();
        Ok(out)
    }
}

/// Refuses to start with brains that lack turns which another version of the store has run: this one may compute them otherwise, and
/// no restart mends that (rule E4).
pub(super) fn no_brain_behind_other_rules(data: &Path) -> Result<(), CliError> {
    let past = Past::open(data).map_err(|error| of_ledger(&error))?;
    let found = past.of_other_rules(PURE_VERSION).map_err(|error| of_ledger(&error))?;
    let keeper = Keeper::new(data);
    let behind: Vec<String> = found
        .iter()
        .filter(|(it, n)| {
            // A file that cannot be read is behind for all that anybody knows.
            state_of(&keeper.brain(it.life, it.epoch)).map_or(true, |state| state.n < *n)
        })
        .map(|(it, n)| format!("{} (turn {n})", it.agent))
        .collect();
    if behind.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = behind.iter().take(NAMED_MAX).map(String::as_str).collect();
    let text = format!(
        "{} brains lack turns that another version of the store has run: {}. Start the fleet once more with the loket \
         that ran them and stop it in order, which brings every brain up; then start this one",
        behind.len(),
        shown.join(", ")
    );
    Err(CliError::new("C019", exit::DATA, text))
}

/// That a turn run again came to what the ledger says (rule F1).
fn agrees(again: &Ran, ran: &RanTurn, n: TurnNo) -> Result<(), CliError> {
    let why = match &again.end {
        End::Answered(_, hash) if *hash == ran.hash || ran.accepted => return Ok(()),
        End::Answered(..) => "it comes to another end".to_owned(),
        End::Diverged(it) => {
            format!(
                "call {}: the record says `{}`, the re-run did `{}`",
                it.call, it.recorded, it.rerun
            )
        }
        End::Unanswered(it) => format!("call {}: {} has no record", it.call, it.capability),
        End::Failed(why) => why.clone(),
    };
    let text = format!(
        "turn {n}, which has to be run again first, does not agree with its records: {why}"
    );
    Err(CliError::new("C017", exit::FAILED, text))
}

fn given_up(n: TurnNo, to: TurnNo) -> CliError {
    let text = format!(
        "the ledger has given up turn {n}, which is needed for the state at turn {to}: `keep_turns` in the fleet file keeps more, and \
         a snapshot keeps a state"
    );
    CliError::new("C015", exit::FAILED, text)
}

pub(crate) fn of_ledger(error: &OpenError) -> CliError {
    CliError::new(error.code(), exit::DATA, error.to_string())
}

pub(crate) fn of_file(error: &KeepError) -> CliError {
    CliError::new(error.code(), exit::DATA, error.to_string())
}
