//! The provider as the wrapper sees it, with calls that were really admitted.
#![allow(clippy::unwrap_used)]

use super::*;
use loket_contract::kit::Caller;
use loket_kernel::{Moment, Scope};
use loket_runtime::BrainAction;
use loket_turn::Epoch;
use serde_json::{Value, json};
use std::future::{Future, ready};
use tokio::sync::oneshot;

fn on_a_lane<F: Future<Output = ()>>(test: impl FnOnce(StoreProvider) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let threads = StoreThreads::start(1).unwrap();
    let tools = Tools {
        files: BrainFiles::new(dir.path()),
        threads: threads.clone(),
        report: Arc::new(|_, _, _| Box::pin(ready(Ok(())))),
        clock: Clock::manual(Moment(0)),
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        test(StoreProvider::of(tools, open_brains_max())).await;
    });
    threads.stop();
}

async fn begin(store: &mut StoreProvider, caller: &Caller) {
    let key = &caller.turn().turn.key;
    let (reply, answer) = oneshot::channel();
    let what = BrainAction::Begin { life: key.life, epoch: Epoch(0) };
    let (agent, incarnation) = (Arc::clone(&key.agent), key.incarnation);
    store.brain(BrainRequest { agent, incarnation, what, reply });
    answer.await.unwrap().unwrap();
}

async fn call(
    store: &mut StoreProvider,
    caller: &Caller,
    name: &str,
    args: Value,
) -> Result<Value, Failure> {
    let prepared = caller.prepare(store, name, &args)?;
    let mut performed = store.perform(prepared);
    loop {
        match performed {
            Performed::Done(outcome) => {
                return outcome.map(|bytes| serde_json::from_slice(&bytes).unwrap());
            }
            Performed::Later(later) => performed = later.await,
            _ => panic!("a Pure operation is done or goes on"),
        }
    }
}

#[test]
fn a_grant_on_store_brain_covers_it_all_and_the_answers_come_back() {
    on_a_lane(|mut store| async move {
        let mut caller = Caller::new("ada", "store.brain", Scope::default());
        begin(&mut store, &caller).await;
        caller.at(77);
        let put = json!({"key": "a", "value": {"deep": [1, null]}});
        call(&mut store, &caller, "store.brain.kv.put", put).await.unwrap();
        let got = call(&mut store, &caller, "store.brain.kv.get", json!({"key": "a"})).await;
        assert_eq!(got.unwrap(), json!({"value": {"deep": [1, null]}}));
        let add = json!({"text": "red fox"});
        call(&mut store, &caller, "store.brain.memory.add", add).await.unwrap();
        let search = json!({"query": "fox"});
        let hits = call(&mut store, &caller, "store.brain.memory.search", search).await.unwrap();
        assert_eq!(hits["hits"][0]["at_ms"], 77, "the turn's clock, not the machine's");
        let message = caller.turn().turn.message.to_string();
        assert_eq!(hits["hits"][0]["message"], message);
        let settings = call(&mut store, &caller, SETTINGS, json!({})).await.unwrap();
        assert_eq!(settings, json!({"agent": "ada", "settings": {}}));
        let refused = call(&mut store, &caller, SETTINGS, json!({"x": 1})).await.unwrap_err();
        assert_eq!(refused.code, "bad_args");
    });
}

#[test]
fn a_grant_on_kv_does_not_cover_memory() {
    on_a_lane(|mut store| async move {
        let caller = Caller::new("ada", "store.brain.kv", Scope::default());
        begin(&mut store, &caller).await;
        let refused = call(&mut store, &caller, "store.brain.memory.count", json!({})).await;
        assert_eq!(refused.unwrap_err().code, "refused");
        let early = call(&mut store, &caller, "store.brain.kv.get", json!({})).await;
        assert_eq!(early.unwrap_err().code, "bad_args");
    });
}

#[test]
fn every_operation_is_pure_and_parses_or_is_the_settings() {
    for operation in OPERATIONS {
        assert_eq!(operation.class, EffectClass::Pure, "{}", operation.capability);
        assert!(operation.scope.is_empty());
        let parsed = Op::parse(operation.capability, b"!").unwrap_err();
        let known = if operation.capability == SETTINGS { "unknown_operation" } else { "bad_args" };
        assert_eq!(parsed.code, known, "{}", operation.capability);
    }
}

#[test]
fn the_bound_on_open_brains_leaves_descriptors_for_others() {
    let bound = open_brains_max();
    assert!((OPEN_BRAINS_MIN..=OPEN_BRAINS_MAX).contains(&bound));
}
