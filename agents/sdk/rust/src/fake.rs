//! A counter for tests, on every target but wasm: a closure answers the agent's calls.
//!
//! It knows nothing of grants or effect classes; what it proves is an agent's own logic.

use std::cell::RefCell;

use serde_json::Value;

use crate::Failure;

type Server = Box<dyn FnMut(&str, Value) -> Result<Value, Failure>>;

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// Runs `body` with `server` behind the counter of this thread. Args that are no JSON reach it as a
/// string.
pub fn with<R>(
    server: impl FnMut(&str, Value) -> Result<Value, Failure> + 'static,
    body: impl FnOnce() -> R,
) -> R {
    SERVER.with(|slot| *slot.borrow_mut() = Some(Box::new(server)));
    let result = body();
    SERVER.with(|slot| *slot.borrow_mut() = None);
    result
}

/// What the thread's server answers; `no_counter` without one.
pub(crate) fn answer(capability: &str, args: &[u8]) -> Result<Vec<u8>, Failure> {
    SERVER.with(|slot| {
        let mut slot = slot.borrow_mut();
        let server = slot.as_mut().ok_or_else(|| Failure::new("no_counter", capability))?;
        let args = serde_json::from_slice(args)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(args).into_owned()));
        Ok(server(capability, args)?.to_string().into_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call, json};

    #[test]
    fn calls_reach_the_server_and_only_inside() {
        let answer = with(
            |capability, args| match capability {
                "store.brain.kv.get" => Ok(json!({ "value": args["key"] })),
                other => Err(Failure::new("no_grant", other)),
            },
            || (crate::store::get("a"), call("llm.chat", &json!({}))),
        );
        assert_eq!(answer.0, Ok(json!("a")));
        assert_eq!(answer.1, Err(Failure::new("no_grant", "llm.chat")));
        assert!(call("log.write", &json!({})).is_err_and(|failure| failure.is("no_counter")));
    }
}
