//! The JSON contract of docs/capabilities.md, and the limits.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::brain::{BrainFiles, Owner};
use crate::limits::{
    FORGET_IDS_MAX, ITEMS_MAX, KEY_BYTES_MAX, META_BYTES_MAX, TEXT_BYTES_MAX, VALUE_BYTES_MAX,
};
use loket_turn::{Epoch, Life};
use serde_json::json;

const NOW: Now = Now { message: MessageId([7; 16]), clock_ms: 5_000 };

fn brain(dir: &tempfile::TempDir) -> Brain {
    let owner = Owner { agent: "ada".into(), life: Life(1), epoch: Epoch(0) };
    let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner).unwrap();
    brain.begin(true).unwrap();
    brain
}

fn call(brain: &mut Brain, name: &str, args: &str) -> Result<serde_json::Value, Failure> {
    let op = Op::parse(&format!("store.brain.{name}"), args.as_bytes())?;
    op.run(brain, NOW).map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn kv_answers_as_the_docs_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut b = brain(&dir);
    assert_eq!(call(&mut b, "kv.get", r#"{"key": "a"}"#).unwrap(), json!({"value": null}));
    assert_eq!(call(&mut b, "kv.put", r#"{"key": "a/1", "value": [1, 2]}"#).unwrap(), json!({}));
    for key in ["a/2", "a/3", "b", "é", "a\\u0000"] {
        call(&mut b, "kv.put", &format!(r#"{{"key": "{key}", "value": "{key}"}}"#)).unwrap();
    }
    let got = call(&mut b, "kv.get", r#"{"key": "a/1"}"#).unwrap();
    assert_eq!(got, json!({"value": [1, 2]}));
    let list = |b: &mut Brain, args: &str| {
        let list = call(b, "kv.list", args).unwrap();
        let entries = list["entries"].as_array().unwrap();
        let keys: Vec<String> =
            entries.iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect();
        (keys.join(","), list["more"] == json!(true))
    };
    assert_eq!(list(&mut b, r#"{"prefix": "a/"}"#), ("a/1,a/2,a/3".into(), false));
    assert_eq!(list(&mut b, r#"{"prefix": "a/", "limit": 2}"#), ("a/1,a/2".into(), true));
    assert_eq!(list(&mut b, r#"{"prefix": "a/", "after": "a/2"}"#), ("a/3".into(), false));
    assert_eq!(list(&mut b, r#"{"prefix": "a/", "after": "A"}"#).0, "a/1,a/2,a/3");
    assert_eq!(list(&mut b, r#"{"prefix": "a/", "after": "z"}"#).0, "");
    assert_eq!(list(&mut b, r#"{"limit": 6}"#), ("a\0,a/1,a/2,a/3,b,é".into(), false));
    let gone = call(&mut b, "kv.delete", r#"{"key": "b"}"#).unwrap();
    assert_eq!(gone, json!({"existed": true}));
    let gone = call(&mut b, "kv.delete", r#"{"key": "b"}"#).unwrap();
    assert_eq!(gone, json!({"existed": false}));
}

#[test]
fn a_number_keeps_all_its_digits() {
    let dir = tempfile::tempdir().unwrap();
    let mut b = brain(&dir);
    let exact = "12345678901234567890.123456789012345678901234567890";
    let put = format!(r#"{{"key": "n", "value": {exact}}}"#);
    Op::parse("store.brain.kv.put", put.as_bytes()).unwrap().run(&mut b, NOW).unwrap();
    let get = Op::parse("store.brain.kv.get", br#"{"key": "n"}"#).unwrap();
    let got = get.run(&mut b, NOW).unwrap();
    assert_eq!(String::from_utf8(got).unwrap(), format!(r#"{{"value":{exact}}}"#));
}

#[test]
fn memory_answers_as_the_docs_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut b = brain(&dir);
    let one = r#"{"text": "the red fox", "source": "a.md", "meta": {"page": 3}}"#;
    assert_eq!(call(&mut b, "memory.add", one).unwrap(), json!({"ids": [1]}));
    // No unique key hides a double: what is added twice is there twice.
    let twice = r#"{"items": [{"text": "the red fox"}, {"text": "a cow", "source": "b.md"}]}"#;
    assert_eq!(call(&mut b, "memory.add", twice).unwrap(), json!({"ids": [2, 3]}));
    assert_eq!(call(&mut b, "memory.add", r#"{"items": []}"#).unwrap(), json!({"ids": []}));
    assert_eq!(call(&mut b, "memory.count", "").unwrap(), json!({"count": 3}));
    let some = call(&mut b, "memory.count", r#"{"source": "a.md"}"#).unwrap();
    assert_eq!(some, json!({"count": 1}));
    let found = call(&mut b, "memory.search", r#"{"query": "Fox?", "recency": 0}"#).unwrap();
    let message = MessageId([7; 16]).to_string();
    let wanted = json!({"hits": [
        {"id": 1, "text": "the red fox", "source": "a.md", "meta": {"page": 3},
         "message": message, "at_ms": 5000, "score": 1.0},
        {"id": 2, "text": "the red fox", "source": null, "meta": null,
         "message": message, "at_ms": 5000, "score": 1.0},
    ]});
    assert_eq!(found, wanted);
    let found = call(&mut b, "memory.search", r#"{"query": "fox", "limit": 1}"#).unwrap();
    assert_eq!(found["hits"].as_array().unwrap().len(), 1);
    let gone = call(&mut b, "memory.forget", r#"{"ids": [2, 17]}"#).unwrap();
    assert_eq!(gone, json!({"forgotten": 1}));
    let gone = call(&mut b, "memory.forget", r#"{"source": "b.md"}"#).unwrap();
    assert_eq!(gone, json!({"forgotten": 1}));
    assert_eq!(call(&mut b, "memory.count", "{}").unwrap(), json!({"count": 1}));
}

#[test]
fn c7_what_is_too_large_is_refused_with_the_limit_and_never_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut b = brain(&dir);
    let text = |bytes: usize| "x".repeat(bytes);
    let put =
        |key: usize, value: usize| json!({"key": text(key), "value": text(value - 2)}).to_string();
    let items = |n: usize| json!({"items": vec![json!({"text": "x"}); n]}).to_string();
    let ids = |n: usize| json!({"ids": vec![1; n]}).to_string();
    let full = json!({"items": vec![json!({"text": text(TEXT_BYTES_MAX)}); 65]}).to_string();
    let cases = [
        ("kv.put", put(KEY_BYTES_MAX, VALUE_BYTES_MAX), put(KEY_BYTES_MAX + 1, 9), KEY_BYTES_MAX),
        ("kv.put", put(1, VALUE_BYTES_MAX), put(1, VALUE_BYTES_MAX + 1), VALUE_BYTES_MAX),
        ("memory.add", items(ITEMS_MAX), items(ITEMS_MAX + 1), ITEMS_MAX),
        (
            "memory.add",
            json!({"text": text(TEXT_BYTES_MAX)}).to_string(),
            json!({"text": text(TEXT_BYTES_MAX + 1)}).to_string(),
            TEXT_BYTES_MAX,
        ),
        ("memory.add", items(1), full, crate::limits::ADD_BYTES_MAX),
        (
            "memory.add",
            json!({"text": "", "meta": text(META_BYTES_MAX - 2)}).to_string(),
            json!({"text": "", "meta": text(META_BYTES_MAX - 1)}).to_string(),
            META_BYTES_MAX,
        ),
        ("memory.forget", ids(FORGET_IDS_MAX), ids(FORGET_IDS_MAX + 1), FORGET_IDS_MAX),
    ];
    for (name, fits, does_not, limit) in cases {
        call(&mut b, name, &fits).unwrap();
        let refused = call(&mut b, name, &does_not).unwrap_err();
        assert_eq!(refused.code, "too_large", "{name}");
        assert!(refused.message.contains(&format!("limit is {limit} ")), "{}", refused.message);
    }
    assert!(!b.is_broken());
}

#[test]
fn a_list_of_large_values_stops_and_says_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut b = brain(&dir);
    for n in 0..6 {
        let put = json!({"key": format!("{n}"), "value": "x".repeat(VALUE_BYTES_MAX - 2)});
        call(&mut b, "kv.put", &put.to_string()).unwrap();
    }
    let (mut after, mut seen, mut pages) = (String::new(), 0, 0);
    loop {
        let list = call(&mut b, "kv.list", &json!({"after": after}).to_string()).unwrap();
        let entries = list["entries"].as_array().unwrap();
        seen += entries.len();
        pages += 1;
        after = entries.last().unwrap()["key"].as_str().unwrap().to_owned();
        if list["more"] == json!(false) {
            break;
        }
    }
    assert_eq!((seen, pages), (6, 2));
}

#[test]
fn bad_arguments_say_what_is_wrong() {
    let cases = [
        ("kv.get", "{}", "key"),
        ("kv.get", r#"{"key": 1}"#, "string"),
        ("kv.get", r#"{"key": "a", "kay": 1}"#, "kay"),
        ("kv.put", r#"{"key": "a"}"#, "value"),
        ("kv.list", r#"{"limit": 0}"#, "between 1 and 1000"),
        ("kv.list", r#"{"limit": 1001}"#, "between 1 and 1000"),
        ("memory.add", "{}", "either text or items"),
        ("memory.add", r#"{"text": "a", "items": []}"#, "either text or items"),
        ("memory.add", r#"{"source": "a", "items": []}"#, "into the items"),
        ("memory.search", r#"{"query": "a", "recency": 1.5}"#, "between 0 and 1"),
        ("memory.search", r#"{"query": "a", "limit": 101}"#, "between 1 and 100"),
        ("memory.forget", "{}", "ids or source"),
        ("memory.count", "[", "EOF"),
    ];
    for (name, args, says) in cases {
        let refused = Op::parse(&format!("store.brain.{name}"), args.as_bytes()).unwrap_err();
        assert_eq!(refused.code, "bad_args", "{name} {args}");
        assert!(refused.message.contains(says), "{}", refused.message);
    }
    assert_eq!(Op::parse("store.brain.x", b"").unwrap_err().code, "unknown_operation");
}
