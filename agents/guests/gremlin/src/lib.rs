//! `builtin:gremlin`: at each `tick` it kills something, to show that nothing is lost by it.
//!
//! Whom it may kill is the scope of its grant; who dies is chosen by `chaos.kill`, from the turn's
//! seed.

use loket_guest::{Answer, Failure, Message, call, log, object, store};

loket_guest::agent!(handle);

/// Where the brain keeps how many it has killed.
const KILLS: &str = "kills";

/// Kills at a `tick`; says how many it has killed when asked `count`.
///
/// # Errors
/// `bad_message`, and what a call answered.
pub fn handle(message: Message) -> Answer {
    let body = message.text()?;
    if message.kind == "tick" || body == "tick" {
        return kill();
    }
    if body == "count" {
        return Ok(object! { "kills": store::get(KILLS)?.as_u64().unwrap_or(0) });
    }
    Err(Failure::bad_message("the gremlin knows `tick` and `count`"))
}

fn kill() -> Answer {
    let killed = call("chaos.kill", &object! {})?["killed"].take();
    if killed.is_null() {
        log::info("the gremlin found nobody to kill", &object! {});
    } else {
        let kills = store::count_up(KILLS)?;
        log::info("the gremlin killed", &object! { "killed": &killed, "kills": kills });
    }
    Ok(object! { "killed": killed })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{cell::RefCell, rc::Rc};

    use loket_guest::{Value, fake, json};

    use super::*;

    fn tick(kind: &str, body: &str, victim: Value) -> (Answer, Vec<String>) {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let record = Rc::clone(&seen);
        let server = move |capability: &str, args: Value| {
            record.borrow_mut().push(format!("{capability} {args}"));
            Ok(match capability {
                "chaos.kill" => json!({ "killed": victim }),
                "store.brain.kv.get" => json!({ "value": 6 }),
                _ => json!({}),
            })
        };
        let message = Message {
            id: "m".into(),
            sender: "@timer".into(),
            kind: kind.into(),
            body: body.into(),
        };
        let answer = fake::with(server, || handle(message));
        let seen = seen.borrow().clone();
        (answer, seen)
    }

    #[test]
    fn a_tick_kills_one_and_counts_it() {
        let (answer, seen) = tick("tick", "", json!("readers/r2"));
        assert_eq!(answer.unwrap(), json!({ "killed": "readers/r2" }));
        assert_eq!(seen[0], "chaos.kill {}");
        assert_eq!(seen[2], r#"store.brain.kv.put {"key":"kills","value":7}"#);
        assert!(seen[3].starts_with("log.write ") && seen[3].contains("readers/r2"));
    }

    #[test]
    fn nobody_to_kill_is_no_kill() {
        let (answer, seen) = tick("message", "tick", Value::Null);
        assert_eq!(answer.unwrap(), json!({ "killed": null }));
        assert!(!seen.iter().any(|call| call.starts_with("store.brain.kv.put")));
    }

    #[test]
    fn anything_else_kills_nobody() {
        let (answer, seen) = tick("message", "count", Value::Null);
        assert_eq!(answer.unwrap(), json!({ "kills": 6 }));
        assert!(!seen.iter().any(|call| call.starts_with("chaos")));
        let (answer, seen) = tick("message", "please", Value::Null);
        assert_eq!(answer.unwrap_err().code, "bad_message");
        assert_eq!(seen, Vec::<String>::new());
    }
}
