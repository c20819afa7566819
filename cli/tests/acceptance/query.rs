//! What agents know and what the ledger holds can be asked in SQL, and asking changes nothing.

use crate::fleet::{Fleet, PATIENCE, finish, loket, within};
use serde_json::json;

const DESK: &str = r#"Agent(id: "a", module: "builtin:echo", grants: [(cap: "store.brain")]),
                      Agent(id: "b", module: "builtin:echo", grants: [(cap: "store.brain")]),
                      Agent(id: "new", module: "builtin:echo")"#;

#[test]
fn questions_are_answered_while_the_fleet_runs_and_when_it_does_not() {
    let mut fleet = Fleet::running(DESK);
    fleet.call("a", "put k 7").json();
    fleet.call("b", "put k 8").json();
    fleet.call("b", "put k 9").json();
    let asked = |fleet: &Fleet| {
        let one = fleet.command(&["brain", "a", "query", "SELECT key, value FROM kv", "--json"]);
        let one = one.json();
        assert_eq!((&one["columns"], &one["version"]), (&json!(["key", "value"]), &json!(1)));
        assert_eq!((&one["rows"], &one["more"]), (&json!([["k", "7"]]), &json!(false)), "{one}");
        let all = "SELECT agent, value, done_n, applied_n FROM kv JOIN brains USING (agent)
                     JOIN agents ON name = agent ORDER BY agent";
        let all = fleet.command(&["query", all, "--json"]).json();
        assert_eq!(all["rows"], json!([["a", "7", 1, 1], ["b", "9", 2, 2]]), "{all}");
        let some = fleet.command(&["query", "SELECT value FROM kv", "--brains", "b*"]);
        assert_eq!(some.out, "value\n9\n", "{some:?}");
    };
    // A brain follows the ledger, which has answered already.
    within(PATIENCE, "the brains have their turns", || {
        let all = fleet.command(&["query", "SELECT sum(applied_n) FROM brains", "--json"]).json();
        (all["rows"] == json!([[3]])).then_some(())
    });
    asked(&fleet);
    let text = fleet.command(&["query", "SELECT n, sender FROM messages", "--limit", "1"]);
    assert!(text.err.contains("more than these 1 rows"), "{text:?}");
    let no =
        |words: &[&str], exit, code, said: &str| fleet.command(words).failed(exit, code, &[said]);
    no(&["brain", "a", "query", "DELETE FROM kv"], 2, "Q001", "read");
    no(&["query", "DELETE FROM agents"], 2, "Q001", "read");
    no(&["query", "SELECT nothing"], 2, "Q002", "nothing");
    no(&["brain", "new", "query", "SELECT 1"], 1, "Q005", "first turn");
    no(&["brain", "nobody", "query", "SELECT 1"], 1, "no_such_agent", "nobody");
    // The fleet was not disturbed, and is answered from once it has stopped.
    fleet.call("a", "put j 1").json();
    fleet.call("a", "get j").json();
    fleet.stop();
    let rows = fleet.command(&["brain", "a", "query", "SELECT applied_n FROM loket", "--json"]);
    assert_eq!(rows.json()["rows"], json!([[3]]));
    let mut nowhere = loket();
    nowhere.args(["query", "SELECT 1", "--data"]).arg(fleet.path("docs"));
    finish(nowhere).failed(73, "L104", &["ledger.db"]);
}

#[test]
fn a_value_of_any_width_is_shown() {
    let mut fleet = Fleet::running(DESK);
    let sql = "SELECT hex(zeroblob(40000)) AS wide, 'next' AS narrow UNION SELECT 'a', 'b'";
    let said = fleet.command(&["query", sql]);
    assert_eq!(said.exit, 0, "{}", said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().any(|line| line.len() == 80_000 + 2 + 4), "whole");
    assert!(
        lines.iter().all(|line| line.len() < 200 || line.len() > 80_000),
        "others are not padded"
    );
    fleet.stop();
}
