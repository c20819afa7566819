//! Rule E6: what reaches the disk, when, and who is told.

use super::*;
use crate::limits::{COMMITS_BEFORE_DURABLE, DURABLE_AFTER_MS};

#[test]
fn e6_an_idle_brain_is_durable_after_its_time_and_the_ledger_knows() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        bench.turn("ada", 2).await;
        settle().await;
        bench.clock.advance(DURABLE_AFTER_MS - 1);
        settle().await;
        assert!(bench.told().is_empty(), "not before its time");
        bench.clock.advance(1);
        bench.told_times(1).await;
        assert_eq!(bench.told(), [("ada".to_owned(), 1, 2)]);
        // Clean now: time alone tells nothing twice.
        bench.clock.advance(10 * DURABLE_AFTER_MS);
        settle().await;
        assert_eq!(bench.told().len(), 1);
        bench.turn("ada", 3).await;
        settle().await;
        bench.clock.advance(DURABLE_AFTER_MS);
        bench.told_times(2).await;
        assert_eq!(bench.told()[1], ("ada".to_owned(), 1, 3));
    });
}

#[test]
fn e6_an_open_turn_is_waited_for_not_cut() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        bench.begin("ada").await;
        let put = r#"{"key": "k", "value": 2}"#;
        bench.done("ada", "kv.put", put).await.unwrap();
        settle().await;
        bench.clock.advance(DURABLE_AFTER_MS);
        settle().await;
        assert!(bench.told().is_empty());
        bench.commit("ada", 2).await.unwrap();
        bench.told_times(1).await;
        assert_eq!(bench.told(), [("ada".to_owned(), 1, 2)]);
        bench.begin("ada").await;
        let got = bench.done("ada", "kv.get", r#"{"key": "k"}"#).await.unwrap();
        assert_eq!(got, r#"{"value":2}"#);
    });
}

#[test]
fn e6_many_commits_do_not_wait_for_the_time() {
    on_a_lane(8, |bench| async move {
        let many = u64::from(COMMITS_BEFORE_DURABLE);
        for n in 1..many {
            bench.turn("ada", n).await;
        }
        settle().await;
        assert!(bench.told().is_empty());
        bench.turn("ada", many).await;
        bench.told_times(1).await;
        assert_eq!(bench.told(), [("ada".to_owned(), 1, many)]);
    });
}

#[test]
fn e6_a_ledger_that_could_not_note_it_is_told_again() {
    on_a_lane(8, |bench| async move {
        let busy = Err(LedgerError::Storage("full".to_owned()));
        let tools = tools(&bench.dir, &bench.threads, &bench.clock, &bench.told, busy);
        let bench = Bench { shard: Shard::new(tools, 8, RELEASED), ..bench };
        bench.turn("ada", 1).await;
        for times in 1..=3 {
            settle().await;
            bench.clock.advance(DURABLE_AFTER_MS);
            bench.told_times(times).await;
        }
        assert_eq!(bench.told().last().unwrap(), &("ada".to_owned(), 1, 1));
    });
}

#[test]
fn e6_a_clean_stop_leaves_no_brain_behind() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        bench.ask("bob", 1, begin_of(2)).await.unwrap().unwrap();
        bench.commit("bob", 7).await.unwrap();
        // A turn that is open at the stop is rolled back.
        bench.begin("ada").await;
        bench.done("ada", "kv.put", r#"{"key": "k", "value": "open"}"#).await.unwrap();
        let Bench { shard, threads, dir, told, .. } = bench;
        drop(shard);
        threads.stop();
        let mut told = told.lock().unwrap().clone();
        told.sort();
        assert_eq!(told, [("ada".to_owned(), 1, 1), ("bob".to_owned(), 2, 7)]);
        assert_eq!(value_on_disk(dir.path(), true).unwrap(), r#"{"value":1}"#);
    });
}

#[test]
fn e6_a_brain_that_is_out_when_its_shard_ends_is_not_lost() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        bench.begin("ada").await;
        bench.done("ada", "kv.put", r#"{"key": "k", "value": "open"}"#).await.unwrap();
        let gate = bench.hold_the_thread();
        settle().await;
        let Called::Later(lost) = bench.call("ada", 1, "memory.count", "{}") else {
            panic!("a count runs on a store thread");
        };
        let Called::Later(waits) = bench.call("ada", 1, "kv.get", r#"{"key": "k"}"#) else {
            panic!("the brain is out");
        };
        settle().await;
        let Bench { shard, threads, dir, told, .. } = bench;
        drop(shard);
        assert_eq!(text(waits.await).unwrap_err(), crate::ENVIRONMENT);
        drop(gate);
        // Its job was under way: the answer is still one.
        assert_eq!(text(lost.await).unwrap(), r#"{"count":0}"#);
        settle().await;
        threads.stop();
        assert_eq!(*told.lock().unwrap(), [("ada".to_owned(), 1, 1)]);
        assert_eq!(value_on_disk(dir.path(), true).unwrap(), r#"{"value":1}"#);
    });
}

#[test]
fn e6_a_brain_found_behind_its_log_is_made_durable_without_another_turn() {
    on_a_lane(8, |bench| async move {
        let owner = Owner { agent: "ada".into(), life: Life(1), epoch: Epoch(0) };
        let mut brain = Brain::open(&BrainFiles::new(bench.dir.path()), owner).unwrap();
        brain.begin(true).unwrap();
        brain.commit(TurnNo(5), Hash::default()).unwrap();
        drop(brain);
        bench.begin("ada").await;
        bench.ask("ada", 1, BrainAction::RollBack).await.unwrap().unwrap();
        settle().await;
        bench.clock.advance(DURABLE_AFTER_MS);
        bench.told_times(1).await;
        assert_eq!(bench.told(), [("ada".to_owned(), 1, 5)]);
    });
}

#[test]
fn a_newer_format_is_told_as_corrupt_with_the_reason() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        let path = BrainFiles::new(bench.dir.path()).path(Life(1), Epoch(0));
        let conn = rusqlite::Connection::open(path).unwrap();
        conn.pragma_update(None, "user_version", 9).unwrap();
        drop(conn);
        // Another shard finds it.
        let tools = tools(&bench.dir, &bench.threads, &bench.clock, &bench.told, Ok(()));
        let other = Bench { shard: Shard::new(tools, 8, RELEASED), ..bench };
        let refused = other.asks_to_begin("ada", 1).await.unwrap();
        let Err(BrainError::Corrupt { reason, .. }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("newer version"), "{reason}");
    });
}

/// SQLite fsyncs the head of a log that begins anew, and a lane waits for no disk.
#[test]
fn e1_the_commit_that_begins_the_log_is_not_made_on_the_lane() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        settle().await;
        bench.clock.advance(DURABLE_AFTER_MS);
        bench.told_times(1).await;
        bench.begin("ada").await;
        let gate = bench.hold_the_thread();
        settle().await;
        let commit = |n| BrainAction::Commit { n: TurnNo(n), chain: Hash::default(), more: false };
        let mut first = bench.ask("ada", 1, commit(2));
        // What comes while it is out keeps its order.
        let next = bench.ask("ada", 1, begin_of(1));
        settle().await;
        assert!(first.try_recv().is_err(), "committed on the lane");
        drop(gate);
        assert_eq!(first.await.unwrap().unwrap().applied, TurnNo(2));
        assert_eq!(next.await.unwrap().unwrap().applied, TurnNo(2));
        let _gate = bench.hold_the_thread();
        settle().await;
        // The log goes on: nothing to wait for.
        let mut second = bench.ask("ada", 1, commit(3));
        assert_eq!(second.try_recv().unwrap().unwrap().applied, TurnNo(3));
    });
}

#[test]
fn e6_a_brain_that_is_known_to_be_durable_is_opened_and_closed_without_another_word() {
    on_a_lane(1, |bench| async move {
        bench.turn("ada", 1).await;
        // There is room for one: each is closed for the other.
        for (agent, told) in [("bob", 1), ("ada", 1), ("bob", 1), ("ada", 1)] {
            let life = begin_of(life_of(agent));
            bench.ask(agent, 1, life).await.unwrap().unwrap();
            bench.ask(agent, 1, BrainAction::RollBack).await.unwrap().unwrap();
            bench.told_times(told).await;
            settle().await;
            bench.clock.advance(DURABLE_AFTER_MS);
            settle().await;
        }
        assert_eq!(bench.told(), [("ada".to_owned(), 1, 1)]);
        bench.turn("ada", 2).await;
        bench.begin("bob").await;
        bench.told_times(2).await;
        assert_eq!(bench.told()[1], ("ada".to_owned(), 1, 2));
    });
}
