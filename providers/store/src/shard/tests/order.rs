//! Order of one brain's work while it is out; other brains.

use super::*;
use crate::limits::WAITING_MAX;

#[test]
fn work_for_a_brain_keeps_its_order_while_it_is_out_and_others_go_on() {
    on_a_lane(8, |bench| async move {
        bench.begin("ada").await;
        bench.begin("bob").await;
        let put = |n: u32| format!(r#"{{"key": "k", "value": {n}}}"#);
        bench.done("ada", "memory.add", r#"{"text": "fox"}"#).await.unwrap();
        let gate = bench.hold_the_thread();
        settle().await;
        let Called::Later(search) = bench.call("ada", 1, "memory.search", r#"{"query": "fox"}"#)
        else {
            panic!("a search runs on a store thread");
        };
        let Called::Later(first) = bench.call("ada", 1, "kv.put", &put(1)) else {
            panic!("the brain is out");
        };
        let Called::Later(got) = bench.call("ada", 1, "kv.get", r#"{"key": "k"}"#) else {
            panic!("the brain is out");
        };
        let Called::Later(second) = bench.call("ada", 1, "kv.put", &put(2)) else {
            panic!("the brain is out");
        };
        let what = BrainAction::Commit { n: TurnNo(1), chain: Hash::default(), more: false };
        let committed = bench.ask("ada", 1, what);
        // Another brain is here and answers at once.
        let Called::Now(other) = bench.call("bob", 1, "kv.put", &put(9)) else {
            panic!("another brain waits for this one");
        };
        assert_eq!(text(other).unwrap(), "{}");
        settle().await;
        drop(gate);
        assert!(text(search.await).unwrap().contains("fox"));
        assert_eq!(text(first.await).unwrap(), "{}");
        assert_eq!(text(got.await).unwrap(), r#"{"value":1}"#);
        assert_eq!(text(second.await).unwrap(), "{}");
        assert_eq!(committed.await.unwrap().unwrap().applied, TurnNo(1));
        bench.begin("ada").await;
        let got = bench.done("ada", "kv.get", r#"{"key": "k"}"#).await.unwrap();
        assert_eq!(got, r#"{"value":2}"#);
    });
}

#[test]
fn too_much_that_waits_is_refused_not_kept() {
    on_a_lane(8, |bench| async move {
        bench.begin("ada").await;
        let gate = bench.hold_the_thread();
        settle().await;
        let mut waiting = vec![bench.call("ada", 1, "memory.count", "{}")];
        for _ in 0..WAITING_MAX {
            waiting.push(bench.call("ada", 1, "memory.count", "{}"));
        }
        assert!(waiting.iter().all(|called| matches!(called, Called::Later(_))));
        let Called::Now(refused) = bench.call("ada", 1, "memory.count", "{}") else {
            panic!("the queue grows without bound");
        };
        assert_eq!(text(refused).unwrap_err(), crate::ENVIRONMENT);
        let refused = bench.ask("ada", 1, BrainAction::RollBack).await.unwrap();
        assert!(matches!(refused, Err(BrainError::Environment { .. })));
        drop(gate);
        for called in waiting {
            let Called::Later(outcome) = called else { continue };
            assert_eq!(text(outcome.await).unwrap(), r#"{"count":0}"#);
        }
    });
}

#[test]
fn a_job_that_panics_costs_its_brain_not_the_thread() {
    on_a_lane(8, |bench| async move {
        let lost = bench.threads.run("test", || panic!("on purpose"), |()| {}).await;
        assert!(lost.is_err());
        bench.turn("ada", 1).await;
    });
}

#[test]
fn stopped_threads_are_the_machines_fault() {
    on_a_lane(8, |bench| async move {
        bench.threads.stop();
        let begun = bench.asks_to_begin("ada", 1).await.unwrap();
        assert!(matches!(begun, Err(BrainError::Environment { .. })), "{begun:?}");
        // Nothing is left of the attempt.
        assert!(bench.shard.inner.borrow().slots.is_empty());
    });
}
