//! Who waits for whom (rule H2). An agent has one open turn, and a turn one call without a result, so
//! that every agent waits for at most one other: the graph is a set of chains, kept in the book.
//!
//! A chain that comes back to its start can only be closed by a new call, so it is walked when the
//! message of a call is accepted: in the writer, in the same step, before anybody parks.

use crate::book::Book;
use crate::codec::{self, un};
use crate::engine::{Engine, Op};
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{AgentName, Failure, IntentId};
use rusqlite::Connection;

/// Agents of a cycle that its failure names; the text of a longer one says how many are left out.
const NAMED: usize = 16;

impl Engine {
    /// Notes that the open turn of `caller` waits for `callee`. If `callee` waits for `caller`
    /// already, by whatever way, the call is answered with `cycle`: the message stays and runs.
    pub(crate) fn waits_for<E>(
        &mut self,
        caller: &AgentName,
        intent: IntentId,
        callee: u64,
        now_ms: u64,
    ) -> Op<(), E> {
        let Some(life) = self.book.get(caller).map(|agent| agent.life) else {
            return Ok(());
        };
        // A call that has its result, or none at all, is not waited for.
        if self.found(intent)?.is_none_or(|found| found.outcome.is_some()) {
            return Ok(());
        }
        let way = self.book.way(callee, life).filter(|_| !broken(Mutation::NoCycleCheck));
        let Some(way) = way else {
            if let Some(agent) = self.book.change(life) {
                agent.waits = Some(Box::new((intent, callee)));
            }
            return Ok(());
        };
        self.meters.cycles.increment(1);
        let failure = Err(Failure::new("cycle", told(&way)));
        if let Some(written) = self.write_result(intent, &failure, None, now_ms)?
            && written.first
        {
            self.tell(&written, intent);
        }
        Ok(())
    }

    /// The call has its result.
    pub(crate) fn waits_no_more(&mut self, life: u64, intent: IntentId) {
        let waits = self.book.life(life).and_then(|agent| agent.waits.as_deref());
        if waits.is_some_and(|(on, _)| *on == intent)
            && let Some(agent) = self.book.change(life)
        {
            agent.waits = None;
        }
    }
}

/// The failure's text. `way` begins with the callee and ends with the caller.
fn told(way: &[AgentName]) -> String {
    let (Some(callee), Some(caller)) = (way.first(), way.last()) else {
        return String::new();
    };
    let shown = way.iter().take(NAMED).map(|agent| &**agent).collect::<Vec<_>>().join(" -> ");
    let left_out = match way.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" -> ({more} more) -> {caller}"),
    };
    format!(
        "{callee} waits for {caller} already, so neither would ever be answered: {caller} -> {shown}{left_out}; \
         the message stays in the inbox of {callee}"
    )
}

impl Book {
    /// Whom `from` waits for, link by link, if the chain comes to `to`. Each life is at most once in
    /// it: a cycle is never left standing.
    fn way(&self, from: u64, to: u64) -> Option<Vec<AgentName>> {
        let (mut at, mut way) = (from, Vec::new());
        for _ in 0..=self.all().len() {
            let agent = self.life(at)?;
            way.push(agent.name.clone());
            if at == to {
                return Some(way);
            }
            at = agent.waits.as_deref()?.1;
        }
        None
    }

    /// Finds again who waits for whom: calls of open turns without a result whose message waits, and those that asked for it again.
    pub(crate) fn waits(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut rows = conn.prepare(
            "WITH calls(intent, callee) AS (
                 SELECT reply_intent, life FROM messages WHERE reply_intent IS NOT NULL
                 UNION SELECT readers.intent, messages.life FROM readers
                         JOIN messages ON messages.id = readers.message)
             SELECT r.life, r.intent, c.callee FROM calls c
               JOIN records r ON r.intent = c.intent AND r.ok IS NULL
               JOIN turns t ON t.life = r.life AND t.n = r.n AND t.state = 0",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let intent = IntentId(codec::array(row.get(1)?)?);
            let callee = un(row.get(2)?);
            if let Some(agent) = self.change(un(row.get(0)?)) {
                agent.waits = Some(Box::new((intent, callee)));
            }
        }
        Ok(())
    }
}
