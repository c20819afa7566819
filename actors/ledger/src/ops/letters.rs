//! Dead letters: made with the whole reason, shown, retried, forgotten (rules A4, G3).

use super::accept::{Incoming, room};
use super::next::{MESSAGE, message_at};
use crate::agent::Agent;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::{
    AgentName, Blame, CallNo, LedgerError, Letter, LetterId, LetterSummary, MessageId,
    RetriedLetter, TurnNo,
};
use rusqlite::{OptionalExtension, Row, params};

/// Bytes of a backtrace that a letter keeps: some hundred frames.
const BACKTRACE_BYTES: usize = 64 * 1024;

/// Bytes of an effect's arguments that a letter shows: enough to recognise it.
const ARGS_SHOWN: usize = 200;

/// Why a message became a dead letter.
pub(crate) struct Grave<'a> {
    pub(crate) cause: &'a str,
    pub(crate) blame: Blame,
    pub(crate) reason: &'a str,
    pub(crate) backtrace: &'a str,
    pub(crate) attempts: u32,
    pub(crate) at_ms: u64,
    pub(crate) effects: Vec<String>,
}

fn parse_blame(word: &str) -> Blame {
    [Blame::Guest, Blame::Provider, Blame::Config, Blame::Environment]
        .into_iter()
        .find(|blame| blame.as_str() == word)
        .unwrap_or(Blame::Host)
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn summary(row: &Row<'_>) -> rusqlite::Result<LetterSummary> {
    Ok(LetterSummary {
        id: LetterId(un(row.get(0)?)),
        agent: row.get::<_, String>(1)?.into(),
        message: MessageId(codec::array(row.get(2)?)?),
        cause: row.get(3)?,
        attempts: row.get(4)?,
        at_ms: un(row.get(5)?),
    })
}

impl Engine {
    /// The Keyed and Once calls of a turn, in words: what a retry may repeat.
    pub(crate) fn effects_done(&self, life: u64, n: TurnNo) -> rusqlite::Result<Vec<String>> {
        self.effects_from(life, n, CallNo(0))
    }

    /// The same, from a call on.
    pub(crate) fn effects_from(
        &self,
        life: u64,
        n: TurnNo,
        from: CallNo,
    ) -> rusqlite::Result<Vec<String>> {
        let mut rows = self.conn.prepare_cached(
            "SELECT capability, args, ok FROM records
              WHERE life = ?1 AND n = ?2 AND call >= ?3 AND intent IS NOT NULL ORDER BY call",
        )?;
        let effects = rows.query_map([life, n.0, u64::from(from.0)].map(db), |row| {
            let (capability, args): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let outcome = match row.get::<_, Option<i64>>(2)? {
                Some(1) => "done",
                Some(_) => "failed",
                None => "no answer",
            };
            let args = String::from_utf8_lossy(&args).into_owned();
            Ok(format!("{capability} {} ({outcome})", cut(&args, ARGS_SHOWN)))
        })?;
        effects.collect()
    }

    /// Makes a waiting message a dead letter. Its turn and who waits for it are the caller's
    /// affair.
    pub(crate) fn bury(&mut self, agent: &Agent, n: TurnNo, grave: &Grave<'_>) -> Op<LetterId> {
        self.conn
            .prepare_cached(
                "INSERT INTO letters(agent, message, sender, kind, accepted_ms, chain, body, cause,
                     blame, reason, backtrace, attempts, at_ms, effects)
                 SELECT ?3, id, sender, kind, accepted_ms, chain, body, ?4, ?5, ?6, ?7, ?8, ?9, ?10
                   FROM messages WHERE life = ?1 AND n = ?2",
            )?
            .execute(params![
                db(agent.life),
                db(n.0),
                &*agent.name,
                grave.cause,
                grave.blame.as_str(),
                grave.reason,
                cut(grave.backtrace, BACKTRACE_BYTES),
                grave.attempts,
                db(grave.at_ms),
                codec::list_bytes(&grave.effects).unwrap_or_default(),
            ])?;
        self.counts.letters += 1;
        Ok(LetterId(un(self.conn.last_insert_rowid())))
    }

    /// A staged message that no inbox can take: accepted with the turn's end, and a dead letter at
    /// once.
    pub(crate) fn bury_unsent(
        &mut self,
        to: &AgentName,
        message: &Incoming<'_>,
        cause: &str,
        reason: &str,
    ) -> Op<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO letters(agent, message, sender, kind, accepted_ms, chain, body, cause,
                     blame, reason, backtrace, attempts, at_ms, effects)
                 VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6, ?7, ?8, ?9, '', 0, ?5, x'')",
            )?
            .execute(params![
                &**to,
                message.id.unwrap_or(MessageId([0; 16])).0,
                message.sender,
                message.kind,
                db(message.now_ms),
                message.body,
                cause,
                Blame::Config.as_str(),
                reason,
            ])?;
        self.counts.accepted += 1;
        self.counts.letters += 1;
        Ok(())
    }

    /// See [`loket_turn::Ledger::letters`].
    pub(crate) fn letters(&self) -> Op<Vec<LetterSummary>> {
        let list = self
            .conn
            .prepare_cached(
                "SELECT id, agent, message, cause, attempts, at_ms FROM letters ORDER BY id",
            )?
            .query_map([], summary)?
            .collect::<Result<_, _>>()?;
        Ok(list)
    }

    /// See [`loket_turn::Ledger::letter`].
    pub(crate) fn letter(&self, id: LetterId) -> Op<Letter> {
        let columns = MESSAGE.replacen("id,", "message,", 1);
        let sql = format!(
            "SELECT id, agent, message, cause, attempts, at_ms, blame, reason, backtrace, effects,
                    {columns} FROM letters WHERE id = ?1"
        );
        let found = self
            .conn
            .prepare_cached(&sql)?
            .query_row([db(id.0)], |row| {
                Ok(Letter {
                    summary: summary(row)?,
                    blame: parse_blame(&row.get::<_, String>(6)?),
                    reason: row.get(7)?,
                    backtrace: row.get(8)?,
                    effects: codec::list(Some(&row.get::<_, Vec<u8>>(9)?))?,
                    letter: message_at(row, 10)?,
                })
            })
            .optional()?;
        found.ok_or_else(|| Fault::refused(LedgerError::NotFound(format!("letter {id}"))))
    }

    /// See [`loket_turn::Ledger::retry_letter`]. The letter goes when its message is accepted anew:
    /// in one step, so that it is never in both places nor in none.
    pub(crate) fn retry_letter(&mut self, id: LetterId, confirmed: bool) -> Op<RetriedLetter> {
        let letter = self.letter(id)?;
        if !letter.effects.is_empty() && !confirmed {
            return Ok(RetriedLetter::NeedsConfirmation { effects: letter.effects });
        }
        let name = &letter.summary.agent;
        let Some(agent) = self.book.get(name) else {
            return Err(Fault::refused(LedgerError::NoSuchAgent(name.clone())));
        };
        if room(agent, letter.letter.body.len() as u64).is_err() {
            return Err(Fault::refused(LedgerError::InboxFull(name.clone())));
        }
        let life = agent.life;
        let message = self.deliver(
            life,
            &Incoming {
                sender: &letter.letter.sender,
                kind: &letter.letter.kind,
                body: &letter.letter.body,
                chain: &[],
                reply_to: None,
                id: None,
                derived: false,
                idem: None,
                now_ms: (self.options.clock)(),
            },
        )?;
        self.drop_letter(id)?;
        Ok(RetriedLetter::Sent { message })
    }

    /// See [`loket_turn::Ledger::drop_letter`].
    pub(crate) fn drop_letter(&mut self, id: LetterId) -> Op<()> {
        let gone =
            self.conn.prepare_cached("DELETE FROM letters WHERE id = ?1")?.execute([db(id.0)])?;
        if gone == 0 {
            return Err(Fault::refused(LedgerError::NotFound(format!("letter {id}"))));
        }
        Ok(())
    }
}
