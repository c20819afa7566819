//! `builtin:echo`: answers its body, and misbehaves on request.
//!
//! | body | what it does |
//! |---|---|
//! | `trap`, `loop`, `bomb` | ends by a trap, never ends, eats all memory |
//! | `fail CODE` | answers with the failure CODE |
//! | `call CAP JSON` | makes that call and answers its result as it is |
//! | `append TEXT` | adds TEXT to its memory |
//! | `put KEY JSON`, `get KEY` | writes and reads a key |
//! | `count` | counts how often it was asked, in its brain |
//! | anything else | is answered as it is |
//!
//! For tests and first steps; nothing in it is an example of a useful agent.

use std::hint::black_box;

use loket_guest::{Answer, Failure, Message, call_bytes, json, object, store};

loket_guest::agent!(handle);

/// Step of the memory bomb in bytes: large enough to end soon, small enough that a host sees it
/// grow.
const BOMB_STEP: usize = 1 << 20;

/// Answers one message.
///
/// # Errors
/// What was asked for by `fail`, and what a call answered.
pub fn handle(message: Message) -> Answer<Vec<u8>> {
    let Ok(body) = message.text() else {
        return Ok(message.body);
    };
    let (word, rest) = body.split_once(' ').unwrap_or((body, ""));
    match (word, rest) {
        ("trap", "") => panic!("trapped as asked"),
        ("loop", "") => spin(),
        ("bomb", "") => eat(),
        ("fail", code) if !code.is_empty() => Err(Failure::new(code, "failed as asked")),
        ("call", request) if !request.is_empty() => {
            let (capability, args) = request.split_once(' ').unwrap_or((request, "{}"));
            call_bytes(capability, args.as_bytes())
        }
        ("append", text) if !text.is_empty() => {
            store::memory::add(&[object! { "text": text }])?;
            Ok(b"{}".to_vec())
        }
        ("put", pair) if !pair.is_empty() => {
            let (key, value) = pair.split_once(' ').unwrap_or((pair, "null"));
            let args = format!("{{\"key\":{},\"value\":{value}}}", json!(key));
            call_bytes("store.brain.kv.put", args.as_bytes())
        }
        ("get", key) if !key.is_empty() => Ok(store::get(key)?.to_string().into_bytes()),
        ("count", "") => Ok(store::count_up("count")?.to_string().into_bytes()),
        _ => Ok(message.body),
    }
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

fn eat() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; BOMB_STEP]));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use loket_guest::fake;

    use super::*;

    fn ask(body: &[u8]) -> Answer<Vec<u8>> {
        let server = |capability: &str, args| Ok(json!({ "capability": capability, "args": args }));
        fake::with(server, || {
            handle(Message {
                id: "m1".into(),
                sender: "@operator".into(),
                kind: "message".into(),
                body: body.into(),
            })
        })
    }

    #[test]
    fn what_is_no_command_comes_back_as_it_is() {
        for body in ["", "hello", "trap now", "fail", "call", " call x", "tr\u{e4}p", "{\"a\": 1}"]
        {
            assert_eq!(ask(body.as_bytes()).unwrap(), body.as_bytes());
        }
        assert_eq!(ask(b"\xff\x00").unwrap(), b"\xff\x00");
    }

    #[test]
    fn commands_make_their_calls() {
        let text = |body: &[u8]| String::from_utf8(ask(body).unwrap()).unwrap();
        assert_eq!(text(b"call time.now"), r#"{"args":{},"capability":"time.now"}"#);
        assert_eq!(text(b"call a.b {\"c\": 1}"), r#"{"args":{"c":1},"capability":"a.b"}"#);
        assert_eq!(
            text(b"put a\" [1]"),
            r#"{"args":{"key":"a\"","value":[1]},"capability":"store.brain.kv.put"}"#
        );
        assert_eq!(text(b"append two words"), "{}");
        assert_eq!(text(b"count"), "1");
        assert_eq!(ask(b"fail no_luck").unwrap_err().code, "no_luck");
    }

    #[test]
    #[should_panic(expected = "as asked")]
    fn a_trap_is_a_panic() {
        let _ = ask(b"trap");
    }
}
