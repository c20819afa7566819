//! Turns that are over: read for catch-up, given up once the brain has them durably (rules E6, F1).

use super::next::{BEGIN, MESSAGE, begin_at, message_at, records};
use super::quarantine::RERUN_ACCEPTED;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use crate::keep;
use loket_turn::limits::CATCH_UP_PAGE;
use loket_turn::{AgentName, EndedTurn, Hash, LedgerError, LedgerEvent, Life, RanTurn, TurnNo};
use rusqlite::{Connection, params};

/// Bytes of records and bodies that one page of catch-up holds at most, its first turn aside:
/// bounds memory.
const PAGE_BYTES: usize = 32 * 1024 * 1024;

/// A page of the turns after `after` and up to `to` that have ended or were skipped, in order.
pub(crate) fn ended(
    conn: &Connection,
    life: u64,
    after: TurnNo,
    to: TurnNo,
) -> rusqlite::Result<Vec<EndedTurn>> {
    let columns: Vec<String> = MESSAGE.split(", ").map(|it| format!("m.{it}")).collect();
    let sql = format!(
        "SELECT t.n, t.chain, t.state, t.hash, {}, {BEGIN}
           FROM turns t JOIN messages m USING (life, n) LEFT JOIN pins p ON p.id = t.pin
          WHERE t.life = ?1 AND t.n > ?2 AND t.n <= ?3 ORDER BY t.n LIMIT ?4",
        columns.join(", ")
    );
    let mut rows = conn.prepare_cached(&sql)?;
    let page = i64::try_from(CATCH_UP_PAGE).unwrap_or(i64::MAX);
    let mut rows = rows.query(params![db(life), db(after.0), db(to.0), page])?;
    let (mut turns, mut bytes): (Vec<EndedTurn>, usize) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let n = TurnNo(un(row.get(0)?));
        let hash: Option<Vec<u8>> = row.get(3)?;
        let state: i64 = row.get(2)?;
        let ran = match hash {
            Some(hash) if state == 1 || state == RERUN_ACCEPTED => Some(RanTurn {
                message: message_at(row, 4)?,
                begin: begin_at(row, 10)?,
                records: records(conn, life, n)?,
                hash: Hash(codec::array(hash)?),
                accepted: state == RERUN_ACCEPTED,
            }),
            _ => None,
        };
        bytes += ran.as_ref().map_or(0, |ran| {
            let records: usize = ran.records.iter().map(loket_turn::Record::bytes).sum();
            records + ran.message.body.len()
        });
        if !turns.is_empty() && bytes > PAGE_BYTES {
            break;
        }
        turns.push(EndedTurn { n, chain: Hash(codec::array(row.get(1)?)?), ran, life: Life(life) });
    }
    Ok(turns)
}

impl Engine {
    /// See [`loket_turn::Ledger::ended_after`].
    pub(crate) fn ended_after(&self, name: &AgentName, after: TurnNo) -> Op<Vec<EndedTurn>> {
        let Some(agent) = self.book.get(name) else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        let turns = ended(&self.conn, agent.life, after, TurnNo(agent.done))?;
        let expected = TurnNo(after.0 + 1);
        let first = turns.first().map(|turn| turn.n);
        if agent.done > after.0 && first != Some(expected) {
            let what = format!("turn {expected} of {name}: given up when its brain had it");
            return Err(Fault::refused(LedgerError::NotFound(what)));
        }
        Ok(turns)
    }

    /// See [`loket_turn::Ledger::brain_durable`]. The rows go later, in bounded steps.
    pub(crate) fn brain_durable(&mut self, name: &AgentName, life: Life, n: TurnNo) -> Op<()> {
        let Some(agent) = self.book.get(name).filter(|agent| agent.life == life.0) else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        // A brain that claims more than the ledger knows is no reason to give up an open turn.
        let n = n.0.min(agent.done);
        if n <= agent.durable {
            return Ok(());
        }
        self.conn
            .prepare_cached("UPDATE agents SET durable_n = ?2 WHERE life = ?1")?
            .execute([life.0, n].map(db))?;
        let (swept, kept) = (agent.swept, self.options.keep_turns);
        let waited = self.kept_from(life.0, swept, agent.durable)? > swept;
        if kept > 0 && keep::lapses(&self.conn, agent, n, kept)? {
            self.events.push(LedgerEvent::Lapses { agent: name.clone() });
        }
        if !waited && self.kept_from(life.0, swept, n)? > swept {
            self.book.sweep.push_back(life.0);
        }
        if let Some(agent) = self.book.change(life.0) {
            agent.durable = n;
        }
        Ok(())
    }
}
