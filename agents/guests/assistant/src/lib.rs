//! `builtin:assistant`: an agent for general use, with a persona, a memory and the last exchanges
//! in mind.
//!
//! | body | answer |
//! |---|---|
//! | a text, or `{"ask": text}` | `{"answer"}` |
//! | `{"remember": text}` | `{"remembered": rows}` |
//! | `{"forget": true}` | `{"forgotten": rows}`, and the last exchanges are gone too |
//!
//! Settings: `persona` (who it is), `model` (`default`), `exchanges` (how many of the last question
//! and answer pairs the model is given, 6), `memories` (how many fitting memories, 4).

use loket_guest::{Answer, Failure, Message, Value, json, llm, object, store};

loket_guest::agent!(handle);

/// Who it is when the settings do not say.
const PERSONA: &str =
    "You are a helpful assistant. Answer briefly, and say so when you do not know.";

/// Exchanges and memories given to the model at most, to bound what a turn sends.
const EXCHANGES_MAX: u64 = 50;
const MEMORIES_MAX: u64 = 50;

/// Where the brain keeps the last exchanges, `[[question, answer], ...]`.
const EXCHANGES: &str = "exchanges";

/// The source of its memory rows.
const REMEMBERED: &str = "remembered";

/// Answers one message.
///
/// # Errors
/// `bad_message`, `bad_setting`, and what a call answered.
pub fn handle(message: Message) -> Answer {
    let Some(body) = message.object() else {
        return ask(message.text()?);
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    if let Some(question) = text("ask") {
        return ask(question);
    }
    if let Some(fact) = text("remember").filter(|fact| !fact.trim().is_empty()) {
        store::memory::add(&[object! { "text": fact, "source": REMEMBERED }])?;
        return Ok(object! { "remembered": store::memory::count()? });
    }
    if body.get("forget") == Some(&json!(true)) {
        store::delete(EXCHANGES)?;
        return Ok(object! { "forgotten": store::memory::forget(REMEMBERED)? });
    }
    Err(not_understood())
}

fn not_understood() -> Failure {
    Failure::bad_message(
        r#"the assistant knows a text, {"ask": text}, {"remember": text}, {"forget": true}"#,
    )
}

fn ask(question: &str) -> Answer {
    let question = question.trim();
    if question.is_empty() {
        return Err(not_understood());
    }
    let settings = store::settings()?;
    let keep = settings.number("exchanges", 6, 0, EXCHANGES_MAX)? as usize;
    let memories = settings.number("memories", 4, 0, MEMORIES_MAX)?;
    let mut exchanges = match store::get(EXCHANGES)? {
        Value::Array(exchanges) => exchanges,
        _ => Vec::new(),
    };
    let from = exchanges.len().saturating_sub(keep);
    exchanges.drain(..from);

    let mut conversation =
        vec![llm::says("system", &system(settings.get("persona", PERSONA), question, memories)?)];
    for exchange in &exchanges {
        conversation.push(llm::says("user", exchange[0].as_str().unwrap_or_default()));
        conversation.push(llm::says("assistant", exchange[1].as_str().unwrap_or_default()));
    }
    conversation.push(llm::says("user", question));
    let answer = llm::chat(settings.get("model", "default"), &conversation)?;

    exchanges.push(json!([question, answer]));
    store::put(EXCHANGES, &exchanges.into())?;
    Ok(object! { "answer": answer })
}

/// The persona, and what it remembers that fits the question.
fn system(persona: &str, question: &str, memories: u64) -> Result<String, Failure> {
    let mut text = persona.to_owned();
    if memories == 0 {
        return Ok(text);
    }
    for memory in store::memory::search(question, memories)? {
        text.push_str("\n\n");
        text.push_str(memory["text"].as_str().unwrap_or_default());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

    use loket_guest::fake;

    use super::*;

    #[derive(Default)]
    struct World {
        kv: BTreeMap<String, Value>,
        rows: Vec<Value>,
        conversation: Value,
    }

    fn tell(world: &Rc<RefCell<World>>, body: &str) -> Answer {
        let world = Rc::clone(world);
        let server = move |capability: &str, mut args: Value| {
            let mut world = world.borrow_mut();
            let key = args["key"].as_str().unwrap_or_default().to_owned();
            Ok(match capability {
                "store.brain.settings" => {
                    json!({ "settings": { "persona": "You are Ada.", "exchanges": "2" } })
                }
                "store.brain.kv.get" => json!({ "value": world.kv.get(&key) }),
                "store.brain.kv.put" => {
                    world.kv.insert(key, args["value"].take());
                    json!({})
                }
                "store.brain.kv.delete" => json!({ "existed": world.kv.remove(&key).is_some() }),
                "store.brain.memory.add" => {
                    world.rows.extend(args["items"].as_array().unwrap().iter().cloned());
                    json!({ "ids": [] })
                }
                "store.brain.memory.count" => json!({ "count": world.rows.len() }),
                "store.brain.memory.forget" => json!({ "forgotten": world.rows.drain(..).count() }),
                "store.brain.memory.search" => json!({ "hits": world.rows }),
                "llm.chat" => {
                    let asked =
                        args["messages"].as_array().unwrap().last().unwrap()["content"].clone();
                    world.conversation = args["messages"].take();
                    json!({ "content": format!("re {}", asked.as_str().unwrap()) })
                }
                _ => return Err(Failure::new("no_grant", capability)),
            })
        };
        let message = Message {
            id: "m".into(),
            sender: "@operator".into(),
            kind: "message".into(),
            body: body.into(),
        };
        fake::with(server, || handle(message))
    }

    #[test]
    fn the_model_is_given_persona_memories_and_the_last_exchanges() {
        let world = Rc::new(RefCell::new(World::default()));
        assert_eq!(
            tell(&world, r#"{"remember": "Tea at four."}"#).unwrap(),
            json!({ "remembered": 1 })
        );
        for question in ["one", "two", "three"] {
            let expected = json!({ "answer": format!("re {question}") });
            assert_eq!(tell(&world, question).unwrap(), expected);
        }
        tell(&world, r#"{"ask": "four"}"#).unwrap();
        let expected = [
            llm::says("system", "You are Ada.\n\nTea at four."),
            llm::says("user", "two"),
            llm::says("assistant", "re two"),
            llm::says("user", "three"),
            llm::says("assistant", "re three"),
            llm::says("user", "four"),
        ];
        assert_eq!(world.borrow().conversation, json!(expected));
    }

    #[test]
    fn what_is_to_be_forgotten_is_gone() {
        let world = Rc::new(RefCell::new(World::default()));
        tell(&world, r#"{"remember": "a"}"#).unwrap();
        tell(&world, "one").unwrap();
        assert_eq!(tell(&world, r#"{"forget": true}"#).unwrap(), json!({ "forgotten": 1 }));
        tell(&world, "two").unwrap();
        let expected = [llm::says("system", "You are Ada."), llm::says("user", "two")];
        assert_eq!(world.borrow().conversation, json!(expected));
    }

    #[test]
    fn what_it_does_not_know_is_a_failure() {
        let world = Rc::new(RefCell::new(World::default()));
        for body in ["", " ", "{}", r#"{"remember": " "}"#, r#"{"forget": "all"}"#] {
            assert_eq!(tell(&world, body).unwrap_err().code, "bad_message", "{body}");
        }
    }
}
