//! Accepting a message: sizes, idempotency keys, bounds, the row (rules A1, A2, A3, A5).

use crate::agent::Agent;
use crate::codec::{self, db, un};
use crate::engine::{Engine, Fault, Op};
use loket_turn::limits::{BODY_BYTES_MAX, CALL_CHAIN_MAX, KEY_BYTES_MAX, KEY_TTL_MS};
use loket_turn::{
    Accept, AcceptError, Accepted, AgentName, Hash, LedgerEvent, MessageId, Outcome, ReplyTo,
};
use rusqlite::{OptionalExtension, params};

/// A message on its way into an inbox.
pub(crate) struct Incoming<'a> {
    pub(crate) sender: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) chain: &'a [AgentName],
    pub(crate) reply_to: Option<&'a ReplyTo>,
    /// `None` lets the ledger mint one.
    pub(crate) id: Option<MessageId>,
    /// The dedupe row under the id is kept with the outcome.
    pub(crate) derived: bool,
    /// The dedupe row under the idempotency key.
    pub(crate) idem: Option<Vec<u8>>,
    pub(crate) now_ms: u64,
}

/// What a dedupe row says.
pub(crate) struct Known {
    pub(crate) id: MessageId,
    pub(crate) same: bool,
    pub(crate) outcome: Option<Outcome>,
}

/// The dedupe key of a derived id.
pub(crate) fn derived_row(id: MessageId) -> Vec<u8> {
    let mut key = vec![b'i'];
    key.extend_from_slice(&id.0);
    key
}

/// The dedupe key of a sender's idempotency key for one receiver.
pub(crate) fn idem_row(sender: &str, to: &str, key: &str) -> Vec<u8> {
    let fields = codec::list_bytes(&[sender, to, key]).unwrap_or_default();
    let mut row = vec![b'k'];
    row.extend_from_slice(&Hash::of(&fields).0);
    row
}

/// What "same body" means: kind and body.
pub(crate) fn digest(kind: &str, body: &[u8]) -> Hash {
    let mut fields = (kind.len() as u64).to_le_bytes().to_vec();
    fields.extend_from_slice(kind.as_bytes());
    fields.extend_from_slice(body);
    Hash::of(&fields)
}

fn sizes(message: &Accept) -> Result<(), AcceptError> {
    let key = message.key.as_deref().map_or(0, str::len);
    for (what, bytes, limit) in [
        ("body", message.body.len(), BODY_BYTES_MAX),
        ("key", key, KEY_BYTES_MAX),
        ("kind", message.kind.len(), KEY_BYTES_MAX),
        ("chain of calls", message.chain.len(), CALL_CHAIN_MAX),
    ] {
        if bytes > limit {
            return Err(AcceptError::TooLarge { what, bytes, limit });
        }
    }
    Ok(())
}

/// Whether an inbox has room for one message of `bytes` (rule A3).
pub(crate) fn room(agent: &Agent, bytes: u64) -> Result<(), AcceptError> {
    if agent.depth() >= agent.rows_max {
        return Err(AcceptError::Overloaded {
            agent: agent.name.clone(),
            depth: agent.depth(),
            capacity: agent.rows_max,
        });
    }
    let held = agent.waiting_bytes + agent.reserved().1;
    if held.saturating_add(bytes) > agent.bytes_max {
        return Err(AcceptError::OverloadedBytes {
            agent: agent.name.clone(),
            bytes: held,
            capacity: agent.bytes_max,
        });
    }
    Ok(())
}

impl Engine {
    /// See [`loket_turn::Ledger::accept`].
    pub(crate) fn accept(&mut self, message: &Accept) -> Op<Accepted, AcceptError> {
        sizes(message).map_err(Fault::Refused)?;
        if let Some(known) = self.known(message)? {
            if known.outcome.is_none() {
                self.reads_too(message, known.message)?;
            }
            return Ok(known);
        }
        let agent = self
            .book
            .get(&message.to)
            .ok_or_else(|| Fault::Refused(AcceptError::NoSuchAgent(message.to.clone())))?
            .clone();
        if message.unless_waiting
            && let Some(waits) = self.waits(&agent, &message.kind)?
        {
            return Ok(Accepted { message: waits, duplicate: false, outcome: None, skipped: true });
        }
        // A call of a turn that runs is in flight and goes on (rule A5).
        if message.reply_to.is_none() {
            self.under_limit().map_err(Fault::Refused)?;
        }
        room(&agent, message.body.len() as u64).map_err(Fault::Refused)?;
        let idem = message.key.as_deref().map(|key| idem_row(&message.sender, &message.to, key));
        let incoming = Incoming {
            sender: &message.sender,
            kind: &message.kind,
            body: &message.body,
            chain: &message.chain,
            reply_to: message.reply_to.as_ref(),
            id: message.id,
            derived: message.id.is_some(),
            idem: idem.clone(),
            now_ms: message.now_ms,
        };
        let id = self.deliver(agent.life, &incoming)?;
        if let Some(ReplyTo::Intent { agent: caller, intent }) = &message.reply_to {
            self.waits_for(caller, *intent, agent.life, message.now_ms)?;
        }
        Ok(Accepted { message: id, duplicate: false, outcome: None, skipped: false })
    }

    /// A call that is answered with a message which somebody has sent before: its end is told to this one, too (rule A2).
    fn reads_too(&mut self, message: &Accept, id: MessageId) -> Op<(), AcceptError> {
        let Some(ReplyTo::Intent { agent: caller, intent }) = &message.reply_to else {
            return Ok(());
        };
        let Some(receiver) = self.book.get(&message.to) else { return Ok(()) };
        let (life, done) = (receiver.life, receiver.done);
        // Its own sender, sending it again, is told already.
        let sql = "SELECT reply_intent FROM messages WHERE life = ?1 AND n > ?2 AND id = ?3";
        let first: Option<Option<Vec<u8>>> = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![db(life), db(done), id.0], |row| row.get(0))
            .optional()?;
        if first.is_none_or(|first| first.as_deref() == Some(&intent.0)) {
            return Ok(());
        }
        self.conn
            .prepare_cached("INSERT OR IGNORE INTO readers(message, intent) VALUES (?1, ?2)")?
            .execute(params![id.0, intent.0])?;
        self.readers = true;
        self.waits_for(caller, *intent, life, message.now_ms)?;
        Ok(())
    }

    /// The same message sent before, by its derived id or its key (rule A2).
    fn known(&self, message: &Accept) -> Op<Option<Accepted>, AcceptError> {
        if message.id.is_none() && message.key.is_none() {
            return Ok(None);
        }
        let digest = digest(&message.kind, &message.body);
        let by_id = message.id.map(|id| (derived_row(id), id.to_string()));
        let by_key = message.key.as_ref().map(|key| {
            let row = idem_row(&message.sender, &message.to, key);
            (row, key.clone())
        });
        for (row, key) in by_id.into_iter().chain(by_key) {
            let Some(known) = self.dedupe(&row, digest)? else {
                continue;
            };
            if !known.same {
                return Err(Fault::Refused(AcceptError::KeyReused { key }));
            }
            return Ok(Some(Accepted {
                message: known.id,
                duplicate: true,
                outcome: known.outcome,
                skipped: false,
            }));
        }
        Ok(None)
    }

    /// One dedupe row.
    pub(crate) fn dedupe(&self, row: &[u8], digest: Hash) -> rusqlite::Result<Option<Known>> {
        self.conn
            .prepare_cached("SELECT id, digest, ok, outcome FROM dedupe WHERE key = ?1")?
            .query_row([row], |found| {
                Ok(Known {
                    id: MessageId(codec::array(found.get(0)?)?),
                    same: found.get::<_, Vec<u8>>(1)? == digest.0,
                    outcome: codec::outcome(found.get(2)?, found.get(3)?)?,
                })
            })
            .optional()
    }

    /// The first message of this kind that waits or is being handled.
    fn waits(&self, agent: &Agent, kind: &str) -> rusqlite::Result<Option<MessageId>> {
        if agent.waiting() == 0 {
            return Ok(None);
        }
        self.conn
            .prepare_cached(
                "SELECT id FROM messages WHERE life = ?1 AND n > ?2 AND kind = ?3
                  ORDER BY n LIMIT 1",
            )?
            .query_row(params![db(agent.life), db(agent.done), kind], |row| {
                Ok(MessageId(codec::array(row.get(0)?)?))
            })
            .optional()
    }

    /// Whether the ledger is below its size limit (rule A5).
    pub(crate) fn under_limit(&self) -> Result<(), AcceptError> {
        let limit = self.options.size_limit_bytes;
        if self.live_bytes < limit {
            return Ok(());
        }
        Err(AcceptError::LedgerFull { bytes: self.live_bytes, limit })
    }

    /// Puts a message at the end of an inbox, whatever its bounds: who asks has looked, or holds a
    /// place.
    pub(crate) fn deliver<E>(&mut self, life: u64, message: &Incoming<'_>) -> Op<MessageId, E> {
        let Some(agent) = self.book.change(life) else {
            return Err(Fault::Sql(rusqlite::Error::QueryReturnedNoRows));
        };
        agent.last += 1;
        agent.waiting_bytes += message.body.len() as u64;
        let (n, name) = (agent.last, agent.name.clone());
        let id = message.id.unwrap_or_else(|| self.mint(life, n));
        let (reply_agent, reply_intent) = match message.reply_to {
            Some(ReplyTo::Intent { agent, intent }) => (Some(&**agent), Some(intent.0)),
            _ => (None, None),
        };
        self.conn
            .prepare_cached(
                "INSERT INTO messages(life, n, id, sender, kind, accepted_ms, chain, reply_agent,
                     reply_intent, derived, idem, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                db(life),
                db(n),
                id.0,
                message.sender,
                message.kind,
                db(message.now_ms),
                codec::list_bytes(message.chain),
                reply_agent,
                reply_intent,
                message.derived,
                message.idem,
                message.body,
            ])?;
        let derived = message.derived.then(|| derived_row(id));
        for row in derived.iter().chain(&message.idem) {
            self.remember(row, id, message)?;
        }
        self.counts.accepted += 1;
        self.events.push(LedgerEvent::Arrived { agent: name });
        Ok(id)
    }

    /// Writes a dedupe row, held while the sender's turn is open (rules A2, I1).
    pub(crate) fn remember(
        &self,
        row: &[u8],
        id: MessageId,
        message: &Incoming<'_>,
    ) -> rusqlite::Result<()> {
        let holder = self.book.get(message.sender);
        let digest = digest(message.kind, message.body);
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO dedupe(key, digest, id, expires_ms, holder_life, holder_n)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                row,
                digest.0,
                id.0,
                db(message.now_ms.saturating_add(KEY_TTL_MS)),
                holder.map(|agent| db(agent.life)),
                holder.map(|agent| db(agent.done + 1)),
            ])?;
        Ok(())
    }

    /// A new message's id: unique by life and number, not to be guessed by who does not have the
    /// file.
    fn mint(&self, life: u64, n: u64) -> MessageId {
        let mut fields = self.seed.clone();
        fields.extend_from_slice(&life.to_le_bytes());
        fields.extend_from_slice(&n.to_le_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&Hash::of(&fields).0[..16]);
        MessageId(id)
    }

    /// See [`loket_turn::Ledger::stats`].
    pub(crate) fn stats(&self) -> Op<loket_turn::LedgerStats> {
        let mut count =
            self.conn.prepare_cached("SELECT count(*) FROM messages WHERE life = ?1 AND n > ?2")?;
        let mut waiting = 0;
        for agent in self.book.all().filter(|agent| agent.waiting() > 0) {
            let rows: i64 =
                count.query_row(params![db(agent.life), db(agent.done)], |row| row.get(0))?;
            waiting += un(rows);
        }
        let letters: i64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM letters")?
            .query_row([], |row| row.get(0))?;
        let agents = |which: fn(&Agent) -> bool| self.book.all().filter(|it| which(it)).count();
        Ok(loket_turn::LedgerStats {
            accepted: self.counts.accepted,
            completed: self.counts.completed,
            letters_made: self.counts.letters,
            letters: un(letters),
            waiting,
            bytes: self.size()?.0,
            boots: self.boots,
            approvals: self.approvals_open()?,
            doubts: agents(|it| it.once.as_ref().is_some_and(|once| once.doubt.is_some())) as u64,
            quarantined: agents(|it| it.quarantined) as u64,
        })
    }
}
