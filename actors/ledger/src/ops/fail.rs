//! A failed attempt: noted, or the last one, which makes the message a dead letter and skips its
//! turn (rules B2, G1 to G3).

use super::letters::Grave;
use crate::agent::Agent;
use crate::codec::db;
use crate::engine::{Engine, Fault, Op};
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{Blame, Fail, FailVerdict, Failure, Hash, LetterId, TurnNo};
use rusqlite::params;

impl Engine {
    /// See [`loket_turn::Ledger::fail`].
    pub(crate) fn fail(&mut self, fail: &Fail) -> Op<FailVerdict> {
        let agent = self.fenced(&fail.turn).map_err(Fault::refused)?;
        self.count(agent.life, fail.turn.n, &fail.counted)?;
        let before = self.attempts(agent.life, fail.turn.n.0)?;
        let counts = fail.blame == Blame::Guest;
        let attempts = before.saturating_add(u32::from(counts));
        if counts && attempts >= fail.max_attempts {
            let letter = self.condemn(&agent, fail, attempts)?;
            return Ok(FailVerdict::Letter { letter });
        }
        self.note_attempt(&agent, fail, attempts)?;
        Ok(FailVerdict::Retry { attempts })
    }

    /// Keeps the records up to the last intent and drops every later one; without any intent the
    /// retry is a new begin (rule G2).
    fn note_attempt(&mut self, agent: &Agent, fail: &Fail, attempts: u32) -> Op<()> {
        let (life, n) = (db(agent.life), db(fail.turn.n.0));
        self.forget_tail(life, n)?;
        self.conn
            .prepare_cached(
                "INSERT INTO turns(life, n, state, attempts) VALUES (?1, ?2, 0, ?3)
                 ON CONFLICT(life, n) DO UPDATE SET attempts = ?3, pin =
                    CASE WHEN EXISTS (SELECT 1 FROM records WHERE life = ?1 AND n = ?2)
                    THEN pin END",
            )?
            .execute(params![life, n, attempts])?;
        self.row_is_open(agent.life);
        self.hold_durable(agent.life, fail.turn.n)
    }

    /// Drops the records after the last intent.
    fn forget_tail(&self, life: i64, n: i64) -> rusqlite::Result<()> {
        if broken(Mutation::BadKept) {
            return Ok(());
        }
        if broken(Mutation::TimeoutDropped) {
            let sql = "UPDATE records SET ok = NULL, outcome = NULL
                        WHERE life = ?1 AND n = ?2 AND class = 'keyed' AND ok = 0 AND call =
                    (SELECT max(call) FROM records
                      WHERE life = ?1 AND n = ?2 AND intent IS NOT NULL)";
            self.conn.prepare_cached(sql)?.execute([life, n])?;
        }
        let but = if broken(Mutation::StagedKept) { "AND class <> 'staged'" } else { "" };
        let pins = match broken(Mutation::RefusedPins) {
            true => "(intent IS NOT NULL OR class IN ('keyed', 'once'))",
            false => "intent IS NOT NULL",
        };
        let sql = format!(
            "DELETE FROM records WHERE life = ?1 AND n = ?2 {but} AND call >
                (SELECT coalesce(max(call), 0) FROM records
                  WHERE life = ?1 AND n = ?2 AND {pins})"
        );
        self.conn.prepare_cached(&sql)?.execute([life, n])?;
        Ok(())
    }

    /// One step: letter, skip, failure for who waits (rule G3).
    fn condemn(&mut self, agent: &Agent, fail: &Fail, attempts: u32) -> Op<LetterId> {
        let (life, n) = (agent.life, fail.turn.n);
        let grave = Grave {
            cause: &fail.cause,
            blame: fail.blame,
            reason: &fail.message,
            backtrace: &fail.backtrace,
            attempts,
            at_ms: fail.now_ms,
            effects: self.effects_done(life, n)?,
        };
        let letter = self.bury(agent, n, &grave)?;
        self.skip_turn(life, n, attempts, fail.chain_if_skipped, fail.now_ms)?;
        let message = format!(
            "the message failed {attempts} times ({}: {}) and is dead letter {letter} of {}",
            fail.cause, fail.message, agent.name
        );
        let failure = Err(Failure::new("dead_letter", message));
        self.finished(agent, n, &failure, fail.now_ms)?;
        Ok(letter)
    }

    /// Moves an agent past its open turn, whose message has become a dead letter.
    pub(crate) fn skip_turn(
        &mut self,
        life: u64,
        n: TurnNo,
        attempts: u32,
        chain: Hash,
        now_ms: u64,
    ) -> Op<()> {
        self.settle_turn(life, n, 0)?;
        self.conn
            .prepare_cached(
                "INSERT INTO turns(life, n, state, attempts, chain, ended_ms)
                 VALUES (?1, ?2, 2, ?3, ?4, ?5)
                 ON CONFLICT(life, n) DO UPDATE SET state = 2, attempts = ?3, parked_on = NULL,
                    chain = ?4, ended_ms = ?5",
            )?
            .execute(params![db(life), db(n.0), attempts, chain.0, db(now_ms)])?;
        self.book.hold(life, Vec::new());
        self.advance(life, n, chain)
    }
}
