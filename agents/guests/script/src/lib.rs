//! `builtin:script`: makes the calls that its message lists, in order, and answers what came of each.
//!
//! The body is a JSON list of steps. A message whose body is no list is answered by the list in the
//! setting that is named as the message's kind, so that ticks and notices have a script too.
//!
//! | step | what it does |
//! |---|---|
//! | `{"call": CAP, "args": ARGS}` | makes that call, adds an entry to the answer |
//! | the same with `"times": N` | the same call N times, an entry each |
//! | the same with `"or": "fail"` or `"or": "trap"` | ends so when the call fails, and goes on when not |
//! | `{"fail": CODE}` | ends with the failure CODE |
//! | `{"trap": true}`, `{"loop": true}` | ends by a trap, never ends |
//!
//! An entry is `{"ok": result}` or `{"failed": {"code", "message", "retryable"}}`. In ARGS a string
//! `$N` is the result of entry N, `$N/a/b` what that JSON pointer finds in it; `$id`, `$sender`,
//! `$kind` and `$body` are the message's; `$$x` is the string `$x`.
//!
//! For tests and first steps, whatever a test wants called: write to it before writing a guest of
//! your own. Start reading at [`handle`].

use std::hint::black_box;

use loket_guest::{Answer, Failure, Map, Message, Value, call_bytes, object, store};

loket_guest::agent!(handle);

/// Repetitions of one step at most: a typing error must not become an hour of calls.
const TIMES_MAX: u64 = 10_000;

/// What a body may be, said when it is something else.
const EXPECTED: &str = "the script knows a list of {\"call\": CAPABILITY, \"args\"?, \"times\"?, \
    \"or\"?: \"fail\" or \"trap\"}, {\"fail\": CODE}, {\"trap\": true}, {\"loop\": true}";

/// Answers one message.
///
/// # Errors
/// `bad_message` when a step is none, what `fail` asks for, and of a call with `"or": "fail"` what
/// it answered.
pub fn handle(message: Message) -> Answer {
    let mut entries = Vec::new();
    for step in &steps(&message)? {
        take(step, &message, &mut entries)?;
    }
    Ok(entries.into())
}

fn steps(message: &Message) -> Result<Vec<Value>, Failure> {
    let list = |text: &[u8]| match serde_of(text) {
        Some(Value::Array(steps)) => Some(steps),
        _ => None,
    };
    if let Some(steps) = list(&message.body) {
        return Ok(steps);
    }
    let settings = store::settings().unwrap_or_default();
    list(settings.get(&message.kind, "").as_bytes()).ok_or_else(not_understood)
}

fn take(step: &Value, message: &Message, entries: &mut Vec<Value>) -> Result<(), Failure> {
    let Value::Object(step) = step else { return Err(not_understood()) };
    if let Some(Value::String(capability)) = step.get("call") {
        return call(capability, step, message, entries);
    }
    if let Some(Value::String(code)) = step.get("fail") {
        return Err(Failure::new(code, "failed as asked"));
    }
    let is = |word: &str| step.get(word) == Some(&Value::Bool(true));
    if is("trap") {
        panic!("trapped as asked");
    }
    if is("loop") {
        spin();
    }
    Err(not_understood())
}

fn call(
    capability: &str,
    step: &Map<String, Value>,
    message: &Message,
    entries: &mut Vec<Value>,
) -> Result<(), Failure> {
    let times = match step.get("times") {
        None => 1,
        Some(n) => n.as_u64().filter(|n| *n <= TIMES_MAX).ok_or_else(not_understood)?,
    };
    for _ in 0..times {
        let args = match step.get("args") {
            None => Value::Object(Map::new()),
            Some(args) => filled(args, message, entries)?,
        };
        match call_bytes(capability, args.to_string().as_bytes()) {
            Ok(result) => entries.push(object! { "ok": json_or_text(&result) }),
            Err(failure) => match step.get("or").and_then(Value::as_str) {
                Some("fail") => return Err(failure),
                Some("trap") => panic!("trapped, as asked, on {failure}"),
                _ => entries.push(object! { "failed": told(&failure) }),
            },
        }
    }
    Ok(())
}

fn told(failure: &Failure) -> Value {
    object! {
        "code": &failure.code,
        "message": &failure.message,
        "retryable": failure.retryable,
    }
}

/// `args` with what its `$` strings stand for.
fn filled(args: &Value, message: &Message, entries: &[Value]) -> Result<Value, Failure> {
    Ok(match args {
        Value::String(text) => match text.strip_prefix('$') {
            None => args.clone(),
            Some(literal) if literal.starts_with('$') => literal.into(),
            Some(name) => stands_for(name, message, entries)?,
        },
        Value::Array(items) => {
            let mut out = Vec::new();
            for item in items {
                out.push(filled(item, message, entries)?);
            }
            out.into()
        }
        Value::Object(fields) => {
            let mut out = Map::new();
            for (key, value) in fields {
                out.insert(key.clone(), filled(value, message, entries)?);
            }
            Value::Object(out)
        }
        other => other.clone(),
    })
}

fn stands_for(name: &str, message: &Message, entries: &[Value]) -> Result<Value, Failure> {
    let (head, pointer) = name.find('/').map_or((name, ""), |at| name.split_at(at));
    let whole = match head {
        "id" => Some(message.id.as_str().into()),
        "sender" => Some(message.sender.as_str().into()),
        "kind" => Some(message.kind.as_str().into()),
        "body" => Some(json_or_text(&message.body)),
        number => number
            .parse::<usize>()
            .ok()
            .and_then(|n| entries.get(n))
            .and_then(|entry| entry.get("ok"))
            .cloned(),
    };
    whole.and_then(|value| value.pointer(pointer).cloned()).ok_or_else(|| {
        Failure::bad_message(&format!("`${name}` stands for nothing: no such entry, or it failed"))
    })
}

/// JSON as it is, anything else as a string.
fn json_or_text(bytes: &[u8]) -> Value {
    serde_of(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes).as_ref().into())
}

fn serde_of(bytes: &[u8]) -> Option<Value> {
    str::from_utf8(bytes).ok()?.parse().ok()
}

fn not_understood() -> Failure {
    Failure::bad_message(EXPECTED)
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use loket_guest::{fake, json};

    use super::*;

    fn tell(kind: &str, body: &str) -> Answer {
        let server = |capability: &str, args: Value| match capability {
            "store.brain.settings" => Ok(
                json!({ "settings": { "tick": r#"[{"call": "a.b", "args": ["$kind", "$body"]}]"# } }),
            ),
            "no.grant" => Err(Failure::new("no_grant", "there is none")),
            _ => Ok(json!({ "capability": capability, "args": args })),
        };
        let message = Message {
            id: "m1".into(),
            sender: "@operator".into(),
            kind: kind.into(),
            body: body.into(),
        };
        fake::with(server, || handle(message))
    }

    #[test]
    fn calls_are_made_in_order_and_failures_are_answers() {
        let body = r#"[{"call": "a.b", "args": {"x": 1}}, {"call": "no.grant"}, {"call": "c.d", "times": 2}]"#;
        let failed = json!({ "code": "no_grant", "message": "there is none", "retryable": false });
        let made = json!({ "ok": { "capability": "c.d", "args": {} } });
        let expected = json!([
            { "ok": { "capability": "a.b", "args": { "x": 1 } } }, { "failed": failed }, made, made,
        ]);
        assert_eq!(tell("message", body).unwrap(), expected);
    }

    #[test]
    fn a_string_with_a_dollar_stands_for_an_earlier_result() {
        let body = r#"[{"call": "a.b", "args": [7]},
            {"call": "c.d", "args": {"first": "$0/args/0", "whole": "$0/capability", "by": "$sender", "in": ["$$0"]}}]"#;
        let answer = tell("message", body).unwrap();
        let expected = json!({ "first": 7, "whole": "a.b", "by": "@operator", "in": ["$0"] });
        assert_eq!(answer[1]["ok"]["args"], expected);
        for absent in ["$3", "$0/args/9", "$unknown"] {
            let body = json!([{ "call": "a.b" }, { "call": "a.b", "args": absent }]);
            assert_eq!(tell("message", &body.to_string()).unwrap_err().code, "bad_message");
        }
    }

    #[test]
    fn a_kind_has_its_script_in_the_settings() {
        assert_eq!(tell("tick", "3").unwrap()[0]["ok"]["args"], json!(["tick", 3]));
        assert_eq!(tell("message", "3").unwrap_err().code, "bad_message");
    }

    #[test]
    fn it_ends_as_asked() {
        assert_eq!(tell("message", r#"[{"fail": "no_luck"}]"#).unwrap_err().code, "no_luck");
        let or = r#"[{"call": "no.grant", "or": "fail"}]"#;
        assert_eq!(tell("message", or).unwrap_err().code, "no_grant");
        let goes_on = r#"[{"call": "a.b", "or": "fail"}, {"call": "no.grant"}]"#;
        assert_eq!(tell("message", goes_on).unwrap().as_array().unwrap().len(), 2);
    }

    #[test]
    #[should_panic(expected = "on no_grant")]
    fn a_failed_call_is_a_trap_when_asked() {
        let _ = tell("message", r#"[{"call": "no.grant", "or": "trap"}]"#);
    }

    #[test]
    fn what_is_no_step_is_said() {
        for body in [
            "{}",
            "x",
            "",
            "[1]",
            "[{}]",
            r#"[{"trap": false}]"#,
            r#"[{"call": 1}]"#,
            r#"[{"call": "a.b", "times": 10001}]"#,
        ] {
            assert_eq!(tell("message", body).unwrap_err().code, "bad_message", "{body}");
        }
    }
}
