//! What is not granted is refused, by whatever name it is asked for, and the refusal says what would allow it.

use crate::fleet::{Fleet, file};
use serde_json::{Value, json};

/// An agent that asks for whatever it is told, and may use its brain's keys and memory.
const ASKER: &str = r#"Agent(id: "asker", module: "builtin:echo",
    grants: [(cap: "store.brain.kv"), (cap: "store.brain.memory")]),"#;

/// The asker's answer to `call CAPABILITY ARGS`.
fn asked(fleet: &Fleet, capability: &str, args: &str) -> Result<Value, Value> {
    let body = format!("call {capability} {args}");
    fleet.ask("agent.call", &json!({"to": "asker", "body": body, "timeout_ms": 20_000}))
}

/// The grants that a refusal offers: what stands behind `allows it: `.
fn offered(refusal: &Value) -> &str {
    let message = refusal["message"].as_str().unwrap();
    message.split_once("allows it: ").unwrap_or_else(|| panic!("no line in {message}")).1
}

#[test]
fn a_call_without_a_grant_is_refused_with_the_line_that_allows_it() {
    let mut fleet = Fleet::running(ASKER);
    let refusal = asked(&fleet, "time.now", "{}").unwrap_err();
    assert_eq!(refusal["code"], "refused", "{refusal}");
    assert_eq!(refusal["retryable"], false, "{refusal}");
    let line = offered(&refusal).to_owned();
    assert_eq!(line, "(cap: \"time.now\"),");
    fleet.command(&["call", "asker", "call time.now {}"]).failed(3, "refused", &["K003", &line]);
    assert_eq!(fleet.child("asker")["restarts"], 0, "a refusal is a value, never a crash");
    fleet.stop();

    let granted = ASKER.replace("grants: [", &format!("grants: [{line}"));
    fleet.write("fleet.ron", file("", &granted));
    fleet.start();
    assert!(asked(&fleet, "time.now", "{}").unwrap()["ms"].is_u64());
}

#[test]
fn a_forged_name_opens_nothing() {
    let fleet = Fleet::running(ASKER);
    let long = "a".repeat(64 * 1024);
    let deep = ["store"; 9].join(".");
    let put = |value: &str| format!(r#"{{"key": "forged", "value": "{value}"}}"#);
    let names = [
        "store.brainx",
        "store.brain.kvx.put",
        "store.brain.kv.putx",
        "store.brain.kv.put.x",
        "store.brain.k",
        "store.brain",
        "store",
        "",
        ".",
        "..",
        ".store.brain.kv.put",
        "store.brain.kv.put.",
        "store..brain.kv.put",
        "STORE.BRAIN.KV.PUT",
        "Store.brain.kv.put",
        "store.brain.kv.Put",
        "st\u{43e}re.brain.kv.put",
        "store\u{2024}brain.kv.put",
        "store.brain.kv.p\u{fb01}t",
        "\u{ff53}tore.brain.kv.put",
        "store.brain.kv.put\u{200b}",
        "store.brain.kv.\u{202e}tup",
        "store.brain.kv.put\0",
        "store\0.brain.kv.put",
        "\0",
        "store.brain.kv.put\n",
        "store.brain.kv.put\t",
        "store/brain/kv/put",
        "store.brain.kv.*",
        "*",
        "store.*",
        "'; DROP TABLE kv; --",
        &long,
        &deep,
        "agent.kill",
        "agent.send",
        "fs.read",
        "system",
        "@operator",
        "kernel.admit",
        "store.commit",
    ];
    for name in names {
        let shown: String = name.chars().take(60).collect();
        let refusal = asked(&fleet, name, &put("from the guest")).unwrap_err();
        let code = refusal["code"].as_str().unwrap();
        assert!(["refused", "bad_name"].contains(&code), "{shown:?}: {refusal}");
        let message = refusal["message"].as_str().unwrap();
        assert!(message.len() < 1_000 && !message.contains('\0'), "{shown:?}: {refusal}");
        // The socket asks as `@operator`, by the same kernel; names that it holds are another test's.
        if !name.starts_with("agent.") {
            let refusal = fleet.ask(name, &json!({"key": "forged"})).unwrap_err();
            assert_eq!(refusal["code"], "refused", "{shown:?}: {refusal}");
        }
    }
    let found = asked(&fleet, "store.brain.kv.get", r#"{"key": "forged"}"#).unwrap();
    assert_eq!(found, json!({"value": null}), "one of them wrote");
    let child = fleet.child("asker");
    assert_eq!(child["restarts"], 0, "{child}");
    // The granted name itself works, so that the test can see a difference.
    assert_eq!(asked(&fleet, "store.brain.kv.put", &put("granted")), Ok(json!({})));
}

#[test]
fn an_operator_may_do_what_the_fleet_file_grants() {
    let operator = r#"operator: [(cap: "agent.status"), (cap: "agent.tree"), (cap: "agent.send", scope: { "to": ["open"] }),
        (cap: "agent.shutdown")],"#;
    let agents =
        r#"Agent(id: "open", module: "builtin:echo"), Agent(id: "closed", module: "builtin:echo")"#;
    let mut fleet = Fleet::of(&file(operator, agents));
    fleet.start();
    assert_eq!(fleet.command(&["send", "open", "hello"]).exit, 0);
    let sent = fleet.command(&["send", "closed", "hello"]);
    sent.failed(3, "refused", &[r#"(cap: "agent.send", scope: {"to": ["closed"]}),"#]);
    for words in [
        &["call", "open", "hello"][..],
        &["kill", "open"],
        &["letters"],
        &["ask", "store.brain.kv.get", "{\"key\":\"a\"}"],
    ] {
        fleet.command(words).failed(3, "refused", &["@operator"]);
    }
    assert_eq!(fleet.child("open")["restarts"], 0);
    let status = fleet.status();
    assert_eq!(status["accepted"], 1, "{status}");
    fleet.stop();
}

#[test]
fn a_send_that_is_not_granted_exits_with_3() {
    let agents = r#"Agent(id: "desk", module: "builtin:echo")"#;
    let mut fleet = Fleet::of(&file(r#"operator: [(cap: "agent.status")],"#, agents));
    fleet.start();
    let line = r#"(cap: "agent.send", scope: {"to": ["..."]}),"#;
    fleet.command(&["send", "desk", "hello"]).failed(
        3,
        "refused",
        &["@operator", "agent.send", line],
    );
    assert_eq!(fleet.status()["accepted"], 0);
}
