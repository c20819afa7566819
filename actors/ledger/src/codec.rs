//! The small encodings inside columns: failures, effects, lists of names. Length-prefixed, little
//! endian, written once and read by every later version: a new form gets a new tag.

use loket_turn::{
    AgentName, Effect, Failure, IntentId, MessageId, Missed, Outcome, Schedule, SetTimer, Until,
    Used,
};
use rusqlite::types::Type;
use std::sync::Arc;

/// A number as SQLite keeps it. Counts never come near 2^63.
pub(crate) fn db(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A number as SQLite kept it.
pub(crate) fn un(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// Bytes that are not what this version wrote: a damaged file.
pub(crate) fn damaged(what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, format!("damaged {what}").into())
}

type Read<T> = Result<T, rusqlite::Error>;

fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    to.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n).ok_or_else(|| damaged("column"))?;
        self.0 = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Read<u64> {
        let bytes = self.take(8)?.try_into().map_err(|_| damaged("number"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        let n = usize::try_from(self.number()?).map_err(|_| damaged("length"))?;
        self.take(n)
    }

    fn id(&mut self) -> Read<MessageId> {
        self.take(16)?.try_into().map(MessageId).map_err(|_| damaged("id"))
    }

    fn text(&mut self) -> Read<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| damaged("text"))
    }
}

/// `ok` and bytes of an outcome.
pub(crate) fn outcome_columns(outcome: &Outcome) -> (i64, Vec<u8>) {
    match outcome {
        Ok(result) => (1, result.clone()),
        Err(failure) => {
            let mut to = Vec::new();
            put(&mut to, failure.code.as_bytes());
            put(&mut to, failure.message.as_bytes());
            to.push(u8::from(failure.retryable));
            to.push(u8::from(failure.retry_after_ms.is_some()));
            to.extend_from_slice(&failure.retry_after_ms.unwrap_or(0).to_le_bytes());
            (0, to)
        }
    }
}

/// The outcome of its columns; `None` where `ok` is null.
pub(crate) fn outcome(ok: Option<i64>, bytes: Option<Vec<u8>>) -> Read<Option<Outcome>> {
    let Some(ok) = ok else { return Ok(None) };
    let bytes = bytes.ok_or_else(|| damaged("outcome"))?;
    if ok == 1 {
        return Ok(Some(Ok(bytes)));
    }
    let mut from = Reader(&bytes);
    let (code, message) = (from.text()?, from.text()?);
    let (retryable, hinted) = (from.byte()? == 1, from.byte()? == 1);
    let after = from.number()?;
    Ok(Some(Err(Failure { code, message, retryable, retry_after_ms: hinted.then_some(after) })))
}

const SEND: u8 = 1;
const SPAWN: u8 = 2;
const STOP: u8 = 3;
const SEND_ALL: u8 = 4;
const MONITOR: u8 = 5;
const DEMONITOR: u8 = 6;
const JOIN: u8 = 7;
const LEAVE: u8 = 8;
const SET_TIMER: u8 = 9;
const CANCEL_TIMER: u8 = 10;

/// A staged effect as bytes; `None` for one that this version does not know, which it therefore
/// never staged.
pub(crate) fn effect_bytes(effect: &Effect) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match effect {
        Effect::Send { id, to, kind, body, key } => {
            bytes.push(SEND);
            bytes.extend_from_slice(&id.0);
            put(&mut bytes, to.as_bytes());
            put(&mut bytes, kind.as_bytes());
            put(&mut bytes, body);
            bytes.push(u8::from(key.is_some()));
            put(&mut bytes, key.as_deref().unwrap_or("").as_bytes());
        }
        Effect::Spawn { under, agent, settings } => {
            bytes.push(SPAWN);
            put(&mut bytes, under.as_bytes());
            put(&mut bytes, agent.as_bytes());
            put(&mut bytes, settings.as_bytes());
        }
        Effect::Stop { agent } => {
            bytes.push(STOP);
            put(&mut bytes, agent.as_bytes());
        }
        Effect::SendAll { to, kind, body } => {
            bytes.push(SEND_ALL);
            put(&mut bytes, kind.as_bytes());
            put(&mut bytes, body);
            bytes.extend_from_slice(&(to.len() as u64).to_le_bytes());
            for (id, name) in to {
                bytes.extend_from_slice(&id.0);
                put(&mut bytes, name.as_bytes());
            }
        }
        Effect::Monitor { id, agent, until } => {
            bytes.push(MONITOR);
            bytes.extend_from_slice(&id.0);
            put(&mut bytes, agent.as_bytes());
            bytes.push(u8::from(*until == Until::Gone));
        }
        Effect::Demonitor { id } => {
            bytes.push(DEMONITOR);
            bytes.extend_from_slice(&id.0);
        }
        Effect::Join { group } => {
            bytes.push(JOIN);
            put(&mut bytes, group.as_bytes());
        }
        Effect::Leave { group } => {
            bytes.push(LEAVE);
            put(&mut bytes, group.as_bytes());
        }
        Effect::SetTimer(timer) => {
            bytes.push(SET_TIMER);
            put_timer(&mut bytes, timer);
        }
        Effect::CancelTimer { id } => {
            bytes.push(CANCEL_TIMER);
            bytes.extend_from_slice(&id.0);
        }
        _ => return None,
    }
    Some(bytes)
}

fn put_timer(to: &mut Vec<u8>, timer: &SetTimer) {
    to.extend_from_slice(&timer.id.0);
    to.extend_from_slice(&timer.due_ms.to_le_bytes());
    put(to, timer.kind.as_bytes());
    put(to, &timer.body);
    to.push(u8::from(timer.schedule.is_some()));
    if let Some(schedule) = &timer.schedule {
        for text in [&*schedule.expr, &*schedule.tz, schedule.missed.as_str()] {
            put(to, text.as_bytes());
        }
    }
}

fn timer(from: &mut Reader<'_>) -> Read<SetTimer> {
    let (id, due_ms) = (IntentId(from.id()?.0), from.number()?);
    let (kind, body) = (from.text()?, from.bytes()?.to_vec());
    let schedule = match from.byte()? {
        1 => {
            let (expr, tz, missed) = (from.text()?, from.text()?, from.text()?);
            let missed = Missed::parse(&missed).ok_or_else(|| damaged("schedule"))?;
            Some(Schedule { expr, tz, missed })
        }
        _ => None,
    };
    Ok(SetTimer { id, due_ms, kind, body, schedule })
}

/// What a call used, as JSON: an operator's `loket query` reads it.
pub(crate) fn used_bytes(used: Used) -> Vec<u8> {
    format!(r#"{{"tokens":{},"money":{}}}"#, used.tokens, used.money).into_bytes()
}

/// What [`used_bytes`] says.
pub(crate) fn used(bytes: &[u8]) -> Read<Used> {
    serde_json::from_slice(bytes).map_err(|_| damaged("cost"))
}

/// The effect of [`effect_bytes`].
pub(crate) fn effect(bytes: &[u8]) -> Read<Effect> {
    let mut from = Reader(bytes);
    match from.byte()? {
        SEND => {
            let id = from.id()?;
            let (to, kind) = (from.text()?, from.text()?);
            let body = from.bytes()?.to_vec();
            let keyed = from.byte()? == 1;
            let key = from.text()?;
            Ok(Effect::Send { id, to: to.into(), kind, body, key: keyed.then_some(key) })
        }
        SPAWN => Ok(Effect::Spawn {
            under: from.text()?.into(),
            agent: from.text()?.into(),
            settings: from.text()?,
        }),
        STOP => Ok(Effect::Stop { agent: from.text()?.into() }),
        SEND_ALL => {
            let (kind, body) = (from.text()?, from.bytes()?.to_vec());
            let mut to = Vec::new();
            for _ in 0..from.number()? {
                to.push((from.id()?, from.text()?.into()));
            }
            Ok(Effect::SendAll { to, kind, body })
        }
        MONITOR => Ok(Effect::Monitor {
            id: from.id()?,
            agent: from.text()?.into(),
            until: if from.byte()? == 1 { Until::Gone } else { Until::Exit },
        }),
        DEMONITOR => Ok(Effect::Demonitor { id: from.id()? }),
        JOIN => Ok(Effect::Join { group: from.text()? }),
        LEAVE => Ok(Effect::Leave { group: from.text()? }),
        SET_TIMER => Ok(Effect::SetTimer(Box::new(timer(&mut from)?))),
        CANCEL_TIMER => Ok(Effect::CancelTimer { id: IntentId(from.id()?.0) }),
        _ => Err(damaged("effect")),
    }
}

/// A list of texts as bytes; `None` for an empty one.
pub(crate) fn list_bytes<T: AsRef<str>>(list: &[T]) -> Option<Vec<u8>> {
    if list.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    for text in list {
        put(&mut bytes, text.as_ref().as_bytes());
    }
    Some(bytes)
}

/// The list of [`list_bytes`].
pub(crate) fn list(bytes: Option<&[u8]>) -> Read<Vec<String>> {
    let mut from = Reader(bytes.unwrap_or_default());
    let mut out = Vec::new();
    while !from.0.is_empty() {
        out.push(from.text()?);
    }
    Ok(out)
}

/// [`list`] as agents' names.
pub(crate) fn names(bytes: Option<&[u8]>) -> Read<Vec<AgentName>> {
    Ok(list(bytes)?.into_iter().map(Arc::from).collect())
}

/// An array of a column's bytes.
pub(crate) fn array<const N: usize>(bytes: Vec<u8>) -> Read<[u8; N]> {
    bytes.try_into().map_err(|_| damaged("id"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let outcomes = [
            Ok(Vec::new()),
            Ok(vec![0, 1, 255]),
            Err(Failure::new("refused", "no")),
            Err(Failure::retryable("overloaded", "später", Some(0))),
        ];
        for written in outcomes {
            let (ok, bytes) = outcome_columns(&written);
            assert_eq!(outcome(Some(ok), Some(bytes)).unwrap(), Some(written));
        }
        assert_eq!(outcome(None, None).unwrap(), None);
        let key = Some(String::new());
        for key in [None, key, Some("k".to_owned())] {
            let written = Effect::Send {
                id: MessageId([1; 16]),
                to: "a".into(),
                kind: "note".to_owned(),
                body: vec![0; 300],
                key,
            };
            let bytes = effect_bytes(&written).unwrap();
            assert_eq!(effect(&bytes).unwrap(), written);
        }
        let schedule = Schedule {
            expr: "0 9 * * 1-5".to_owned(),
            tz: "Europe/Berlin".to_owned(),
            missed: Missed::All,
        };
        for schedule in [None, Some(schedule)] {
            let id = IntentId([3; 16]);
            let (kind, body) = ("wake".to_owned(), vec![1; 40]);
            let set = SetTimer { id, due_ms: u64::MAX, kind, body, schedule };
            let set = Effect::SetTimer(Box::new(set));
            for written in [set, Effect::CancelTimer { id }] {
                let bytes = effect_bytes(&written).unwrap();
                assert_eq!(effect(&bytes).unwrap(), written);
                assert!((0..bytes.len()).all(|cut| effect(&bytes[..cut]).is_err()));
            }
        }
        let texts = ["", "a", "b/c"];
        assert_eq!(list(list_bytes(&texts).as_deref()).unwrap(), texts);
    }

    #[test]
    fn damaged_bytes_are_errors_and_no_panics() {
        let bytes = effect_bytes(&Effect::Spawn {
            under: "w".into(),
            agent: "w/1".into(),
            settings: "{}".to_owned(),
        })
        .unwrap();
        for cut in 0..bytes.len() {
            assert!(effect(&bytes[..cut]).is_err());
        }
        assert!(effect(&[99]).is_err());
        assert!(list(Some(&[255; 9])).is_err());
        assert!(outcome(Some(0), Some(vec![1])).is_err());
    }
}
