//! The driver's own record: which files were sent under which key, and what was acknowledged.

use crate::Result;
use crate::node::{Door, Node};
use crate::work::Docs;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// One file on its way.
#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) path: String,
    pub(crate) to: String,
    pub(crate) key: String,
    /// The message's id, once acknowledged.
    pub(crate) acked: Option<String>,
    /// How often it was sent.
    pub(crate) tries: u32,
}

/// All of them, and a file that says the same, a line an acknowledgement.
#[derive(Debug)]
pub(crate) struct Sends {
    pub(crate) all: Vec<Send>,
    log: File,
    /// Sends that a kill left without an answer, and that were sent again.
    pub(crate) retried: usize,
    /// Acknowledged sends that were sent again, to see that the same key is the same message.
    pub(crate) asked_again: usize,
    /// Answers that contradict an earlier acknowledgement.
    pub(crate) contradictions: Vec<String>,
}

impl Sends {
    pub(crate) fn new(work: &Path) -> Result<Self> {
        let log = File::create(work.join("acknowledged.jsonl"))?;
        Ok(Self { all: Vec::new(), log, retried: 0, asked_again: 0, contradictions: Vec::new() })
    }

    /// Takes a file in; it is not sent yet.
    pub(crate) fn add(&mut self, path: String, to: String) {
        let key = format!("crash:{path}");
        self.all.push(Send { path, to, key, acked: None, tries: 0 });
    }

    /// The sends that nobody has acknowledged.
    pub(crate) fn unacknowledged(&self) -> Vec<usize> {
        (0..self.all.len()).filter(|&index| self.all[index].acked.is_none()).collect()
    }

    /// Sends one and records the acknowledgement. An error means that there was none.
    pub(crate) fn send(&mut self, door: &mut Door, docs: &Docs, index: usize) -> Result<()> {
        let send = &mut self.all[index];
        let args = json!({
            "to": send.to, "kind": "read", "body": docs.body(&send.path), "key": send.key,
        });
        self.retried += usize::from(send.tries > 0 && send.acked.is_none());
        self.asked_again += usize::from(send.acked.is_some());
        send.tries += 1;
        let answer = door.ask("agent.send", &args)?;
        let id = answer["message"].as_str().ok_or("an acknowledgement without an id")?.to_owned();
        match &send.acked {
            None => {
                let line: Value = json!({"key": send.key, "path": send.path, "message": id});
                writeln!(self.log, "{line}")?;
                send.acked = Some(id);
            }
            Some(before) if *before != id => {
                self.contradictions.push(format!("{} was message {before}, then {id}", send.key));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Path by message, of all that were acknowledged.
    pub(crate) fn acknowledged(&self) -> HashMap<String, String> {
        let acked =
            self.all.iter().filter_map(|send| Some((send.acked.clone()?, send.path.clone())));
        acked.collect()
    }
}

/// Waits until nothing waits, and gives the counts.
pub(crate) fn drained(node: &mut Node, most: std::time::Duration) -> Result<Value> {
    let began = Instant::now();
    let mut door = node.door()?;
    loop {
        let status = door.ask("agent.status", &json!({}))?;
        if status["waiting"] == json!(0) {
            return Ok(status);
        }
        if began.elapsed() > most || !node.lives()? {
            return Err(
                format!("the work did not end within {} s: {status}", most.as_secs()).into()
            );
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
