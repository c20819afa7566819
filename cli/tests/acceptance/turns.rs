//! What an agent has done can be looked at, also after its brain has it safely, as long as the fleet file says.

use crate::fleet::{Fleet, PATIENCE, file, free_port, metric, metrics, within};
use serde_json::json;

const GRANTS: &str = r#"grants: [(cap: "store.brain"), (cap: "time"), (cap: "llm.chat", scope: { "models": ["m"] })]"#;

fn fleet(keep: &str) -> Fleet {
    let desk = format!(
        r#"Provider(id: "llm", use: Llm(models: [(name: "m", api: Extractive, price: (input: "1", output: "2"))])),
           Agent(id: "desk", module: "builtin:echo", {GRANTS})"#
    );
    Fleet::of(&file(keep, &desk))
}

#[test]
fn a_turn_shows_its_message_its_calls_and_its_answer() {
    let mut fleet = fleet("");
    fleet.start();
    assert_eq!(fleet.call("desk", "put k 7").json(), json!({}));
    let chat = r#"call llm.chat {"model": "m", "messages": [{"role": "user", "content": "One word. Two words."}]}"#;
    fleet.call("desk", chat).json();
    let _ = fleet.call("desk", "fail no_luck");

    let turns = fleet.command(&["turns", "desk", "--json"]).json();
    let turns = turns["turns"].as_array().unwrap().clone();
    let numbers: Vec<_> = turns.iter().map(|turn| turn["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [3, 2, 1], "newest first: {turns:?}");
    let oks: Vec<_> = turns.iter().map(|turn| turn["ok"].as_bool()).collect();
    assert_eq!(oks, [Some(false), Some(true), Some(true)]);
    let older = fleet.command(&["turns", "desk", "--before", "3", "--limit", "1", "--json"]).json();
    assert_eq!((&older["turns"][0]["n"], older["turns"].as_array().unwrap().len()), (&json!(2), 1));

    let turn = fleet.command(&["turn", "desk", "2", "--json"]).json();
    assert_eq!((&turn["standing"], &turn["body"]), (&json!("ended"), &json!(chat)), "{turn}");
    let calls = turn["records"].as_array().unwrap();
    assert_eq!(calls.len(), 1, "{turn}");
    assert_eq!(
        (&calls[0]["capability"], &calls[0]["class"]),
        (&json!("llm.chat"), &json!("keyed"))
    );
    let recorded = calls[0]["outcome"]["ok"].as_str().unwrap();
    assert_eq!(turn["reply"]["ok"], json!(recorded), "the guest answers what it was told");
    let failed = fleet.command(&["turn", "desk", "3", "--json"]).json();
    assert_eq!(failed["reply"]["error"]["code"], "no_luck", "{failed}");
    let (tokens, money) = (&calls[0]["cost"]["tokens"], &calls[0]["cost"]["money"]);
    assert!(tokens.as_u64() > Some(0) && money.as_u64() > Some(0), "what it used: {turn}");
    assert!(calls[0]["took_ms"].is_u64(), "how long it took: {turn}");
    let text = fleet.command(&["turn", "desk", "2"]).out;
    assert!(text.contains("keyed") && text.contains("llm.chat"), "{text}");
    assert!(text.contains(&format!("{tokens} tokens, 0.0")) && text.contains(" ms"), "{text}");
    assert!(text.contains("nothing changed"), "{text}");

    let change = |n: &str| {
        let turn = fleet.command(&["turn", "desk", n, "--json"]).json();
        let pure = turn["rerun"]["calls"][0].clone();
        assert_eq!((&pure["class"], &pure["recorded"]), (&json!("pure"), &json!(false)), "{turn}");
        turn["rerun"]["changes"].clone()
    };
    let put = json!([{"place": "kv", "key": "k", "before": null, "after": "7"}]);
    assert_eq!(change("1"), put);
    assert_eq!(fleet.call("desk", "put k 8").json(), json!({}));
    let put = json!([{"place": "kv", "key": "k", "before": "7", "after": "8"}]);
    assert_eq!(change("4"), put);
    assert_eq!(change("1")[0]["after"], "7", "as it was then");
    fleet.call("desk", "append a red fox").json();
    let text = fleet.command(&["turn", "desk", "5"]).out;
    assert!(text.contains("+ memory 1  a red fox"), "{text}");
    let bare = fleet.command(&["turn", "desk", "4", "--records", "--json"]).json();
    assert!(bare["rerun"].is_null(), "{bare}");

    fleet.command(&["turn", "desk", "9"]).failed(1, "not_found", &["turn 9 of desk"]);
    fleet.command(&["turns", "nobody"]).failed(1, "no_such_agent", &["nobody"]);
    fleet.stop();
}

#[test]
fn e6_turns_that_the_brain_has_safely_are_kept_as_many_as_the_file_says() {
    let mut fleet = fleet("keep_turns: 2,");
    fleet.start();
    for n in 0..6 {
        fleet.call("desk", &format!("put k {n}")).json();
    }
    let kept = |fleet: &Fleet| -> Vec<u64> {
        let turns = fleet.command(&["turns", "desk", "--json"]).json();
        turns["turns"].as_array().unwrap().iter().map(|it| it["n"].as_u64().unwrap()).collect()
    };
    // What they are run again from is kept with them, here the beginning, until there is something nearer.
    fleet.stop();
    fleet.start();
    assert_eq!(kept(&fleet), [6, 5, 4, 3, 2, 1]);
    let mut last = 6;
    within(PATIENCE, "the older turns to be given up", || {
        fleet.call("desk", &format!("put k {last}")).json();
        last += 1;
        (!kept(&fleet).contains(&6)).then_some(())
    });
    let turns = kept(&fleet);
    assert_eq!(turns[..2], [last, last - 1], "the newest stay: {turns:?}");
    fleet.stop();
}

/// D2: an agent that finds eight messages waiting commits its brain for several turns at once; what it knows is the same, and an
/// orderly stop leaves nothing of it behind.
#[test]
fn d2_turns_that_follow_each_other_share_a_commit() {
    let port = free_port();
    let agent = r#"Agent(id: "a", module: "builtin:echo", grants: [(cap: "store.brain")])"#;
    let mut fleet = Fleet::of(&file(&format!("listen: \"127.0.0.1:{port}\","), agent));
    fleet.start();
    assert_eq!(fleet.command(&["terminate", "a"]).exit, 0);
    for n in 1..=8 {
        assert_eq!(fleet.command(&["send", "a", &format!("put k{n} {n}")]).exit, 0);
    }
    assert_eq!(fleet.command(&["restart", "a"]).exit, 0);
    let known = |fleet: &Fleet| {
        let sql = "SELECT applied_n, (SELECT count(*) FROM kv) FROM loket";
        let known = fleet.command(&["brain", "a", "query", sql, "--json"]);
        (known.exit == 0 && known.json()["rows"] == json!([[8, 8]])).then_some(())
    };
    within(PATIENCE, "the brain has all turns", || known(&fleet));
    // The last one has none behind it, and commits all.
    assert!(metric(&metrics(port), "loket_brain_turns_held_total") >= 1.0);
    assert_eq!(metric(&metrics(port), "loket_brain_commits_total"), 8.0);
    fleet.stop();
    assert!(known(&fleet).is_some(), "an orderly stop leaves no brain behind");
}
