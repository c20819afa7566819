//! Files of brains: what the node asks for when one is exchanged (the real keeper, at once), and files that an operator brings.
//!
//! Start reading at [`Files`].

use crate::oracle::Brain;
use loket_agent::{Brains, OfFiles};
use loket_store::keep::{KeepError, Keeper, state_of};
use loket_turn::{BrainStanding, Epoch, Failure, Hash, Life, Snapshot, TurnNo};
use std::path::{Path, PathBuf};

/// See the module head.
pub(crate) struct Files(pub(crate) Keeper);

fn of_file(error: &KeepError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

impl Brains for Files {
    fn snapshot(&self, life: Life, epoch: Epoch) -> OfFiles<Snapshot> {
        let keeper = self.0.clone();
        Box::pin(async move {
            let (file, state) = keeper.snapshot(life, epoch).map_err(|why| of_file(&why))?;
            let (n, chain) = (state.n, state.chain);
            Ok(Snapshot { life, epoch, n, chain, at_ms: 0, file, automatic: false })
        })
    }

    fn adopt(&self, from: PathBuf, at: BrainStanding) -> OfFiles<bool> {
        let keeper = self.0.clone();
        Box::pin(async move {
            let said = state_of(&from).map_err(|why| of_file(&why))?;
            keeper.adopt(&from, &at).map_err(|why| of_file(&why))?;
            let same = (said.life, said.epoch, said.n, said.chain);
            Ok(same == (at.life, at.epoch, at.done, at.chain))
        })
    }

    fn bytes(&self, life: Life, epoch: Epoch) -> u64 {
        std::fs::metadata(self.0.brain(life, epoch)).map_or(0, |meta| meta.len())
    }

    fn remove(&self, name: String) -> OfFiles<()> {
        let removed = self.0.remove_snapshot(&name).map_err(|why| of_file(&why));
        Box::pin(async move { removed })
    }

    fn forget_before(&self, life: Life, epoch: Epoch) {
        self.0.forget_before(life, epoch);
    }
}

/// Makes a file that says that it is the brain of `at` after turn `n`, and holds this, in a folder of the operator's own. `None`: there
/// is no brain to begin with.
pub(crate) fn made(
    data: &Path,
    at: &BrainStanding,
    (n, chain): (TurnNo, Hash),
    brain: &Brain,
) -> Option<PathBuf> {
    let folder = data.join("operator");
    let file = folder.join("brain.db");
    let work = || -> Result<(), String> {
        let said = |why: &dyn std::fmt::Display| why.to_string();
        std::fs::create_dir_all(&folder).map_err(|why| said(&why))?;
        if file.exists() {
            std::fs::remove_file(&file).map_err(|why| said(&why))?;
        }
        let keeper = Keeper::new(data);
        keeper.export(at.life, at.epoch, &file).map_err(|why| said(&why))?;
        filled(&file, (n, chain), brain).map_err(|why| said(&why))
    };
    work().is_ok().then_some(file)
}

fn filled(file: &Path, (n, chain): (TurnNo, Hash), brain: &Brain) -> rusqlite::Result<()> {
    let conn = rusqlite::Connection::open(file)?;
    conn.execute_batch("BEGIN; DELETE FROM kv")?;
    let sql = "UPDATE loket SET applied_n = ?1, chain = ?2";
    conn.execute(sql, rusqlite::params![n.0.cast_signed(), chain.0])?;
    for (key, value) in brain {
        conn.execute("INSERT INTO kv(key, value) VALUES (?1, ?2)", [key, value])?;
    }
    conn.execute_batch("COMMIT")?;
    conn.close().map_err(|(_, why)| why)
}
