//! The librarian against a small world: a folder, a brain, readers that answer.
#![allow(clippy::unwrap_used)]

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use loket_guest::{Map, fake};

use super::*;

#[derive(Default)]
struct World {
    files: Vec<String>,
    kv: BTreeMap<String, Value>,
    settings: Map<String, Value>,
    hits: BTreeMap<String, Vec<Value>>,
    /// Sends that go out before the inboxes are full.
    room: usize,
    sent: Vec<(String, Value)>,
    spawned: Vec<String>,
    asked: Vec<String>,
    prompt: String,
}

impl World {
    fn serve(&mut self, capability: &str, mut args: Value) -> Result<Value, Failure> {
        let key = args["key"].as_str().unwrap_or_default().to_owned();
        Ok(match capability {
            "store.brain.settings" => json!({ "agent": "desk", "settings": self.settings }),
            "store.brain.kv.get" => json!({ "value": self.kv.get(&key) }),
            "store.brain.kv.put" => {
                self.kv.insert(key, args["value"].take());
                json!({})
            }
            "store.brain.kv.delete" => json!({ "existed": self.kv.remove(&key).is_some() }),
            "store.brain.kv.list" => {
                let prefix = args["prefix"].as_str().unwrap();
                let all = self.kv.iter().filter(|(key, _)| key.starts_with(prefix));
                let all = all.map(|(key, value)| json!({ "key": key, "value": value }));
                let limit = args["limit"].as_u64().unwrap() as usize;
                json!({ "entries": all.take(limit).collect::<Vec<_>>(), "more": false })
            }
            "fs.list" => self.list(&args),
            "agent.spawn" => {
                let name = format!(
                    "{}/{}",
                    args["under"].as_str().unwrap(),
                    args["name"].as_str().unwrap()
                );
                if self.spawned.contains(&name) {
                    return Err(Failure::new("already_started", &name));
                }
                self.spawned.push(name);
                json!({})
            }
            "agent.send" => {
                let to = args["to"].as_str().unwrap().to_owned();
                if to.starts_with("readers/") {
                    if self.room == 0 {
                        let full = Failure::new("overloaded", &to);
                        return Err(Failure { retryable: true, ..full });
                    }
                    self.room -= 1;
                }
                self.sent.push((to, args));
                json!({ "message": "m" })
            }
            "agent.call" => {
                let to = args["to"].as_str().unwrap().to_owned();
                self.asked.push(to.clone());
                let hits = self.hits.get(&to).ok_or_else(|| Failure::new("timeout", &to))?;
                json!({ "hits": hits, "files_read": 2 })
            }
            "llm.chat" => {
                self.prompt = args["messages"].to_string();
                json!({ "content": "The ledger is the truth." })
            }
            _ => json!({}),
        })
    }

    fn list(&self, args: &Value) -> Value {
        let after = args["after"].as_str().unwrap_or_default();
        let limit = args["limit"].as_u64().unwrap() as usize;
        let rest: Vec<_> = self.files.iter().filter(|path| path.as_str() > after).collect();
        let page = rest.iter().take(limit).map(|path| {
            let kind = if path.ends_with('/') { "dir" } else { "file" };
            json!({ "path": path, "kind": kind, "bytes": 1 })
        });
        let skipped = [json!({ "path": "x", "code": "denied", "message": "" })];
        let skipped = if after.is_empty() { &skipped[..] } else { &[] };
        let more = rest.len() > limit;
        json!({ "entries": page.collect::<Vec<_>>(), "skipped": skipped, "more": more })
    }
}

fn tell(world: &Rc<RefCell<World>>, body: &str) -> Answer {
    let server = Rc::clone(world);
    let message =
        Message { id: "m".into(), sender: "a".into(), kind: "message".into(), body: body.into() };
    fake::with(move |cap: &str, args| server.borrow_mut().serve(cap, args), || handle(message))
}

fn world(files: usize) -> Rc<RefCell<World>> {
    let mut files: Vec<_> = (0..files).map(|n| format!("d/{n:05}.md")).collect();
    files.push("d/".into());
    files.sort();
    Rc::new(RefCell::new(World { files, room: usize::MAX, ..World::default() }))
}

fn read_paths(world: &World) -> Vec<String> {
    let reads = world.sent.iter().filter(|(to, _)| to.starts_with("readers/"));
    let mut paths: Vec<String> =
        reads.map(|(_, args)| args["body"]["read"]["path"].as_str().unwrap().into()).collect();
    paths.sort();
    paths
}

/// Plays the message that the librarian has sent itself, if there is one.
fn play_on(world: &Rc<RefCell<World>>) -> bool {
    let mut sent = std::mem::take(&mut world.borrow_mut().sent);
    let own = sent.iter().position(|(to, _)| to == "desk").map(|at| sent.remove(at));
    world.borrow_mut().sent = sent;
    own.is_some_and(|(_, args)| tell(world, &args["body"].to_string()).is_ok())
}

#[test]
fn every_file_is_sent_once_in_batches_with_the_readers_in_step() {
    let world = world(1_203);
    let answer = tell(&world, r#"{"read_folder": {"root": "docs"}}"#).unwrap();
    assert_eq!((&answer["files"], &answer["readers"]), (&json!(1_203), &json!(4)));
    assert_eq!(answer["skipped"].as_array().unwrap().len(), 1);
    assert_eq!(read_paths(&world.borrow()).len(), 128, "one batch a turn");
    assert_eq!(
        world.borrow().asked.len(),
        0,
        "who was spawned in this turn cannot be called in it"
    );
    let mut turns = 1;
    while play_on(&world) {
        turns += 1;
    }
    assert_eq!(turns, 10);
    let world = world.borrow();
    assert_eq!(world.asked.len(), 9 * 4, "each further batch waits for all readers");
    let files: Vec<_> = world.files.iter().filter(|path| !path.ends_with('/')).cloned().collect();
    assert_eq!(read_paths(&world), files);
    assert!(world.sent.iter().all(|(_, args)| args["key"]
        == format!("read:docs:{}", args["body"]["read"]["path"].as_str().unwrap())));
    assert_eq!(world.spawned, ["readers/r1", "readers/r2", "readers/r3", "readers/r4"]);
    assert!(world.kv.keys().all(|key| !key.starts_with("todo/")));
}

#[test]
fn what_a_full_inbox_refuses_is_sent_later() {
    let world = world(100);
    world.borrow_mut().room = 30;
    tell(&world, r#"{"read_folder": {"root": "docs", "readers": 2}}"#).unwrap();
    assert_eq!(read_paths(&world.borrow()).len(), 30);
    world.borrow_mut().room = 200;
    while play_on(&world) {}
    assert_eq!(read_paths(&world.borrow()).len(), 100);
}

#[test]
fn readers_that_never_take_anything_do_not_keep_it_busy_for_ever() {
    let world = world(10);
    world.borrow_mut().room = 0;
    tell(&world, r#"{"read_folder": {"root": "docs"}}"#).unwrap();
    let mut turns = 0;
    while play_on(&world) {
        turns += 1;
    }
    assert_eq!(turns, 15);
    world.borrow_mut().room = 100;
    tell(&world, r#"{"read_folder": {"root": "docs"}}"#).unwrap();
    while play_on(&world) {}
    let mut paths = read_paths(&world.borrow());
    paths.dedup();
    assert_eq!(
        paths.len(),
        10,
        "nothing was forgotten; the keys keep the second order from doubling it"
    );
}

#[test]
fn a_question_goes_to_every_reader_and_the_answer_is_cited() {
    let world = world(1);
    tell(&world, r#"{"read_folder": {"root": "docs", "readers": 3}}"#).unwrap();
    let hit = |path: &str, score: f64, text: &str| {
        let meta = json!({ "part": 5 });
        json!({ "source": path, "text": text, "score": score, "meta": meta })
    };
    world.borrow_mut().hits = BTreeMap::from([
        ("readers/r1".into(), vec![hit("b.md", 1.0, "Something else.")]),
        ("readers/r2".into(), vec![hit("a.md", 2.0, "Well. The ledger is the truth.")]),
    ]);
    for body in ["What is the truth?", r#"{"ask": "What is the truth?"}"#] {
        let answer = tell(&world, body).unwrap();
        assert_eq!(answer["answer"], "The ledger is the truth.");
        let quote = json!({ "path": "a.md", "part": 5, "quote": "The ledger is the truth." });
        assert_eq!(answer["citations"], json!([quote]));
        assert_eq!(answer["files_read"], 4);
        assert_eq!(answer["notes"], json!(["readers/r3 did not answer: timeout: readers/r3"]));
    }
    let prompt = world.borrow().prompt.clone();
    assert!(prompt.contains("[1]\\n\\nWell. The") && prompt.contains("[2]\\n\\nSome"), "{prompt}");
}

#[test]
fn without_hits_no_model_is_asked() {
    let world = world(1);
    let answer = tell(&world, "What is the truth?").unwrap();
    assert_eq!(answer["citations"], json!([]));
    assert_eq!(answer["notes"], json!(["no folder was given to read yet"]));
    assert_eq!(world.borrow().prompt, "");
}

#[test]
fn what_it_does_not_know_is_a_failure() {
    let world = world(1);
    for body in ["", " ", "{}", r#"{"read_folder": {}}"#, r#"{"ask": 3}"#] {
        assert_eq!(tell(&world, body).unwrap_err().code, "bad_message", "{body}");
    }
    world.borrow_mut().settings.insert("readers".into(), json!("many"));
    let answer = tell(&world, r#"{"read_folder": {"root": "docs"}}"#);
    assert_eq!(answer.unwrap_err().code, "bad_setting");
}
