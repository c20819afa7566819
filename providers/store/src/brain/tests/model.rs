//! Random calls, commits, roll backs and closes against a model that is two maps.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Act {
    Put(u8, u16),
    Delete(u8),
    Add(u8),
    Forget(u8),
    Commit,
    RollBack,
    Reopen,
    Durable,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..12u8, any::<u16>()).prop_map(|(key, value)| Act::Put(key, value)),
        2 => (0..12u8).prop_map(Act::Delete),
        4 => (0..6u8).prop_map(Act::Add),
        2 => (1..20u8).prop_map(Act::Forget),
        2 => Just(Act::Commit),
        2 => Just(Act::RollBack),
        1 => Just(Act::Reopen),
        1 => Just(Act::Durable),
    ]
}

/// What a brain should hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    kv: BTreeMap<String, String>,
    rows: BTreeMap<i64, u8>,
    last_id: i64,
    applied: u64,
}

const WORDS: [&str; 6] = ["fox", "hen", "cow", "emu", "ant", "bee"];

fn check(brain: &mut Brain, model: &Model) {
    let (list, more) = brain.call(|conn| kv::list(conn, "", None, 1000)).unwrap();
    let found: BTreeMap<String, String> =
        list.into_iter().map(|entry| (entry.key, entry.value.get().to_owned())).collect();
    assert_eq!((&found, more), (&model.kv, false));
    assert_eq!(brain.state().0.0, model.applied);
    for (at, word) in WORDS.iter().enumerate() {
        let what = Search { terms: vec![(*word).to_owned()], limit: 100, recency: 0.0, now_ms: 0 };
        let hits = brain.call(|conn| search::search(conn, &what)).unwrap();
        let hits = serde_json::to_value(hits).unwrap();
        let ids: BTreeSet<i64> =
            hits.as_array().unwrap().iter().map(|hit| hit["id"].as_i64().unwrap()).collect();
        let wanted: BTreeSet<i64> = model
            .rows
            .iter()
            .filter(|(_, of)| usize::from(**of) == at)
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(ids, wanted, "{word}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_brain_is_two_maps_and_a_transaction(acts in prop::collection::vec(act(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut brain = begun(dir.path());
        let (mut now, mut kept) = (Model::default(), Model::default());
        for act in acts {
            match act {
                Act::Put(key, value) => {
                    put(&mut brain, &key.to_string(), &value.to_string());
                    now.kv.insert(key.to_string(), value.to_string());
                }
                Act::Delete(key) => {
                    let key = key.to_string();
                    let existed = brain.call(|conn| kv::delete(conn, &key)).unwrap();
                    prop_assert_eq!(existed, now.kv.remove(&key).is_some());
                }
                Act::Add(word) => {
                    let ids = add_at(&mut brain, &[WORDS[usize::from(word)]], 1);
                    now.last_id += 1;
                    prop_assert_eq!(&ids, &[now.last_id]);
                    now.rows.insert(now.last_id, word);
                }
                Act::Forget(id) => {
                    let ids = [i64::from(id)];
                    let gone = brain.call(|conn| forget::forget(conn, Some(&ids), None)).unwrap();
                    prop_assert_eq!(gone == 1, now.rows.remove(&ids[0]).is_some());
                }
                Act::Commit => {
                    now.applied += 1;
                    brain.commit(TurnNo(now.applied), Hash::default()).unwrap();
                    kept = now.clone();
                    brain.begin(false).unwrap();
                }
                Act::RollBack => {
                    now = kept.clone();
                    brain.begin(false).unwrap();
                }
                Act::Reopen => {
                    now = kept.clone();
                    drop(brain);
                    brain = begun(dir.path());
                }
                Act::Durable => {
                    now = kept.clone();
                    brain.roll_back();
                    prop_assert!(brain.make_durable().unwrap().is_some());
                    brain.begin(false).unwrap();
                }
            }
        }
        check(&mut brain, &now);
        brain.begin(false).unwrap();
        check(&mut brain, &kept);
    }
}
