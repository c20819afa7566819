//! The files of brains, as the agent provider asks for them: each request on a thread of its own, for all of them block.

use crate::exit::{self, CliError};
use loket_agent::{Brains, Keeping, OfFiles};
use loket_kernel::Moment;
use loket_ledger::{LEDGER_FILE, Options, SqliteLedger};
use loket_runtime::Clock;
use loket_store::keep::{KeepError, Keeper, state_of};
use loket_turn::{BrainStanding, Epoch, Failure, Life, Snapshot};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module head.
pub(super) struct Files(Keeper);

impl Files {
    /// Those of a data directory.
    pub(super) fn new(data: &Path) -> Self {
        Self(Keeper::new(data))
    }

    /// Does something on a thread of its own.
    pub(super) fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Keeper) -> Result<T, KeepError> + Send + 'static,
    ) -> OfFiles<T> {
        let keeper = self.0.clone();
        let (reply, answer) = tokio::sync::oneshot::channel();
        let work = move || {
            let _ = reply.send(work(&keeper));
        };
        let thread = std::thread::Builder::new().name("brains".to_owned()).spawn(work);
        Box::pin(async move {
            thread.map_err(|error| Failure::retryable("no_thread", error.to_string(), None))?;
            let lost = |_| Failure::new("internal", "the copy ended without an answer");
            answer.await.map_err(lost)?.map_err(|error| of_file(&error))
        })
    }
}

fn of_file(error: &KeepError) -> Failure {
    match error {
        KeepError::Busy { .. } | KeepError::Io { .. } => {
            Failure::retryable(error.code(), error.to_string(), None)
        }
        _ => Failure::new(error.code(), error.to_string()),
    }
}

impl Brains for Files {
    fn snapshot(&self, life: Life, epoch: Epoch) -> OfFiles<Snapshot> {
        self.apart(move |keeper| {
            let (file, state) = keeper.snapshot(life, epoch)?;
            let (n, chain) = (state.n, state.chain);
            Ok(Snapshot { life, epoch, n, chain, at_ms: 0, file, automatic: false })
        })
    }

    fn adopt(&self, from: PathBuf, at: BrainStanding) -> OfFiles<bool> {
        self.apart(move |keeper| {
            let said = state_of(&from)?;
            keeper.adopt(&from, &at)?;
            let same = (said.life, said.epoch, said.n, said.chain);
            Ok(same == (at.life, at.epoch, at.done, at.chain))
        })
    }

    fn bytes(&self, life: Life, epoch: Epoch) -> u64 {
        std::fs::metadata(self.0.brain(life, epoch)).map_or(0, |meta| meta.len())
    }

    fn remove(&self, name: String) -> OfFiles<()> {
        self.apart(move |keeper| keeper.remove_snapshot(&name))
    }

    fn forget_before(&self, life: Life, epoch: Epoch) {
        self.0.forget_before(life, epoch);
    }
}

/// Does something to the brains of a data directory that no fleet runs on; its lock is held meanwhile.
pub(crate) fn at_rest<T, F>(data: &Path, work: impl FnOnce(Keeping) -> F) -> Result<T, CliError>
where
    F: Future<Output = Result<T, Failure>>,
{
    if !data.join(LEDGER_FILE).exists() {
        let text = format!("{} is no data directory: it has no {LEDGER_FILE}", data.display());
        return Err(CliError::new("L104", exit::DATA, text));
    }
    let mut options = Options::new(data);
    // How many turns are kept is for the fleet file to say.
    options.keep_turns = u64::MAX;
    options.must_be_there = true;
    let ledger = SqliteLedger::open(options, Box::new(|_| {}))
        .map_err(|error| CliError::new(error.code(), exit::DATA, error.to_string()))?;
    let clock = Clock::machine(Moment(ledger.high_water_ms()));
    let brains = Arc::new(Files::new(data));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let done = match runtime {
        Ok(runtime) => {
            let ledger = Arc::clone(&ledger) as _;
            // As for the ledger: nothing is given up here.
            let (keep_turns, copying) = (u64::MAX, Arc::default());
            let keeping = Keeping { ledger, brains, clock, keep_turns, copying };
            runtime.block_on(work(keeping)).map_err(|failure| {
                let exit = if failure.retryable { exit::TRY_AGAIN } else { exit::FAILED };
                CliError::new(&failure.code, exit, failure.message)
            })
        }
        Err(error) => Err(CliError::new("io", exit::TRY_AGAIN, error.to_string())),
    };
    ledger.stop();
    done
}
