//! Where a measured fleet lies: its file, its data and its log, in a folder that is removed.

use crate::{BenchError, Options};
use loket_outside::Running;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder with a fleet file.
pub(crate) struct Site {
    dir: TempDir,
    binary: PathBuf,
}

impl Site {
    /// Writes the fleet file, and a guest's text beside it where there is one.
    pub(crate) fn new(
        options: &Options,
        fleet: &str,
        guest: Option<(&str, &str)>,
    ) -> Result<Self, BenchError> {
        let binary = options.binary.clone();
        let binary = binary.ok_or_else(|| BenchError::setup("which binary? none was named"))?;
        let dir = tempfile::Builder::new().prefix(".loket-bench-").tempdir_in(&options.dir);
        let dir = dir.map_err(|error| {
            BenchError::Setup(format!("no folder in {}: {error}", options.dir.display()))
        })?;
        let files = [("fleet.ron", fleet)].into_iter().chain(guest);
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).map_err(BenchError::setup)?;
        }
        Ok(Self { dir, binary })
    }

    /// Starts it, anew or on what it has kept.
    pub(crate) fn start(&self) -> Result<Running, BenchError> {
        let at = |name| self.dir.path().join(name);
        Ok(Running::start(&self.binary, &at("fleet.ron"), &at("data"), &at("log"))?)
    }
}
