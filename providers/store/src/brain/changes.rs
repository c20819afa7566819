//! What a turn changes in a brain, for whoever looks at one beside the fleet: noted by triggers of the connection, not of the file.
//!
//! Must never be asked of a brain on a lane: each change costs twice.

use super::Brain;
use rusqlite::params;

/// Changes that are given at most; a turn may make a hundred thousand.
const CHANGES_MAX: usize = 1_000;

/// A key that is written twice is one change, from what it was before the turn. The index of words follows the texts and is none.
const WATCH: &str = "
CREATE TEMP TABLE turn_changes (
    place TEXT NOT NULL, key TEXT NOT NULL, before TEXT, after TEXT, PRIMARY KEY (place, key)
) WITHOUT ROWID;
CREATE TEMP TRIGGER kv_new AFTER INSERT ON main.kv BEGIN
    INSERT INTO turn_changes VALUES ('kv', NEW.key, NULL, NEW.value)
        ON CONFLICT DO UPDATE SET after = excluded.after;
END;
CREATE TEMP TRIGGER kv_other AFTER UPDATE ON main.kv BEGIN
    INSERT INTO turn_changes VALUES ('kv', NEW.key, OLD.value, NEW.value)
        ON CONFLICT DO UPDATE SET after = excluded.after;
END;
CREATE TEMP TRIGGER kv_gone AFTER DELETE ON main.kv BEGIN
    INSERT INTO turn_changes VALUES ('kv', OLD.key, OLD.value, NULL)
        ON CONFLICT DO UPDATE SET after = NULL;
END;
CREATE TEMP TRIGGER memory_new AFTER INSERT ON main.memory BEGIN
    INSERT INTO turn_changes VALUES ('memory', NEW.id, NULL, NEW.text)
        ON CONFLICT DO UPDATE SET after = excluded.after;
END;
CREATE TEMP TRIGGER memory_gone AFTER DELETE ON main.memory BEGIN
    INSERT INTO turn_changes VALUES ('memory', OLD.id, OLD.text, NULL)
        ON CONFLICT DO UPDATE SET after = NULL;
END;
";

/// One change of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `kv` or `memory`.
    pub place: String,
    /// The key, or the memory's id.
    pub key: String,
    /// The value, as JSON, or the memory's text before the turn; `None`: it was not there.
    pub before: Option<String>,
    /// The same after it; `None`: it is gone.
    pub after: Option<String>,
}

impl Brain {
    /// Notes from here on what is changed. What a triggered write takes counts against a call's steps: they are doubled.
    pub(crate) fn watch_changes(&mut self) -> rusqlite::Result<()> {
        self.conn.execute_batch(WATCH)?;
        self.steps_max = self.steps_max.saturating_mul(2);
        Ok(())
    }

    /// What the open turn has changed so far, by place and key, and how many changes are not among them.
    pub(crate) fn changes(&self) -> rusqlite::Result<(Vec<Change>, u64)> {
        let changed = "FROM turn_changes WHERE before IS NOT after";
        let count = format!("SELECT count(*) {changed}");
        let all: i64 = self.conn.query_row(&count, [], |row| row.get(0))?;
        let sql =
            format!("SELECT place, key, before, after {changed} ORDER BY place, key LIMIT ?1");
        let mut rows = self.conn.prepare(&sql)?;
        let rows = rows.query_map(params![CHANGES_MAX as i64], |row| {
            Ok(Change {
                place: row.get(0)?,
                key: row.get(1)?,
                before: row.get(2)?,
                after: row.get(3)?,
            })
        })?;
        let changes = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let more = u64::try_from(all).unwrap_or(0).saturating_sub(changes.len() as u64);
        Ok((changes, more))
    }
}
