//! Monitors: who is told of whose end, exactly once (rule I2).
//!
//! A monitor is one row. The step that puts its Down into the watcher's inbox deletes it, and the step that makes it finds out
//! whether there is anybody to watch: so no crash can lose a Down or double it. Start reading at [`Engine::monitor`].

use super::accept::Incoming;
use crate::agent::Agent;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Op};
use loket_turn::{AgentName, DOWN_KIND, Ended, MONITOR_SENDER, MessageId, Monitor, Until};
use rusqlite::{Row, params};
use serde_json::json;

/// Why a Down comes, when it is not an exit that tells it.
#[derive(Clone, Copy)]
enum Why {
    /// There was nobody when the monitor was made: OTP's.
    NoProc,
    /// Nobody noted the incarnation's end: the process died under it.
    ProcessDied,
    /// The life was ended (rule A4).
    Removed,
}

impl Why {
    fn code(self) -> &'static str {
        match self {
            Self::NoProc => "noproc",
            Self::ProcessDied => "process_died",
            Self::Removed => "removed",
        }
    }
}

/// Bytes of a reason that a Down tells: as many as a report keeps of a panic.
const REASON_BYTES_MAX: usize = 2_048;

/// What a Down tells.
struct Down<'a> {
    agent: &'a str,
    /// `None`: the one that the monitor waited for.
    incarnation: Option<u64>,
    code: &'a str,
    reason: &'a str,
    gone: bool,
    now_ms: u64,
}

/// A row that tells its Down now.
struct Fired {
    id: MessageId,
    life: u64,
    incarnation: Option<u64>,
}

fn fired(row: &Row<'_>) -> rusqlite::Result<Fired> {
    let incarnation: Option<i64> = row.get(2)?;
    Ok(Fired {
        id: MessageId(codec::array(row.get(0)?)?),
        life: un(row.get(1)?),
        incarnation: incarnation.map(un),
    })
}

impl Engine {
    /// The end of `agent`'s turn makes a monitor. Whoever is gone already is told of at once.
    pub(crate) fn monitor(
        &mut self,
        agent: &Agent,
        id: MessageId,
        target: &AgentName,
        until: Until,
        now_ms: u64,
    ) -> Op<()> {
        let Some(watched) = self.book.get(target) else {
            let reason = "there is no such agent";
            let down = Down {
                agent: target,
                incarnation: None,
                code: Why::NoProc.code(),
                reason,
                gone: true,
                now_ms,
            };
            let monitor = Fired { id, life: agent.life, incarnation: None };
            return self.tell_down(&monitor, &down);
        };
        let from = match until {
            Until::Gone => None,
            _ if watched.running => Some(watched.incarnation),
            _ => Some(watched.incarnation + 1),
        };
        self.conn
            .prepare_cached(
                "INSERT OR IGNORE INTO monitors(id, life, target, incarnation)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![id.0, db(agent.life), db(watched.life), from.map(db)])?;
        Ok(())
    }

    /// No Down of this monitor any more. One that stands in the inbox already stays there: it was accepted.
    pub(crate) fn demonitor(&mut self, agent: &Agent, id: MessageId) -> Op<()> {
        self.conn
            .prepare_cached("DELETE FROM monitors WHERE id = ?1 AND life = ?2")?
            .execute(params![id.0, db(agent.life)])?;
        Ok(())
    }

    /// See [`loket_turn::Ledger::ended`].
    pub(crate) fn ended(&mut self, ended: &Ended) -> Op<()> {
        let Some(agent) = self.book.get(&ended.agent) else {
            // Removed meanwhile: its monitors were told then.
            return Ok(());
        };
        let life = agent.life;
        if agent.running && agent.incarnation <= ended.incarnation {
            self.book.runs(life, false);
        }
        let down = Down {
            agent: &ended.agent,
            incarnation: Some(ended.incarnation),
            code: &ended.code,
            reason: &ended.reason,
            gone: false,
            now_ms: ended.now_ms,
        };
        self.tell_downs(life, ended.incarnation, &down)
    }

    /// An incarnation takes over: the ends of earlier ones that nobody noted are told now.
    pub(crate) fn took_over(&mut self, agent: &Agent, incarnation: u64) -> Op<()> {
        self.book.runs(agent.life, true);
        let Some(before) = incarnation.checked_sub(1) else {
            return Ok(());
        };
        let down = Down {
            agent: &agent.name,
            incarnation: None,
            code: Why::ProcessDied.code(),
            reason: "its end was not noted: the node's process died under it",
            gone: false,
            now_ms: (self.options.clock)(),
        };
        self.tell_downs(agent.life, before, &down)
    }

    /// A life is over: every monitor of it tells, and those that it had itself go with it.
    pub(crate) fn unwatch(&mut self, agent: &Agent, reason: &str, now_ms: u64) -> Op<()> {
        self.conn
            .prepare_cached("DELETE FROM monitors WHERE life = ?1")?
            .execute([db(agent.life)])?;
        let all = self
            .conn
            .prepare_cached(
                "DELETE FROM monitors WHERE target = ?1 RETURNING id, life, incarnation",
            )?
            .query_map([db(agent.life)], fired)?
            .collect::<Result<Vec<_>, _>>()?;
        let down = Down {
            agent: &agent.name,
            incarnation: Some(agent.incarnation),
            code: Why::Removed.code(),
            reason,
            gone: true,
            now_ms,
        };
        all.iter().try_for_each(|monitor| self.tell_down(monitor, &down))
    }

    /// Tells all monitors that wait for the end of an incarnation up to `incarnation`.
    fn tell_downs(&mut self, target: u64, incarnation: u64, down: &Down<'_>) -> Op<()> {
        let all = self
            .conn
            .prepare_cached(
                "DELETE FROM monitors WHERE target = ?1 AND incarnation <= ?2 RETURNING id, life, incarnation",
            )?
            .query_map([target, incarnation].map(db), fired)?
            .collect::<Result<Vec<_>, _>>()?;
        all.iter().try_for_each(|monitor| self.tell_down(monitor, down))
    }

    /// One Down into the watcher's inbox, whatever its bounds: the watcher's number of monitors is bounded.
    fn tell_down(&mut self, monitor: &Fired, down: &Down<'_>) -> Op<()> {
        if self.book.life(monitor.life).is_none() {
            return Ok(());
        }
        let body = json!({
            "monitor": monitor.id.to_string(), "agent": down.agent,
            "incarnation": down.incarnation.or(monitor.incarnation),
            "code": down.code,
            "reason": &down.reason[..down.reason.floor_char_boundary(REASON_BYTES_MAX)], "gone": down.gone,
        })
        .to_string()
        .into_bytes();
        self.deliver(
            monitor.life,
            &Incoming {
                sender: MONITOR_SENDER,
                kind: DOWN_KIND,
                body: &body,
                chain: &[],
                reply_to: None,
                id: Some(monitor.id),
                derived: false,
                idem: None,
                now_ms: down.now_ms,
            },
        )?;
        self.meters.downs.increment(1);
        Ok(())
    }

    /// See [`loket_turn::Ledger::monitors_by`].
    pub(crate) fn monitors_by(&self, name: &AgentName) -> Op<Vec<Monitor>> {
        self.monitors("life", name)
    }

    /// See [`loket_turn::Ledger::monitors_of`].
    pub(crate) fn monitors_of(&self, name: &AgentName) -> Op<Vec<Monitor>> {
        self.monitors("target", name)
    }

    fn monitors(&self, column: &str, name: &AgentName) -> Op<Vec<Monitor>> {
        let Some(agent) = self.book.get(name) else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT m.id, by.name, of.name, m.incarnation FROM monitors m
               JOIN agents by ON by.life = m.life JOIN agents of ON of.life = m.target
              WHERE m.{column} = ?1 ORDER BY m.id"
        );
        let mut rows = self.conn.prepare_cached(&sql)?;
        let monitors = rows.query_map([db(agent.life)], |row| {
            let from: Option<i64> = row.get(3)?;
            Ok(Monitor {
                id: MessageId(codec::array(row.get(0)?)?),
                by: row.get::<_, String>(1)?.into(),
                agent: row.get::<_, String>(2)?.into(),
                until: if from.is_some() { Until::Exit } else { Until::Gone },
            })
        })?;
        Ok(monitors.collect::<Result<_, _>>()?)
    }
}
