//! Another file in a brain's place (rule E7): rewind, restore, import, of a running fleet and of a stopped one.

use crate::fleet::{Fleet, PATIENCE, file, within};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const DESK: &str = r#"
    Provider(id: "llm", use: Llm(models: [(name: "m", api: Extractive)])),
    Agent(id: "desk", module: "builtin:echo", grants: [
        (cap: "store.brain"),
        (cap: "llm.chat", scope: { "models": ["m"] }, approve: ["llm.chat"]),
    ]),
    Agent(id: "twin", module: "builtin:echo", grants: [(cap: "store.brain")]),"#;

const CHAT: &str =
    r#"call llm.chat {"model": "m", "messages": [{"role": "user", "content": "One word."}]}"#;

fn fleet() -> Fleet {
    let mut fleet = Fleet::of(&file("keep_turns: 100,", DESK));
    fleet.start();
    fleet
}

fn count(fleet: &Fleet) -> Value {
    fleet.call("desk", "count").json()
}

fn brain(fleet: &Fleet, words: &[&str]) -> Value {
    let words: Vec<_> = ["brain", "desk"].iter().chain(words).chain(&["--json"]).copied().collect();
    fleet.command(&words).json()
}

/// Which epoch the desk's brain is in, and how far it is.
fn standing(fleet: &Fleet) -> Value {
    brain(fleet, &["query", "SELECT epoch, applied_n FROM loket"])["rows"].clone()
}

#[test]
fn e7_a_rewind_holds_across_kills_and_can_be_taken_back() {
    let mut fleet = fleet();
    for n in 1..=5 {
        assert_eq!(count(&fleet), n);
    }
    within(PATIENCE, "the brain has the turns", || {
        (standing(&fleet) == json!([[0, 5]])).then_some(())
    });
    let done = brain(&fleet, &["rewind", "--to", "2"]);
    assert_eq!((&done["epoch"], &done["n"]), (&json!(1), &json!(5)), "{done}");
    assert_eq!(count(&fleet), 3, "it knows what it knew after turn 2");
    fleet.kill_process();
    fleet.start();
    assert_eq!(count(&fleet), 4, "catch-up does not undo it");
    assert_eq!(fleet.child("desk")["restarts"], 0, "no crash is charged for it");
    // Turns before and after it can still be run again, each from its own epoch's files.
    for n in ["3", "5", "6", "7"] {
        let said = fleet.command(&["replay", "desk", n, "--json"]).json();
        assert_eq!(said["agrees"], true, "{said}");
    }
    let kept = brain(&fleet, &["snapshots"]);
    let ids: Vec<_> =
        kept["snapshots"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, ["0-5", "1-5"], "what was, and what it became: {kept}");
    // Its own needs no word, and what is said names the turn that was asked for.
    let own = fleet.path("own.db");
    let own = own.to_str().unwrap();
    assert_eq!(fleet.command(&["brain", "desk", "export", own]).exit, 0);
    let said = fleet.command(&["brain", "desk", "rewind", "--to", "4"]).out;
    assert!(
        said.starts_with("the brain of desk is rewound to turn 4: epoch 2, the next turn is 8"),
        "{said}"
    );
    let done = brain(&fleet, &["import", own]);
    assert_eq!((&done["from"]["agent"], &done["epoch"]), (&json!("desk"), &json!(3)), "{done}");
    let back = fleet.command(&["brain", "desk", "restore", "0-5"]);
    assert!(back.exit == 0 && back.out.contains("epoch 4"), "{back:?}");
    assert_eq!(count(&fleet), 6, "as before the rewind");
    fleet.command(&["brain", "desk", "rewind", "--to", "99"]).failed(1, "not_found", &["turn 99"]);
    fleet.command(&["brain", "desk", "restore", "7-7"]).failed(1, "not_found", &["7-7"]);
    fleet.stop();

    // The same without a fleet.
    let done = brain(&fleet, &["rewind", "--to", "7"]);
    assert_eq!((&done["epoch"], &done["to"]), (&json!(5), &json!(7)), "{done}");
    let taken = brain(&fleet, &["snapshot"]);
    assert_eq!(taken["snapshot"]["epoch"], 5, "{taken}");
    fleet.start();
    assert_eq!(count(&fleet), 5, "turn 7 had counted to 4");
    // The brain follows the ledger, which has answered already.
    within(PATIENCE, "the brain has the turn", || {
        (standing(&fleet) == json!([[5, 9]])).then_some(())
    });
    let status = fleet.status();
    assert_eq!((&status["lost"], &status["letters"]), (&json!(0), &json!(0)), "{status}");
    fleet.stop();
}

#[test]
fn e7_an_open_turn_is_not_put_on_another_brain_unless_it_is_given_up() {
    let mut fleet = fleet();
    assert_eq!(count(&fleet), 1);
    assert_eq!(count(&fleet), 2);
    let sent = |key: &str| {
        assert_eq!(fleet.command(&["send", "desk", CHAT, "--key", key]).exit, 0);
        within(PATIENCE, "the call is held", || {
            let held = fleet.command(&["approvals", "--json"]).json();
            held["approvals"].as_array()?.first().map(|it| it["id"].clone())
        })
    };
    let held = sent("first");
    assert_eq!(fleet.status()["approvals"], 1);
    let told = fleet.command(&["status"]).out;
    assert!(told.contains("\nfor a person to decide: 1 (loket approvals)"), "{told}");
    fleet.command(&["brain", "desk", "rewind", "--to", "1"]).failed(1, "open_turn", &["turn 3"]);
    let wrong = ["brain", "desk", "rewind", "--to", "1", "--abandon", "2"];
    fleet.command(&wrong).failed(1, "open_turn", &["--abandon 3"]);
    // To be exactly where the ledger is does not cost the open turn.
    let made = fleet.command(&["brain", "desk", "restore"]);
    assert_eq!(made.exit, 0, "{made:?}");
    assert_eq!(fleet.command(&["approvals", "approve", &held.to_string()]).exit, 0);
    let told = fleet.command(&["call", "desk", CHAT, "--key", "first", "--json"]).json();
    assert!(told["content"].is_string(), "the open turn went on: {told}");
    assert_eq!(fleet.status()["approvals"], 0);
    sent("second");
    let done = brain(&fleet, &["rewind", "--to", "1", "--abandon", "4"]);
    assert!(done["letter"].is_u64(), "{done}");
    assert_eq!(count(&fleet), 2, "it goes on with what it knew after turn 1");
    let letter = fleet.command(&["letters", "show", &done["letter"].to_string(), "--json"]).json();
    assert!(letter.to_string().contains("abandoned"), "{letter}");
    assert_eq!(fleet.status()["lost"], 0);
    fleet.stop();
}

#[test]
fn e7_an_exported_brain_becomes_anothers() {
    let mut fleet = fleet();
    fleet.call("desk", "append a red fox").json();
    assert_eq!(count(&fleet), 1);
    let out = fleet.path("out.db");
    let out = out.to_str().unwrap();
    assert_eq!(fleet.command(&["brain", "desk", "export", out]).exit, 0);
    fleet.command(&["brain", "desk", "export", out]).failed(73, "S009", &["out.db"]);
    let another = fleet.command(&["brain", "twin", "import", out]);
    another.failed(1, "brain_of_another", &["out.db is a brain of desk after turn 2", "--force"]);
    assert_eq!(fleet.call("twin", "count").json(), 1, "nothing was touched");
    let taken = fleet.command(&["brain", "twin", "import", out, "--force"]);
    let told = "the brain of twin is imported from out.db, a brain of desk after turn 2: epoch 1";
    assert!(taken.exit == 0 && taken.out.starts_with(told), "{taken:?}");
    assert_eq!(fleet.call("twin", "count").json(), 2);
    let odd = fleet.write("odd.db", "no brain");
    let no = fleet.command(&["brain", "twin", "import", odd.to_str().unwrap()]);
    assert!(no.exit == 1 && no.err.contains("error[S0"), "{no:?}");
    assert_eq!(fleet.call("twin", "count").json(), 3, "nothing was touched");
    fleet.stop();
}

/// Files beside the brains that are none.
fn unfinished(fleet: &Fleet) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(fleet.data().join("brains")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains(".making")).collect()
}

#[test]
fn e7_a_refused_import_leaves_nothing_and_a_start_removes_what_a_crash_left() {
    let mut fleet = fleet();
    assert_eq!(count(&fleet), 1);
    let out = fleet.path("out.db");
    let out = out.to_str().unwrap();
    assert_eq!(fleet.command(&["brain", "desk", "export", out]).exit, 0);
    let odd = rusqlite::Connection::open(out).unwrap();
    odd.execute_batch("CREATE TRIGGER t AFTER INSERT ON kv BEGIN DELETE FROM memory; END").unwrap();
    odd.close().unwrap();
    fleet.command(&["brain", "desk", "import", out]).failed(1, "S010", &["trigger"]);
    assert_eq!(unfinished(&fleet), [""; 0].map(PathBuf::from), "of a running fleet");
    fleet.stop();
    fleet.command(&["brain", "desk", "import", out]).failed(1, "S010", &["trigger"]);
    assert_eq!(unfinished(&fleet), [""; 0].map(PathBuf::from), "of a stopped one");
    std::fs::write(fleet.data().join("brains/01/1-4.making"), "half a brain").unwrap();
    fleet.start();
    assert_eq!(unfinished(&fleet), [""; 0].map(PathBuf::from), "of an earlier process");
    assert_eq!(count(&fleet), 2);
    fleet.stop();
}

#[test]
fn e7_the_brain_of_an_agent_that_is_gone_is_laid_aside_and_can_be_imported() {
    let mut fleet = fleet();
    for n in 1..=3 {
        assert_eq!(fleet.call("twin", "count").json(), n);
    }
    let sql = "SELECT life FROM loket";
    let life = fleet.command(&["brain", "twin", "query", sql, "--json"]).json()["rows"][0][0]
        .as_u64()
        .unwrap();
    fleet.stop();
    let alone = DESK.lines().filter(|line| !line.contains("twin")).collect::<Vec<_>>().join("\n");
    fleet.write("fleet.ron", file("", &alone));
    let name = format!("{life}.db");
    let brain_file = fleet.data().join(format!("brains/{life:02x}")).join(&name);
    let orphan = fleet.data().join("snapshots/77-0-1.db");
    std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    std::fs::write(&orphan, "what a crash left").unwrap();
    // Nobody has written to them for two days.
    let then = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    let beside = std::fs::read_dir(brain_file.parent().unwrap()).unwrap();
    for file in beside.map(|entry| entry.unwrap().path()).chain([orphan.clone()]) {
        std::fs::File::open(file).unwrap().set_modified(then).unwrap();
    }
    fleet.start();
    let aside = fleet.data().join("removed").join(&name);
    within(PATIENCE, "it is laid aside", || aside.exists().then_some(()));
    within(PATIENCE, "and the copy", || (!orphan.exists()).then_some(()));
    assert!(!brain_file.exists());
    assert_eq!(count(&fleet), 1);
    brain(&fleet, &["import", aside.to_str().unwrap(), "--force"]);
    assert_eq!(count(&fleet), 4, "it knows what the other one knew");
    fleet.stop();
}

#[test]
fn e5_a_damaged_brain_is_made_anew_by_its_turns() {
    let mut fleet = fleet();
    for n in 1..=3 {
        assert_eq!(count(&fleet), n);
    }
    fleet.stop();
    let path = rusqlite::Connection::open(fleet.data().join("ledger.db")).unwrap();
    let life: i64 = path
        .query_row("SELECT life FROM agents WHERE name = 'desk'", [], |row| row.get(0))
        .unwrap();
    drop(path);
    let path = fleet.data().join(format!("brains/{life:02x}/{life}.db"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    // The log has copies of the pages that were changed last.
    for end in ["db-wal", "db-shm"] {
        drop(std::fs::remove_file(path.with_extension(end)));
    }
    fleet.start();
    assert_eq!(fleet.command(&["send", "desk", "count", "--key", "k"]).exit, 0);
    within(PATIENCE, "the damage is found", || {
        let held = fleet.command(&["quarantine", "--json"]).json();
        held["quarantined"].as_array()?.iter().any(|it| it["agent"] == "desk").then_some(())
    });
    assert_eq!(fleet.child("desk")["state"], "quarantined");
    assert_eq!(fleet.status()["quarantined"], 1);
    // Nothing is to be built upon it.
    fleet.command(&["brain", "desk", "snapshot"]).failed(1, "S013", &["is damaged", "--restore"]);
    let out = fleet.path("out.db");
    let export = fleet.command(&["brain", "desk", "export", out.to_str().unwrap()]);
    assert!(export.exit != 0 && export.err.contains("error[S013]"), "{export:?}");
    assert!(!out.exists());
    let restored = fleet.command(&["quarantine", "resolve", "desk", "--restore"]);
    assert_eq!(restored.exit, 0, "{restored:?}");
    let kept = brain(&fleet, &["snapshots"]);
    let kept: Vec<_> = kept["snapshots"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(kept, [&json!("1-3")], "the new one alone");
    assert_eq!(fleet.child("desk")["state"], "running");
    assert_eq!(fleet.status()["quarantined"], 0);
    let told = fleet.command(&["call", "desk", "count", "--key", "k", "--json"]).json();
    assert_eq!(told, 4, "it knows all that it knew");
    fleet.stop();
}

/// Two operators exchange one brain at the same time: each is told the truth, and the later one's is the brain.
#[test]
fn e7_two_exchanges_at_once_are_made_one_after_the_other() {
    let mut fleet = fleet();
    assert_eq!(count(&fleet), 1);
    // The larger one takes much longer to be copied: the other's would come in between.
    let files = [("a", 4_000), ("b", 4)].map(|(who, rows)| {
        let file = fleet.path(&format!("{who}.db"));
        let out = file.to_str().unwrap().to_owned();
        assert_eq!(fleet.command(&["brain", "desk", "export", &out]).exit, 0);
        let conn = rusqlite::Connection::open(&file).unwrap();
        let put = format!(
            "INSERT INTO kv VALUES ('who', '\"{who}\"');
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO kv SELECT 'row' || i, '\"' || hex(zeroblob(2000)) || '\"' FROM n"
        );
        conn.execute_batch(&put).unwrap();
        conn.close().unwrap();
        (who, out)
    });
    for _ in 0..3 {
        let mut done: Vec<(u64, &str)> = std::thread::scope(|scope| {
            let asked = files.each_ref().map(|(who, file)| {
                let fleet = &fleet;
                scope.spawn(move || {
                    (brain(fleet, &["import", file])["epoch"].as_u64().unwrap(), *who)
                })
            });
            asked.map(|asked| asked.join().unwrap()).to_vec()
        });
        done.sort_unstable();
        assert_ne!(done[0].0, done[1].0, "one epoch each: {done:?}");
        let found = brain(&fleet, &["query", "SELECT value FROM kv WHERE key = 'who'"]);
        assert_eq!(found["rows"], json!([[format!("\"{}\"", done[1].1)]]), "{done:?}");
        assert_eq!(count(&fleet), 2, "it goes on with what was imported");
        assert_eq!(fleet.status()["quarantined"], 0);
    }
    fleet.stop();
}
