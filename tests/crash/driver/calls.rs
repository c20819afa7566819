//! Messages that have agents call a service outside, the driver's record of them, and what is broken when all is done.
//!
//! Each message has a mark of its own, which is in every call of it: in the outside's record, in the brains, and in the sink's.

use crate::Result;
use crate::campaign::ledger;
use crate::node::{Door, Node};
use crate::outside::{Outside, Seen};
use crate::verdict;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the work that waits may take.
const SETTLE_MAX: Duration = Duration::from_secs(120);

/// How often an outside process looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) mark: String,
    to: String,
    body: Value,
    /// The message's id, once acknowledged.
    pub(crate) acked: Option<String>,
}

/// All of them, and what the operator had to say.
pub(crate) struct Orders {
    pub(crate) all: Vec<Order>,
    pub(crate) outside: Outside,
    /// Doubts that were resolved as done, and as to be sent again.
    pub(crate) done: usize,
    pub(crate) retried: usize,
    /// Paths that an operator had sent again.
    again: HashSet<String>,
    pub(crate) wrong: Vec<String>,
}

/// One call of a class, with the mark in its arguments.
pub(crate) fn call(class: &str, mark: &str, host: &str) -> Value {
    let url = format!("http://{host}/{class}/{mark}");
    let (capability, args) = match class {
        "pure" => ("store.brain.kv.put", json!({"key": "mark", "value": mark})),
        "staged" => {
            let note = json!([{"call": "store.brain.memory.add", "args": {"text": mark}}]);
            ("agent.send", json!({"to": "sink", "body": note}))
        }
        "observe" => ("http.get", json!({"url": url})),
        "keyed" => ("http.post", json!({"url": url, "body": mark})),
        "once" => ("http.send", json!({"url": url, "body": mark})),
        _ => ("log.write", json!({"level": "debug", "message": mark})),
    };
    json!({"call": capability, "args": args, "or": "trap"})
}

/// Notes the mark in the brain: once, or an effect was lost or double.
pub(crate) fn note(mark: &str) -> Value {
    json!({"call": "store.brain.memory.add", "args": {"text": mark}, "or": "trap"})
}

impl Orders {
    pub(crate) fn new() -> Result<Self> {
        let (all, again, wrong) = (Vec::new(), HashSet::new(), Vec::new());
        Ok(Self { all, outside: Outside::start()?, done: 0, retried: 0, again, wrong })
    }

    /// Takes a message in; it is not sent yet.
    pub(crate) fn add(&mut self, mark: String, to: &str, body: Value) {
        self.all.push(Order { mark, to: to.to_owned(), body, acked: None });
    }

    /// Sends every message that nobody has acknowledged. An error is the connection's: the process is gone.
    pub(crate) fn send(&mut self, door: &mut Door) -> Result<()> {
        for order in self.all.iter_mut().filter(|order| order.acked.is_none()) {
            let args = json!({"to": order.to, "body": order.body, "key": order.mark});
            let answer = door.ask("agent.send", &args)?;
            order.acked = Some(answer["message"].as_str().ok_or("no id")?.to_owned());
        }
        Ok(())
    }

    /// What is in doubt now.
    pub(crate) fn doubts(door: &mut Door) -> Result<Vec<Value>> {
        let list = door.ask("agent.doubt.list", &json!({}))?;
        Ok(list["doubts"].as_array().cloned().unwrap_or_default())
    }

    /// An operator who looks outside: what was seen is done, what was not is sent once more.
    fn resolve(&mut self, door: &mut Door, doubt: &Value) -> Result<()> {
        let args: Value = serde_json::from_str(doubt["args"].as_str().unwrap_or("{}"))?;
        let url = args["url"].as_str().unwrap_or_default();
        let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
        self.outside.has_read_all()?;
        let seen = self.outside.count(&path);
        let how = if seen > 0 {
            self.done += 1;
            json!({"doubt": doubt["id"], "done": {"status": 200}})
        } else {
            self.retried += 1;
            if !self.again.insert(path.clone()) {
                println!("{path} is sent once more for the second time");
            }
            json!({"doubt": doubt["id"], "retry": true})
        };
        door.ask("agent.doubt.resolve", &how)?;
        Ok(())
    }

    /// Settles doubts until nothing waits. Gives how many there were.
    pub(crate) fn settle(&mut self, node: &mut Node) -> Result<usize> {
        let began = Instant::now();
        let (mut door, mut settled) = (node.door()?, 0);
        self.send(&mut door)?;
        loop {
            let status = door.ask("agent.status", &json!({}))?;
            if status["waiting"] == json!(0) {
                return Ok(settled);
            }
            for doubt in Self::doubts(&mut door)? {
                self.resolve(&mut door, &doubt)?;
                settled += 1;
            }
            if began.elapsed() > SETTLE_MAX || !node.lives()? {
                return Err(format!("the work did not end: {status}").into());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What was charged is what was called, whatever was killed: `each` keyed and once call of each message, the same at both
    /// levels, and nothing is reserved any more.
    pub(crate) fn charged(&mut self, node: &Node, each: usize) -> Result<()> {
        let listed = node.door()?.ask("agent.budgets.list", &json!({}))?;
        let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
        for budget in listed["budgets"].as_array().ok_or("no budgets")? {
            let level = budget["level"].as_str().unwrap_or_default();
            let grant = budget["capability"].as_str().unwrap_or_default();
            for line in budget["lines"].as_array().into_iter().flatten() {
                let unit = line["unit"].as_str().unwrap_or_default();
                let spent = line["spent"].as_u64().unwrap_or_default();
                for of in [level, grant] {
                    *sums.entry((of.to_owned(), unit.to_owned())).or_default() += spent;
                }
                if line["reserved"] != json!(0) {
                    self.wrong.push(format!("{budget} is reserved for a call that has ended"));
                }
            }
        }
        let sum = |of: &str, unit: &str| {
            sums.get(&(of.to_owned(), unit.to_owned())).copied().unwrap_or_default()
        };
        for unit in ["calls", "bytes"] {
            let (own, all) = (sum("grant", unit), sum("supervisor", unit));
            if own != all || own == 0 {
                let text = format!("{own} {unit} are charged to agents, {all} to their supervisor");
                self.wrong.push(text);
            }
        }
        let made = (self.all.len() * each) as u64;
        for grant in ["http.post", "http.send"] {
            let charged = sum(grant, "calls");
            if charged != made {
                self.wrong
                    .push(format!("{charged} calls of {grant} are charged, {made} were made"));
            }
        }
        Ok(())
    }

    /// Compares the stopped fleet's files and the outside's record with this one.
    pub(crate) fn judge(&mut self, data: &Path) -> Result<Value> {
        let mut notes: HashMap<String, usize> = HashMap::new();
        let mut integrity = 0;
        for file in verdict::brains(data)?.iter().chain([&ledger(data)]) {
            let conn = verdict::open(file)?;
            let said: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            integrity += usize::from(said != "ok");
            if *file != ledger(data) {
                let mut rows = conn.prepare("SELECT text FROM memory")?;
                for text in rows.query_map([], |row| row.get::<_, String>(0))? {
                    *notes.entry(text?).or_default() += 1;
                }
            }
        }
        let (mut lost, mut double, mut staged) = (0, 0, 0);
        for order in &self.all {
            let sends = order.body.to_string().contains("agent.send");
            staged += usize::from(sends);
            let expected = 1 + usize::from(sends);
            let found = notes.remove(&order.mark).unwrap_or(0);
            lost += expected.saturating_sub(found);
            double += found.saturating_sub(expected);
            if found != expected {
                self.wrong.push(format!("{} was noted {found} times, not {expected}", order.mark));
            }
        }
        if !notes.is_empty() || integrity > 0 {
            self.wrong.push(format!("{} foreign notes, {integrity} damaged files", notes.len()));
        }
        let outside = self.judge_outside();
        let counts = self.judge_ledger(data, self.all.len() + staged)?;
        Ok(json!({
            "messages": self.all.len(), "lost": lost, "double": double, "integrity_failures": integrity,
            "outside": outside, "ledger": counts, "doubts_done": self.done, "doubts_retried": self.retried,
        }))
    }

    /// What the outside saw: of each keyed path one key and one body, of no two paths the same key, and of each once path one request.
    fn judge_outside(&mut self) -> Value {
        let mut by_path: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
        for seen in self.outside.seen() {
            by_path.entry(seen.path.clone()).or_default().push(seen);
        }
        let mut keys: HashMap<String, String> = HashMap::new();
        let (mut resent, mut two_keys, mut two_bodies, mut repeated) = (0, 0, 0, 0);
        for (path, seen) in &by_path {
            if path.starts_with("/keyed/") {
                resent += seen.len() - 1;
                two_keys += usize::from(seen.iter().any(|it| it.key != seen[0].key));
                two_bodies += usize::from(seen.iter().any(|it| it.body != seen[0].body));
                let key = seen[0].key.clone().unwrap_or_default();
                two_bodies +=
                    usize::from(key.is_empty() || keys.insert(key, path.clone()).is_some());
            }
            if path.starts_with("/once/") && seen.len() > 1 {
                repeated += seen.len() - 1;
                let again = if self.again.contains(path) { ", once by an operator" } else { "" };
                println!("{path} was seen {} times{again}", seen.len());
            }
        }
        let missing = |class: &str, order: &Order| {
            let path = format!("/{class}/{}", order.mark);
            order.body.to_string().contains(&path) && !by_path.contains_key(&path)
        };
        let lost = self
            .all
            .iter()
            .filter(|order| ["observe", "keyed", "once"].iter().any(|class| missing(class, order)));
        let lost = lost.count();
        if two_keys + two_bodies + repeated + lost > 0 {
            self.wrong.push(format!(
                "outside: {two_keys} effects under two keys, {two_bodies} keys with two bodies, {repeated} once calls \
                 repeated, {lost} never seen"
            ));
        }
        json!({"paths": by_path.len(), "keyed_resent": resent, "two_keys": two_keys, "two_bodies": two_bodies,
               "once_repeated": repeated, "never_seen": lost})
    }

    fn judge_ledger(&mut self, data: &Path, expected: usize) -> Result<Value> {
        let conn = verdict::open(&ledger(data))?;
        let sql = "SELECT accepted, completed, letters_made FROM counters";
        let counts: (i64, i64, i64) =
            conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let expected = i64::try_from(expected)?;
        let one = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
        let held = one("SELECT count(*) FROM agents WHERE quarantine IS NOT NULL")?;
        let doubts = one("SELECT count(*) FROM records WHERE doubt > 0")?;
        if counts != (expected, expected, 0) || held + doubts != 0 {
            self.wrong.push(format!(
                "{expected} were to be accepted and completed, but accepted, completed, letters are {counts:?}, {held} in \
                 quarantine, {doubts} in doubt"
            ));
        }
        Ok(
            json!({"accepted": counts.0, "completed": counts.1, "letters": counts.2, "quarantined": held, "doubts": doubts}),
        )
    }
}
