//! `simulate`, and that a running fleet does what it said.

use crate::ECHO;
use crate::fleet::{Fleet, PATIENCE, Said, file, finish, loket, within};
use serde_json::Value;

const PAIR: &str = r#"
    Supervisor(id: "pair", strategy: RestForOne, intensity: 1, period: "600s", children: [
        Agent(id: "first", module: "builtin:echo", grants: [(cap: "store.brain")]),
        Agent(id: "second", module: "builtin:echo", grants: [(cap: "store.brain")]),
    ]),"#;

fn simulate(fleet: &Fleet, words: &[&str]) -> Said {
    let mut command = loket();
    command.arg("simulate").arg(fleet.path("fleet.ron")).args(words);
    finish(command)
}

fn of(intensity: u32) -> Fleet {
    Fleet::of(&format!(
        "Fleet(version: 1, name: \"test\", root: Supervisor(intensity: {intensity}, period: \"600s\", children: [{PAIR}]))"
    ))
}

fn child<'t>(tree: &'t Value, id: &str) -> &'t Value {
    fn look<'t>(tree: &'t Value, id: &str) -> Option<&'t Value> {
        if tree["id"] == id {
            return Some(tree);
        }
        tree["children"].as_array()?.iter().find_map(|child| look(child, id))
    }
    look(tree, id).unwrap_or_else(|| panic!("no {id} in {tree}"))
}

#[test]
fn a_running_fleet_does_what_simulate_said() {
    let mut fleet = of(1);
    let kills = ["--crash", "first@0s,1s:killed", "--crash", "second@2s:killed", "--json"];
    let said = simulate(&fleet, &kills).json();
    assert_eq!((&said["version"], &said["outcome"]), (&Value::from(1), &Value::from("survived")));
    fleet.start();
    for (name, wanted) in [("first", 2), ("first", 3), ("second", 4)] {
        assert_eq!(fleet.command(&["kill", name]).exit, 0);
        within(PATIENCE, "it is back", || {
            let back = fleet.child(name);
            Some(()).filter(|()| back["state"] == "running" && back["incarnation"] == wanted)
        });
    }
    let tree = fleet.command(&["tree", "--json"]).json();
    for id in ["pair", "first", "second"] {
        let (real, told) = (child(&tree, id), child(&said["tree"], id));
        for field in ["incarnation", "restarts", "state", "kind"] {
            assert_eq!(real[field], told[field], "{id} {field}\n{real}\n{told}");
        }
    }
}

#[test]
fn the_exit_code_says_whether_the_fleet_survives() {
    let fleet = of(0);
    let crash = |times: &str| simulate(&fleet, &["--crash", &format!("second@{times}")]);
    let lives = crash("0s,1s");
    assert_eq!(lives.exit, 4, "{lives:?}");
    assert!(
        lives.out.contains("root/pair  gave up: second needed more than 1 restarts"),
        "{lives:?}"
    );
    assert!(lives.out.ends_with("last exit: Trap (Guest to blame): simulated\n"), "{lives:?}");
    let lives = crash("0");
    assert_eq!((lives.exit, lives.err.as_str()), (0, ""));
    assert!(lives.out.ends_with("\nthe fleet survives\n"), "{lives:?}");
    let nothing = simulate(&fleet, &[]);
    assert_eq!(nothing.exit, 0, "no crash is no fault: {nothing:?}");
    let later = simulate(&fleet, &["--crash", "second@0s,1s", "--for", "500ms"]);
    assert_eq!(later.exit, 0, "{later:?}");
}

#[test]
fn a_slip_is_told_with_what_is_right() {
    let fleet = Fleet::of(&file("", ECHO));
    for (crash, word) in [
        ("echo", "CHILD@TIME"),
        ("@1s", "CHILD@TIME"),
        ("echo@1", "unit"),
        ("echo@1s:trop", "out_of_memory"),
        ("ecko@1s", "did you mean \"echo\""),
    ] {
        simulate(&fleet, &["--crash", crash]).failed(2, "usage", &[word]);
    }
    simulate(&fleet, &["--for", "soon"]).failed(2, "usage", &["soon"]);
    fleet.write("fleet.ron", file("", r#"Agent(id: "a", modul: "b")"#));
    let bad = simulate(&fleet, &[]);
    assert_eq!(bad.exit, 1, "{bad:?}");
    assert!(bad.err.contains("modul"), "{bad:?}");
    assert!(!fleet.data().exists());
}
