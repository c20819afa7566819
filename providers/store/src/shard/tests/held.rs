//! Turns that wait for a later one's commit (rule D2).

use super::*;
use crate::limits::{HELD_MS, HELD_TURNS_MAX};

const GET: &str = r#"{"key": "k"}"#;

impl Bench {
    /// Sets "k" to the turn's number; the next turn follows at once.
    async fn held_turn(&self, n: u64) -> BrainState {
        self.begin("ada").await;
        self.put(n).await;
        let (n, chain) = (TurnNo(n), Hash::of(&n.to_le_bytes()));
        self.ask("ada", 1, BrainAction::Commit { n, chain, more: true }).await.unwrap().unwrap()
    }

    async fn put(&self, n: u64) {
        let put = format!(r#"{{"key": "k", "value": {n}}}"#);
        self.done("ada", "kv.put", &put).await.unwrap();
    }

    /// What another connection finds: what is committed.
    fn committed(&self) -> Option<i64> {
        let file = BrainFiles::new(self.dir.path()).path(Life(1), Epoch(0));
        let conn = rusqlite::Connection::open(file).unwrap();
        conn.query_row("SELECT applied_n FROM loket", [], |row| row.get(0)).ok()
    }

    async fn get(&self) -> String {
        self.done("ada", "kv.get", GET).await.unwrap()
    }
}

#[test]
fn d2_a_turn_waits_for_the_next_ones_commit_and_that_commits_both() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        for n in 2..=4 {
            let state = bench.held_turn(n).await;
            assert_eq!((state.applied, state.chain), (TurnNo(n), Hash::of(&n.to_le_bytes())));
            assert_eq!(bench.committed(), Some(1), "turn {n} waits");
        }
        bench.turn("ada", 5).await;
        assert_eq!(bench.committed(), Some(5));
    });
}

#[test]
fn g1_a_turn_that_fails_takes_nothing_along_of_those_before_it() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        bench.held_turn(2).await;
        bench.begin("ada").await;
        bench.put(99).await;
        bench.ask("ada", 1, BrainAction::RollBack).await.unwrap().unwrap();
        // Nobody knows when the next attempt comes.
        assert_eq!(bench.committed(), Some(2));
        assert_eq!(bench.begin("ada").await.applied, TurnNo(2));
        assert_eq!(bench.get().await, r#"{"value":2}"#);
        // The same of one that waits, behind a turn that is held.
        bench.ask("ada", 1, BrainAction::RollBack).await.unwrap().unwrap();
        bench.held_turn(3).await;
        bench.begin("ada").await;
        bench.put(99).await;
        bench.ask("ada", 1, BrainAction::Release).await.unwrap().unwrap();
        assert_eq!(bench.committed(), Some(3));
        // And of one whose incarnation ended in it: the next one's begin takes it back.
        bench.held_turn(4).await;
        bench.begin("ada").await;
        bench.put(99).await;
        assert_eq!(bench.asks_to_begin("ada", 2).await.unwrap().unwrap().applied, TurnNo(4));
        let Called::Now(got) = bench.call("ada", 2, "kv.get", GET) else { panic!("not out") };
        assert_eq!(text(got).unwrap(), r#"{"value":4}"#);
    });
}

#[test]
fn d2_no_turn_waits_behind_more_than_so_many_or_for_longer_than_so_long() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        let most = u64::from(HELD_TURNS_MAX);
        for n in 2..2 + most {
            bench.held_turn(n).await;
        }
        assert_eq!(bench.committed(), Some(1));
        bench.held_turn(2 + most).await;
        assert_eq!(bench.committed(), Some(2 + i64::from(HELD_TURNS_MAX)));
        let n = 3 + most;
        bench.held_turn(n).await;
        // Within a turn the time does nothing; the turn's end commits, whatever follows.
        bench.begin("ada").await;
        bench.clock.advance(HELD_MS);
        settle().await;
        assert_eq!(bench.committed(), Some(2 + i64::from(HELD_TURNS_MAX)));
        let what = BrainAction::Commit { n: TurnNo(n + 1), chain: Hash::default(), more: true };
        bench.ask("ada", 1, what).await.unwrap().unwrap();
        assert_eq!(bench.committed(), Some(i64::try_from(n + 1).unwrap()));
        // Between two turns it commits by itself.
        bench.held_turn(n + 2).await;
        bench.clock.advance(HELD_MS);
        while bench.committed() != Some(i64::try_from(n + 2).unwrap()) {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn e4_a_shard_that_ends_leaves_nothing_behind_that_it_held() {
    on_a_lane(8, |bench| async move {
        bench.turn("ada", 1).await;
        bench.held_turn(2).await;
        bench.begin("ada").await;
        bench.put(99).await;
        let Bench { shard, dir, told, .. } = bench;
        drop(shard);
        while told.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(told.lock().unwrap().clone(), [("ada".to_owned(), 1, 2)]);
        assert_eq!(value_on_disk(dir.path(), false).as_deref(), Some(r#"{"value":2}"#));
    });
}

#[test]
fn f1_a_brain_that_lost_what_it_held_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let owner = || Owner { agent: "ada".into(), life: Life(1), epoch: Epoch(0) };
    let mut brain = Brain::open(&BrainFiles::new(dir.path()), owner()).unwrap();
    for n in 1..=2 {
        brain.begin(true).unwrap();
        brain.commit(TurnNo(n), Hash::of(&n.to_le_bytes())).unwrap();
    }
    brain.begin(true).unwrap();
    assert!(brain.hold(TurnNo(3), Hash::default()).unwrap());
    brain.begin(true).unwrap();
    // What some errors make of a transaction.
    let gone = brain.call(|conn| Ok(conn.execute_batch("ROLLBACK")?));
    gone.unwrap();
    brain.begin(true).unwrap();
    assert_eq!(brain.state(), (TurnNo(2), Hash::of(&2u64.to_le_bytes())));
}
