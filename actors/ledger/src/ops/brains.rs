//! Snapshots, and the switch of an agent to another brain file (rule E7).
//!
//! A switch is one transaction: the new epoch, from which catch-up counts, and the open turn that is given up for it. What the old
//! file's incarnation still does is refused by the fence (see `Book::current`).

use super::letters::Grave;
use crate::agent::Agent;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{
    AgentName, Blame, BrainStanding, Epoch, Failure, Files, Hash, LedgerError, LedgerEvent,
    LetterId, Life, Snapshot, Switch, Switched, TurnNo, chain_after,
};
use rusqlite::{Connection, params};

/// The snapshots of a life, oldest first.
pub(crate) fn snapshots(conn: &Connection, life: u64) -> rusqlite::Result<Vec<Snapshot>> {
    let sql = "SELECT epoch, n, chain, at_ms, file, automatic FROM snapshots WHERE life = ?1 ORDER BY epoch, n";
    let mut rows = conn.prepare_cached(sql)?;
    let rows = rows.query_map([db(life)], |row| {
        Ok(Snapshot {
            life: Life(life),
            epoch: Epoch(un(row.get(0)?)),
            n: TurnNo(un(row.get(1)?)),
            chain: Hash(codec::array(row.get(2)?)?),
            at_ms: un(row.get(3)?),
            file: row.get(4)?,
            automatic: row.get(5)?,
        })
    })?;
    rows.collect()
}

impl Engine {
    /// See [`loket_turn::Ledger::brain_standing`].
    pub(crate) fn brain_standing(&self, name: &AgentName) -> Op<BrainStanding> {
        let agent = self.living(name)?;
        Ok(BrainStanding {
            agent: agent.name.clone(),
            life: Life(agent.life),
            epoch: agent.epoch,
            done: TurnNo(agent.done),
            chain: agent.chain,
            open: self.is_begun(agent)?.then_some(TurnNo(agent.done + 1)),
        })
    }

    fn living(&self, name: &AgentName) -> Op<&Agent> {
        let agent = self.book.get(name);
        agent.ok_or_else(|| Fault::refused(LedgerError::NoSuchAgent(name.clone())))
    }

    /// Whether the turn after the last one has records, is parked, or has asked a person: another brain under it would not fit them.
    fn is_begun(&self, agent: &Agent) -> Op<bool> {
        if !agent.open_row {
            return Ok(false);
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM records WHERE life = ?1 AND n = ?2)
                       OR EXISTS (SELECT 1 FROM turns WHERE life = ?1 AND n = ?2 AND parked_on IS NOT NULL)
                       OR EXISTS (SELECT 1 FROM approvals WHERE life = ?1 AND n = ?2)";
        let turn = [agent.life, agent.done + 1].map(db);
        Ok(self.conn.prepare_cached(sql)?.query_row(turn, |row| row.get(0))?)
    }

    /// See [`loket_turn::Ledger::switch_brain`].
    pub(crate) fn switch_brain(&mut self, switch: &Switch) -> Op<Switched> {
        let now = self.brain_standing(&switch.from.agent)?;
        let same = |it: &BrainStanding| (it.life, it.epoch, it.done, it.chain);
        if same(&now) != same(&switch.from) {
            return Ok(Switched::Moved);
        }
        let given_up = now.open.filter(|open| switch.abandon == Some(*open));
        let exact = switch.exact && !broken(Mutation::RestoreRefused);
        if let (Some(open), None, false) = (now.open, given_up, exact)
            && !broken(Mutation::OpenTurnKept)
        {
            return Ok(Switched::Open(open));
        }
        let agent = self.living(&now.agent)?.clone();
        // The file that is given up is removed soon: no loss of power may bring back its name (rule E7).
        self.must_sync = true;
        let letter = given_up.map(|n| self.give_up(&agent, n, switch)).transpose()?;
        let epoch = Epoch(now.epoch.0 + 1);
        self.conn
            .prepare_cached("UPDATE agents SET epoch = ?2 WHERE life = ?1")?
            .execute([agent.life, epoch.0].map(db))?;
        self.conn
            .prepare_cached(
                "INSERT INTO epochs(life, epoch, from_n, at_ms, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                db(agent.life),
                db(epoch.0),
                db(now.done.0),
                db(switch.now_ms),
                switch.reason
            ])?;
        if let Some(agent) = self.book.change(agent.life) {
            agent.epoch = epoch;
        }
        if let Some(first) = &switch.first {
            self.note_snapshot(&now.agent, first)?;
        }
        // The new file has every ended turn behind it, on the disk.
        if !broken(Mutation::RewindUndone) {
            self.brain_durable(&now.agent, now.life, now.done)?;
        }
        self.mended(&agent, given_up)?;
        self.meters.switched.increment(1);
        self.events.push(LedgerEvent::Arrived { agent: now.agent.clone() });
        Ok(Switched::Done { epoch, letter })
    }

    /// The open turn's message becomes a dead letter.
    fn give_up(&mut self, agent: &Agent, n: TurnNo, switch: &Switch) -> Op<LetterId> {
        let attempts = self.attempts(agent.life, n.0)?;
        let reason = format!("given up by an operator: {}", switch.reason);
        let grave = Grave {
            cause: "abandoned",
            blame: Blame::Config,
            reason: &reason,
            backtrace: "",
            attempts,
            at_ms: switch.now_ms,
            effects: self.effects_done(agent.life, n)?,
        };
        let letter = self.bury(agent, n, &grave)?;
        let chain = chain_after(agent.chain, n, Hash::default());
        self.skip_turn(agent.life, n, attempts, chain, switch.now_ms)?;
        let text = format!("the message is dead letter {letter} of {}: {reason}", agent.name);
        self.finished(agent, n, &Err(Failure::new("dead_letter", text)), switch.now_ms)?;
        Ok(letter)
    }

    /// Ends a quarantine whose reason was the old file, or a turn that this brain need not run (rules E5, F3, G4).
    fn mended(&mut self, agent: &Agent, given_up: Option<TurnNo>) -> Op<()> {
        let Some(why) = self.quarantine_of(agent.life)? else { return Ok(()) };
        let of_the_file = why.cause == "corrupt" || why.cause == "ahead";
        if of_the_file || why.n.0 <= agent.done || given_up == Some(why.n) {
            self.conn
                .prepare_cached("UPDATE agents SET quarantine = NULL WHERE life = ?1")?
                .execute([db(agent.life)])?;
            self.quarantined(agent.life, false);
        }
        Ok(())
    }

    /// See [`loket_turn::Ledger::note_snapshot`].
    pub(crate) fn note_snapshot(&mut self, name: &AgentName, it: &Snapshot) -> Op<()> {
        if self.living(name)?.life != it.life.0 {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        }
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO snapshots(life, epoch, n, chain, at_ms, file, automatic)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                db(it.life.0),
                db(it.epoch.0),
                db(it.n.0),
                it.chain.0,
                db(it.at_ms),
                it.file,
                it.automatic
            ])?;
        self.meters.snapshots.increment(1);
        // Turns before it may have waited for it.
        let agent = self.living(name)?;
        let (life, swept, durable) = (agent.life, agent.swept, agent.durable);
        if self.kept_from(life, swept, durable)? > swept {
            self.book.sweep.push_back(life);
        }
        Ok(())
    }

    /// See [`loket_turn::Ledger::snapshots`].
    pub(crate) fn snapshots_of(&self, name: &AgentName) -> Op<Vec<Snapshot>> {
        Ok(snapshots(&self.conn, self.living(name)?.life)?)
    }

    /// See [`loket_turn::Ledger::files`].
    pub(crate) fn files(&self) -> Op<Files> {
        let mut names = self
            .conn
            .prepare_cached("SELECT file FROM snapshots JOIN agents USING (life) WHERE gone = 0")?;
        let names = names.query_map([], |row| row.get(0))?;
        Ok(Files {
            lives: self.book.all().map(|agent| (Life(agent.life), agent.epoch)).collect(),
            snapshots: names.collect::<rusqlite::Result<_>>()?,
        })
    }

    /// See [`loket_turn::Ledger::drop_snapshot`].
    pub(crate) fn drop_snapshot(&mut self, it: &Snapshot) -> Op<()> {
        self.conn
            .prepare_cached("DELETE FROM snapshots WHERE life = ?1 AND epoch = ?2 AND n = ?3")?
            .execute([it.life.0, it.epoch.0, it.n.0].map(db))?;
        Ok(())
    }
}
