//! Turns, incarnations, lives, the bound on open brains.

use super::super::jobs::When;
use super::*;
use crate::limits::{CLOSED_BESIDE_MAX, RELEASED_OPEN_MS};

const GET: &str = r#"{"key": "k"}"#;
const PUT: &str = r#"{"key": "k", "value": "old"}"#;

#[test]
fn d2_a_turns_work_is_there_after_its_commit_and_only_then() {
    on_a_lane(8, |bench| async move {
        assert_eq!(bench.begin("ada").await.applied, TurnNo(0));
        bench.done("ada", "kv.put", PUT).await.unwrap();
        bench.ask("ada", 1, BrainAction::RollBack).await.unwrap().unwrap();
        bench.begin("ada").await;
        assert_eq!(bench.done("ada", "kv.get", GET).await.unwrap(), r#"{"value":null}"#);
        bench.done("ada", "kv.put", PUT).await.unwrap();
        let state = bench.commit("ada", 1).await.unwrap();
        assert_eq!((state.applied, state.chain), (TurnNo(1), Hash::of(&1u64.to_le_bytes())));
        assert_eq!(bench.begin("ada").await, state);
        assert_eq!(bench.done("ada", "kv.get", GET).await.unwrap(), r#"{"value":"old"}"#);
    });
}

#[test]
fn c6_a_call_outside_a_turn_is_no_answer_to_the_guest() {
    on_a_lane(8, |bench| async move {
        assert_eq!(bench.done("ada", "kv.get", GET).await.unwrap_err(), crate::ENVIRONMENT);
        bench.turn("ada", 1).await;
        for name in ["kv.get", "kv.delete"] {
            assert_eq!(bench.done("ada", name, GET).await.unwrap_err(), crate::ENVIRONMENT);
        }
        assert_eq!(bench.done("ada", "memory.count", "{}").await.unwrap_err(), crate::ENVIRONMENT);
        assert_eq!(bench.commit("ada", 2).await, Err(BrainError::NoTurn("ada".into())));
        let undone = bench.ask("ada", 1, BrainAction::RollBack).await.unwrap();
        assert_eq!(undone, Err(BrainError::NoTurn("ada".into())));
        assert_eq!(bench.commit("bob", 1).await, Err(BrainError::NoTurn("bob".into())));
    });
}

#[test]
fn j4_an_older_incarnation_is_fenced_and_what_it_left_is_gone() {
    on_a_lane(8, |bench| async move {
        bench.asks_to_begin("ada", 3).await.unwrap().unwrap();
        let Called::Now(put) = bench.call("ada", 3, "kv.put", PUT) else { panic!("not out") };
        text(put).unwrap();
        // The new one has asked for nothing but its begin.
        bench.asks_to_begin("ada", 4).await.unwrap().unwrap();
        let fenced = Err(BrainError::Fenced("ada".into()));
        let commit = BrainAction::Commit { n: TurnNo(1), chain: Hash::default(), more: false };
        assert_eq!(bench.ask("ada", 3, commit.clone()).await.unwrap(), fenced);
        assert_eq!(bench.ask("ada", 3, BrainAction::RollBack).await.unwrap(), fenced);
        assert_eq!(bench.asks_to_begin("ada", 3).await.unwrap(), fenced);
        let Called::Now(old) = bench.call("ada", 3, "kv.put", PUT) else { panic!("not out") };
        assert_eq!(text(old).unwrap_err(), crate::ENVIRONMENT);
        let Called::Now(got) = bench.call("ada", 4, "kv.get", GET) else { panic!("not out") };
        assert_eq!(text(got).unwrap(), r#"{"value":null}"#);
        assert_eq!(bench.ask("ada", 4, commit).await.unwrap().unwrap().applied, TurnNo(1));
        // One that has not begun has no turn, whoever else has.
        let undone = bench.ask("ada", 5, BrainAction::RollBack).await.unwrap();
        assert_eq!(undone, Err(BrainError::NoTurn("ada".into())));
    });
}

#[test]
fn j4_the_fence_outlives_the_open_brain() {
    on_a_lane(1, |bench| async move {
        bench.asks_to_begin("ada", 4).await.unwrap().unwrap();
        bench.ask("ada", 4, BrainAction::RollBack).await.unwrap().unwrap();
        bench.ask("bob", 1, begin_of(2)).await.unwrap().unwrap();
        assert!(!bench.shard.inner.borrow().slots.contains_key("ada"), "closed for bob");
        let old = bench.asks_to_begin("ada", 3).await.unwrap();
        assert_eq!(old, Err(BrainError::Fenced("ada".into())));
    });
}

#[test]
fn e3_a_new_life_of_a_name_has_a_brain_of_its_own() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        let state = bench.ask("ada", 2, begin_of(2)).await.unwrap().unwrap();
        assert_eq!(state.applied, TurnNo(0));
        let Called::Now(got) = bench.call("ada", 2, "kv.get", GET) else { panic!("not out") };
        assert_eq!(text(got).unwrap_err(), crate::ENVIRONMENT, "a call of the other life");
        // The old life's brain went to the disk when it was closed.
        assert_eq!(bench.told(), [("ada".to_owned(), 1, 1)]);
        let epoch = BrainAction::Begin { life: Life(2), epoch: Epoch(1) };
        let refused = bench.ask("ada", 2, epoch).await.unwrap();
        assert!(matches!(refused, Err(BrainError::Corrupt { .. })), "{refused:?}");
    });
}

#[test]
fn the_least_used_idle_brain_makes_room_and_one_in_a_turn_never_does() {
    on_a_lane(2, |bench| async move {
        let life = |agent: &str| u64::from(agent.as_bytes()[0]);
        let begin = |agent: &'static str| bench.ask(agent, 1, begin_of(life(agent)));
        begin("a").await.unwrap().unwrap();
        bench.commit("a", 1).await.unwrap();
        begin("b").await.unwrap().unwrap();
        bench.commit("b", 1).await.unwrap();
        // "a" is used again and stays in its turn; so "b" goes although it came later.
        begin("a").await.unwrap().unwrap();
        begin("c").await.unwrap().unwrap();
        let open = |agent| bench.shard.inner.borrow().slots.contains_key(agent);
        assert_eq!((open("a"), open("b"), open("c")), (true, false, true));
        bench.told_times(1).await;
        assert_eq!(bench.told(), [("b".to_owned(), life("b"), 1)], "closed, it is durable");
        assert_eq!(bench.shard.inner.borrow().beside, 0);
        let full = begin("b").await.unwrap();
        assert!(matches!(full, Err(BrainError::Environment { .. })), "{full:?}");
        bench.commit("c", 1).await.unwrap();
        assert_eq!(begin("b").await.unwrap().unwrap().applied, TurnNo(1));
        assert_eq!((open("a"), open("b"), open("c")), (true, true, false));
    });
}

#[test]
fn a_crowd_of_brains_is_closed_before_others_are_opened_a_few_beside_them() {
    on_a_lane(2, |bench| async move {
        let mut inner = bench.shard.inner.borrow_mut();
        let when: Vec<_> = (0..=CLOSED_BESIDE_MAX).map(|_| inner.when()).collect();
        let beside = when.iter().filter(|when| **when == When::Beside).count();
        assert_eq!((beside, when.last()), (CLOSED_BESIDE_MAX, Some(&When::Before)));
        assert_eq!(inner.beside, CLOSED_BESIDE_MAX, "only those that are beside are counted");
    });
}

#[test]
fn of_two_idle_brains_the_one_used_longer_ago_goes() {
    on_a_lane(2, |bench| async move {
        let begin = |agent: &'static str, life| bench.ask(agent, 1, begin_of(life));
        for (agent, life) in [("a", 11), ("b", 12), ("a", 11)] {
            begin(agent, life).await.unwrap().unwrap();
            bench.ask(agent, 1, BrainAction::RollBack).await.unwrap().unwrap();
        }
        begin("c", 13).await.unwrap().unwrap();
        let open = |agent| bench.shard.inner.borrow().slots.contains_key(agent);
        assert_eq!((open("a"), open("b"), open("c")), (true, false, true));
    });
}

#[test]
fn h1_brains_whose_turns_wait_are_closed_but_for_the_newest() {
    on_a_lane(8, |bench| async move {
        let life = |agent: &str| u64::from(agent.as_bytes()[0]);
        let begin = |agent: &'static str| bench.ask(agent, 1, begin_of(life(agent)));
        let release = |agent: &'static str| bench.ask(agent, 1, BrainAction::Release);
        let open = |agent| bench.shard.inner.borrow().slots.contains_key(agent);
        begin("a").await.unwrap().unwrap();
        bench.commit("a", 1).await.unwrap();
        for agent in ["a", "b", "c"] {
            begin(agent).await.unwrap().unwrap();
            release(agent).await.unwrap().unwrap();
        }
        while open("a") || open("b") {
            tokio::task::yield_now().await;
        }
        assert!(open("c"), "waits are short most times");
        // Only "a" had something that was not on the disk.
        assert_eq!(bench.told(), [("a".to_owned(), life("a"), 1)]);
        // One that goes on is not released any more, whatever stands in the queue.
        begin("c").await.unwrap().unwrap();
        begin("b").await.unwrap().unwrap();
        release("b").await.unwrap().unwrap();
        begin("a").await.unwrap().unwrap();
        release("a").await.unwrap().unwrap();
        while open("b") {
            tokio::task::yield_now().await;
        }
        assert_eq!((open("a"), open("c")), (true, true));
        assert_eq!(
            bench.ask("c", 1, BrainAction::RollBack).await.unwrap().unwrap().applied,
            TurnNo(0)
        );
    });
}

#[test]
fn h1_a_brain_whose_turn_waits_for_long_is_closed_though_it_is_the_newest() {
    on_a_lane(8, |bench| async move {
        let open = |agent| bench.shard.inner.borrow().slots.contains_key(agent);
        for agent in ["ada", "bob"] {
            bench.turn(agent, 1).await;
            bench.begin(agent).await;
        }
        bench.ask("ada", 1, BrainAction::Release).await.unwrap().unwrap();
        bench.clock.advance(RELEASED_OPEN_MS - 1);
        settle().await;
        assert!(open("ada"), "most waits are short");
        bench.clock.advance(1);
        while open("ada") {
            tokio::task::yield_now().await;
        }
        assert!(open("bob"), "its turn goes on");
        assert_eq!(bench.begin("ada").await.applied, TurnNo(1));
    });
}

#[test]
fn h1_what_waits_behind_a_close_is_served_after_it() {
    on_a_lane(8, |bench| async move {
        bench.begin("ada").await;
        bench.commit("ada", 1).await.unwrap();
        bench.begin("ada").await;
        bench.begin("bob").await;
        let gate = bench.hold_the_thread();
        settle().await;
        for agent in ["ada", "bob"] {
            bench.ask(agent, 1, BrainAction::Release).await.unwrap().unwrap();
        }
        let begun = bench.asks_to_begin("ada", 2);
        settle().await;
        drop(gate);
        assert_eq!(begun.await.unwrap().unwrap().applied, TurnNo(1));
        assert_eq!(bench.told(), [("ada".to_owned(), 1, 1)], "on the disk before it was closed");
    });
}
