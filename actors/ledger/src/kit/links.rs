//! Rules I2 and I3: monitors and groups.

use super::{Subject, message, wait};
use loket_turn::{
    DOWN_KIND, Effect, Ended, GroupSize, MONITOR_SENDER, Message, MessageId, TurnKey, TurnNo, Until,
};

/// The id of the kit's monitors.
const fn id(n: u8) -> MessageId {
    MessageId([n; 16])
}

fn watching(n: u8, agent: &str, until: Until) -> Effect {
    Effect::Monitor { id: id(n), agent: agent.into(), until }
}

fn ended(agent: &str, incarnation: u64, code: &str) -> Ended {
    let (agent, code) = (agent.into(), code.to_owned());
    Ended { agent, incarnation, reason: format!("{code} as asked"), code, now_ms: 5_000 }
}

impl Subject {
    /// Ends the next turn of `name`, for which a message is accepted, with these effects.
    fn turn_with(&self, name: &str, incarnation: u64, effects: Vec<Effect>) {
        self.accept(name, "go");
        let state = wait(self.ledger.open(name.into(), incarnation)).expect("opened");
        let n = TurnNo(state.done.0 + 1);
        let turn = TurnKey { agent: name.into(), life: state.life, incarnation, n };
        let mut end = self.ending(&turn);
        end.effects = effects;
        wait(self.ledger.end(end)).expect("ended");
    }

    /// The Downs that wait in an inbox, oldest first: each is taken by a turn.
    fn downs(&self, name: &str, incarnation: u64) -> Vec<(MessageId, serde_json::Value)> {
        let mut downs = Vec::new();
        let take = |message: &Message| {
            assert_eq!((&*message.sender, &*message.kind), (MONITOR_SENDER, DOWN_KIND));
            let body = serde_json::from_slice(&message.body).expect("JSON");
            (message.id, body)
        };
        while let Some(next) = wait(self.ledger.next(name.into(), incarnation)).expect("next") {
            downs.push(take(&next.message));
            let life = wait(self.ledger.open(name.into(), incarnation)).expect("opened").life;
            let turn = TurnKey { agent: name.into(), life, incarnation, n: next.n };
            wait(self.ledger.end(self.ending(&turn))).expect("ended");
        }
        downs
    }
}

/// I2: the end of the watched incarnation is told once, with its reason, and no later one is.
pub fn i2_a_down_tells_the_end_of_an_incarnation_once(it: &Subject) {
    it.opened("watcher");
    it.opened("b");
    it.turn_with("watcher", 1, vec![watching(1, "b", Until::Exit)]);
    assert_eq!(it.downs("watcher", 1), vec![]);
    wait(it.ledger.ended(ended("b", 1, "killed"))).expect("noted");
    wait(it.ledger.ended(ended("b", 1, "killed"))).expect("noted twice");
    wait(it.ledger.open("b".into(), 2)).expect("opened");
    wait(it.ledger.ended(ended("b", 2, "crash"))).expect("noted");
    let downs = it.downs("watcher", 1);
    let expected = serde_json::json!({
        "monitor": id(1).to_string(), "agent": "b", "incarnation": 1, "code": "killed",
        "reason": "killed as asked", "gone": false,
    });
    assert_eq!(downs, vec![(id(1), expected)]);
    assert_eq!(wait(it.ledger.monitors_by("watcher".into())), Ok(vec![]));
    it.nothing_lost(0);
}

/// I2: who is gone already is told of in the same step.
pub fn i2_a_down_of_the_already_dead_is_noproc(it: &Subject) {
    it.opened("watcher");
    it.opened("b");
    wait(it.ledger.remove("b".into(), "over".to_owned())).expect("removed");
    let both = vec![watching(1, "b", Until::Exit), watching(2, "never", Until::Gone)];
    it.turn_with("watcher", 1, both);
    let downs = it.downs("watcher", 1);
    let told: Vec<_> = downs.iter().map(|(id, body)| (*id, body["code"].clone())).collect();
    assert_eq!(told, vec![(id(1), "noproc".into()), (id(2), "noproc".into())]);
    assert!(downs.iter().all(|(_, body)| body["gone"] == true));
    it.nothing_lost(0);
}

/// I2: an end that nobody noted, for the process died under it, is told when the next incarnation takes over.
pub fn i2_an_end_that_nobody_noted_is_told_by_the_next_incarnation(it: &Subject) {
    it.opened("watcher");
    it.opened("b");
    it.turn_with("watcher", 1, vec![watching(1, "b", Until::Exit)]);
    wait(it.ledger.open("b".into(), 1)).expect("the same again");
    assert_eq!(it.downs("watcher", 1), vec![]);
    wait(it.ledger.open("b".into(), 3)).expect("opened");
    let downs = it.downs("watcher", 1);
    assert_eq!(downs.len(), 1, "{downs:?}");
    assert_eq!(downs[0].1["code"], "process_died");
    // Late news of the same end change nothing.
    wait(it.ledger.ended(ended("b", 1, "killed"))).expect("noted");
    assert_eq!(it.downs("watcher", 1), vec![]);
    it.nothing_lost(0);
}

/// I2: of an agent between two incarnations the end of the next one is told.
pub fn i2_between_two_incarnations_the_next_one_is_watched(it: &Subject) {
    it.opened("watcher");
    it.opened("b");
    wait(it.ledger.ended(ended("b", 1, "killed"))).expect("noted");
    it.turn_with("watcher", 1, vec![watching(1, "b", Until::Exit)]);
    wait(it.ledger.open("b".into(), 2)).expect("opened");
    assert_eq!(it.downs("watcher", 1), vec![]);
    wait(it.ledger.ended(ended("b", 2, "crash"))).expect("noted");
    let downs = it.downs("watcher", 1);
    assert_eq!((downs.len(), &downs[0].1["incarnation"]), (1, &2.into()));
    it.nothing_lost(0);
}

/// I2: `gone` outlives incarnations and tells the end of the life; so does a monitor of an incarnation that is removed.
pub fn i2_a_removal_tells_every_monitor_of_the_life(it: &Subject) {
    it.opened("watcher");
    it.opened("b");
    it.turn_with("watcher", 1, vec![watching(1, "b", Until::Gone)]);
    wait(it.ledger.ended(ended("b", 1, "killed"))).expect("noted");
    wait(it.ledger.open("b".into(), 2)).expect("opened");
    assert_eq!(it.downs("watcher", 1), vec![]);
    it.turn_with("watcher", 1, vec![watching(2, "b", Until::Exit)]);
    assert_eq!(wait(it.ledger.monitors_of("b".into())).expect("read").len(), 2);
    wait(it.ledger.remove("b".into(), "over".to_owned())).expect("removed");
    // The next life of the name is another.
    it.enrol(&["b"], 10);
    wait(it.ledger.ended(ended("b", 9, "killed"))).expect("noted");
    let downs = it.downs("watcher", 1);
    let told: Vec<_> = downs.iter().map(|(id, _)| *id).collect();
    assert_eq!(told, vec![id(1), id(2)]);
    assert!(downs.iter().all(|(_, b)| b["code"] == "removed" && b["reason"] == "over"));
    assert!(downs.iter().all(|(_, body)| body["gone"] == true));
    it.nothing_lost(0);
}

/// I2: a demonitor ends one monitor of one's own and no other.
pub fn i2_a_demonitor_ends_one_monitor(it: &Subject) {
    it.opened("watcher");
    it.opened("other");
    it.opened("b");
    let two = vec![watching(1, "b", Until::Exit), watching(2, "b", Until::Exit)];
    it.turn_with("watcher", 1, two);
    it.turn_with("other", 1, vec![Effect::Demonitor { id: id(1) }]);
    it.turn_with("watcher", 1, vec![Effect::Demonitor { id: id(2) }]);
    wait(it.ledger.ended(ended("b", 1, "killed"))).expect("noted");
    let told: Vec<_> = it.downs("watcher", 1).into_iter().map(|(id, _)| id).collect();
    assert_eq!(told, vec![id(1)]);
    it.nothing_lost(0);
}

/// I2, A3: a Down comes whether the inbox has room or not, and the monitors of who is removed go with it.
pub fn i2_a_down_needs_no_room(it: &Subject) {
    it.opened("watcher");
    it.opened("b");
    it.turn_with("watcher", 1, vec![watching(1, "b", Until::Exit)]);
    it.enrol(&["watcher"], 1);
    it.accept("watcher", "fills it");
    assert!(wait(it.ledger.accept(message("watcher", "x"))).is_err());
    wait(it.ledger.ended(ended("b", 1, "killed"))).expect("noted");
    it.nothing_lost(2);
    it.turn_with("b", 2, vec![watching(2, "watcher", Until::Gone)]);
    wait(it.ledger.remove("b".into(), "over".to_owned())).expect("removed");
    assert_eq!(wait(it.ledger.monitors_of("watcher".into())), Ok(vec![]));
    wait(it.ledger.remove("watcher".into(), "over".to_owned())).expect("removed");
    it.nothing_lost(0);
}

/// I3: members stay through incarnations, leave by leaving and by removal; an empty group is none.
pub fn i3_members_are_lives(it: &Subject) {
    let join = || Effect::Join { group: "desk".to_owned() };
    let members = || wait(it.ledger.members("desk".to_owned())).expect("read");
    for name in ["b", "a", "c"] {
        it.opened(name);
        it.turn_with(name, 1, vec![join(), join()]);
    }
    assert_eq!(members(), ["a", "b", "c"].map(Into::into));
    wait(it.ledger.ended(ended("a", 1, "killed"))).expect("noted");
    wait(it.ledger.open("a".into(), 2)).expect("opened");
    it.turn_with("b", 1, vec![Effect::Leave { group: "desk".to_owned() }]);
    assert_eq!(members(), ["a", "c"].map(Into::into));
    assert_eq!(wait(it.ledger.groups_of("a".into())), Ok(vec!["desk".to_owned()]));
    let size = GroupSize { group: "desk".to_owned(), members: 2 };
    assert_eq!(wait(it.ledger.groups()), Ok(vec![size]));
    for name in ["a", "c"] {
        wait(it.ledger.remove(name.into(), "over".to_owned())).expect("removed");
    }
    assert_eq!((members(), wait(it.ledger.groups())), (vec![], Ok(vec![])));
    it.enrol(&["a"], 10);
    assert_eq!(wait(it.ledger.groups_of("a".into())), Ok(vec![]), "another life");
    it.nothing_lost(0);
}

/// I3: a message to several is one in the inbox of each that is there at the end of the turn.
pub fn i3_a_message_to_a_group_reaches_each_that_is_there(it: &Subject) {
    let turn = it.opened("a");
    it.enrol(&["b", "c"], 1);
    it.accept("a", "go");
    for to in ["b", "c"] {
        wait(it.ledger.reserve(turn.clone(), to.into(), 5)).expect("reserved");
    }
    assert!(wait(it.ledger.accept(message("b", "x"))).is_err(), "its place is taken");
    let to = [(id(1), "b".into()), (id(2), "c".into()), (id(3), "gone".into())].to_vec();
    let mut end = it.ending(&turn);
    end.effects = vec![Effect::SendAll { to, kind: "news".to_owned(), body: b"hello".to_vec() }];
    wait(it.ledger.end(end)).expect("ended");
    for (name, n) in [("b", 1), ("c", 2)] {
        wait(it.ledger.open(name.into(), 1)).expect("opened");
        let got = wait(it.ledger.next(name.into(), 1)).expect("next").expect("one").message;
        assert_eq!((got.id, &*got.sender, &*got.kind), (id(n), "a", "news"));
    }
    assert_eq!(wait(it.ledger.letters()).expect("letters").len(), 0);
    it.nothing_lost(2);
}
