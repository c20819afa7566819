//! A brain beside the fleet: a copy in a folder of its own, in which turns are run again. The fleet's file is never touched.

use super::{KeepError, copy};
use crate::brain::{Brain, BrainFiles, Change, Owner, TurnError};
use crate::provider::{OPERATIONS, Prepared, What, prepare};
use loket_contract::{CallView, Operation, Performed, Provider};
use loket_turn::{AgentName, Epoch, Failure, Hash, Life, TurnNo};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Such a brain. Made and used on one thread.
pub struct Scratch {
    pub(super) brain: Rc<RefCell<Brain>>,
    file: PathBuf,
}

impl Scratch {
    /// A copy of `from` in this folder, or an empty brain. The folder is the caller's to remove.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn new(
        folder: &Path,
        agent: &AgentName,
        (life, epoch): (Life, Epoch),
        from: Option<&Path>,
    ) -> Result<Self, KeepError> {
        let files = BrainFiles::new(folder);
        let file = files.path(life, epoch);
        if let (Some(from), Some(parent)) = (from, file.parent()) {
            std::fs::create_dir_all(parent).map_err(KeepError::io(parent))?;
            copy(from, &file)?;
        }
        let owner = Owner { agent: agent.clone(), life, epoch };
        let brain = Brain::open(&files, owner).map_err(|error| KeepError::open(&file, &error))?;
        Ok(Self { brain: Rc::new(RefCell::new(brain)), file })
    }

    /// The last turn applied, and the chain hash after it.
    pub fn state(&self) -> (TurnNo, Hash) {
        self.brain.borrow().state()
    }

    /// Begins a turn; an open one is rolled back.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn begin(&self) -> Result<(), KeepError> {
        self.brain.borrow_mut().begin(true).map_err(|error| self.turn(error))
    }

    /// Notes from here on what turns change.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn watch_changes(&self) -> Result<(), KeepError> {
        self.brain.borrow_mut().watch_changes().map_err(|error| self.turn(error.into()))
    }

    /// What the open turn has changed, a thousand at most, and how many changes are not among them.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn changes(&self) -> Result<(Vec<Change>, u64), KeepError> {
        self.brain.borrow().changes().map_err(|error| self.turn(error.into()))
    }

    /// Commits it.
    ///
    /// # Errors
    /// [`KeepError`].
    pub fn commit(&self, n: TurnNo, chain: Hash) -> Result<(), KeepError> {
        self.brain.borrow_mut().commit(n, chain).map_err(|error| self.turn(error))
    }

    /// Drops what the open turn did.
    pub fn roll_back(&self) {
        self.brain.borrow_mut().roll_back();
    }

    /// Who serves the calls of its turns.
    pub fn server(&self) -> ScratchStore {
        ScratchStore(Rc::clone(&self.brain))
    }

    /// The file, with all that is committed. It may be read; its log stands beside it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn turn(&self, error: TurnError) -> KeepError {
        match error {
            TurnError::Sqlite(source) => KeepError::Sqlite { file: self.file.clone(), source },
            other => KeepError::NotWhole { file: self.file.clone(), reason: other.to_string() },
        }
    }
}

/// The store's operations on one scratch brain, answered at once.
pub struct ScratchStore(Rc<RefCell<Brain>>);

impl Provider for ScratchStore {
    type Prepared = Prepared;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Prepared, Failure> {
        prepare(call)
    }

    fn perform(&mut self, prepared: Prepared) -> Performed {
        Performed::Done(match prepared.0 {
            What::Settings(outcome) => outcome,
            What::Brain(call) => call.op.run(&mut self.0.borrow_mut(), call.now),
        })
    }
}
