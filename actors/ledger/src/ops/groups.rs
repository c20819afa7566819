//! Groups: names that several agents stand under, so that one message reaches all of them (rule I3).
//!
//! A member is a life, so it stays a member through restarts and leaves with its removal, in the same step. A group that nobody is
//! in has no row and is none.

use super::accept::Incoming;
use crate::agent::Agent;
use crate::codec::{db, un};
use crate::engine::{Engine, Op};
use loket_turn::{AgentName, Effect, GroupSize};
use rusqlite::params;

impl Engine {
    /// The end of `agent`'s turn makes it a member; twice is once.
    pub(crate) fn join(&mut self, agent: &Agent, group: &str) -> Op<()> {
        self.conn
            .prepare_cached("INSERT OR IGNORE INTO members(grp, life) VALUES (?1, ?2)")?
            .execute(params![group, db(agent.life)])?;
        Ok(())
    }

    /// It is a member no more.
    pub(crate) fn leave(&mut self, agent: &Agent, group: &str) -> Op<()> {
        self.conn
            .prepare_cached("DELETE FROM members WHERE grp = ?1 AND life = ?2")?
            .execute(params![group, db(agent.life)])?;
        Ok(())
    }

    /// A message to each of several receivers, each with an id of its own. Who is gone by now gets none: a group's members are
    /// those that are there.
    pub(crate) fn send_all(&mut self, agent: &Agent, effect: &Effect, now_ms: u64) -> Op<()> {
        let Effect::SendAll { to, kind, body } = effect else {
            return Ok(());
        };
        for (id, name) in to {
            let Some(life) = self.book.get(name).map(|to| to.life) else {
                continue;
            };
            let message = Incoming {
                sender: &agent.name,
                kind,
                body,
                chain: &[],
                reply_to: None,
                id: Some(*id),
                derived: false,
                idem: None,
                now_ms,
            };
            self.deliver(life, &message)?;
        }
        Ok(())
    }

    /// See [`loket_turn::Ledger::members`].
    pub(crate) fn members(&self, group: &str) -> Op<Vec<AgentName>> {
        self.names("SELECT a.name FROM members m JOIN agents a USING (life) WHERE m.grp = ?1 ORDER BY a.name", group)
    }

    /// See [`loket_turn::Ledger::groups_of`].
    pub(crate) fn groups_of(&self, name: &AgentName) -> Op<Vec<String>> {
        let groups: Vec<AgentName> = self.names(
            "SELECT m.grp FROM members m JOIN agents a USING (life) WHERE a.name = ?1 AND a.gone = 0 ORDER BY m.grp",
            name,
        )?;
        Ok(groups.iter().map(ToString::to_string).collect())
    }

    fn names(&self, sql: &str, of: &str) -> Op<Vec<AgentName>> {
        let mut rows = self.conn.prepare_cached(sql)?;
        let names = rows.query_map([of], |row| row.get::<_, String>(0).map(AgentName::from))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// See [`loket_turn::Ledger::groups`].
    pub(crate) fn groups(&self) -> Op<Vec<GroupSize>> {
        let mut rows = self
            .conn
            .prepare_cached("SELECT grp, count(*) FROM members GROUP BY grp ORDER BY grp")?;
        let groups = rows
            .query_map([], |row| Ok(GroupSize { group: row.get(0)?, members: un(row.get(1)?) }))?;
        Ok(groups.collect::<Result<_, _>>()?)
    }
}
