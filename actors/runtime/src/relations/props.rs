//! Random interleavings of lives, monitors, demonitors, links and groups against a model that a page holds.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::Door;
use crate::signals::Signals;
use futures_util::FutureExt;
use proptest::prelude::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
enum Op {
    Begin(usize),
    End(usize, usize),
    Monitor(usize),
    Demonitor(usize),
    Drop(usize),
    Look(usize),
    Join(usize, usize),
    Leave(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let name = 0..NAMES.len();
    prop_oneof![
        3 => name.clone().prop_map(Op::Begin),
        3 => (name.clone(), 0..4_usize).prop_map(|(name, reason)| Op::End(name, reason)),
        5 => name.clone().prop_map(Op::Monitor),
        2 => (0..64_usize).prop_map(Op::Demonitor),
        1 => (0..64_usize).prop_map(Op::Drop),
        2 => (0..64_usize).prop_map(Op::Look),
        2 => (name.clone(), 0..2_usize).prop_map(|(name, group)| Op::Join(name, group)),
        1 => (name, 0..2_usize).prop_map(|(name, group)| Op::Leave(name, group)),
    ]
}

fn reason(n: usize) -> Exit {
    [Exit::Normal, Exit::Shutdown, Exit::Killed, Exit::Hung][n].clone()
}

/// What the model says of a monitor.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Waits { name: usize, incarnation: u64 },
    Down(Option<u64>, Exit),
    Given,
}

#[derive(Default)]
struct Model {
    living: [Option<u64>; 4],
    last: [u64; 4],
    told: Vec<Told>,
    groups: [Vec<usize>; 2],
}

impl Model {
    fn end(&mut self, name: usize, reason: &Exit) {
        let Some(incarnation) = self.living[name].take() else { return };
        for told in &mut self.told {
            if *told == (Told::Waits { name, incarnation }) {
                *told = Told::Down(Some(incarnation), reason.clone());
            }
        }
        self.groups.iter_mut().for_each(|group| group.retain(|member| *member != name));
    }
}

struct World {
    relations: Relations,
    cells: Vec<Arc<CellControl>>,
    monitors: Vec<Option<Monitor>>,
    model: Model,
}

impl World {
    fn take(&mut self, op: Op) {
        match op {
            Op::Begin(name) => self.begin(name),
            Op::End(name, n) => {
                let (incarnation, reason) = (self.model.last[name], reason(n));
                // Late news of the life before change nothing.
                let stale = incarnation.saturating_sub(1);
                self.relations.end(&NAMES[name].into(), stale, &Exit::LaneLost);
                self.relations.end(&NAMES[name].into(), incarnation, &reason);
                // Once more: news of an end are heard once.
                self.relations.end(&NAMES[name].into(), incarnation, &Exit::LaneLost);
                self.model.end(name, &reason);
            }
            Op::Monitor(name) => {
                self.monitors.push(Some(self.relations.monitor(NAMES[name]).unwrap()));
                self.model.told.push(match self.model.living[name] {
                    Some(incarnation) => Told::Waits { name, incarnation },
                    None => Told::Down(None, Exit::NoProc),
                });
            }
            Op::Demonitor(at) => {
                if let Some(monitor) = self.monitors.get_mut(at).and_then(Option::take) {
                    let waits = matches!(self.model.told[at], Told::Waits { .. });
                    assert_eq!(monitor.demonitor(), waits);
                    self.model.told[at] = Told::Given;
                }
            }
            Op::Drop(at) => {
                if self.monitors.get_mut(at).and_then(Option::take).is_some() {
                    self.model.told[at] = Told::Given;
                }
            }
            Op::Look(at) => self.look(at),
            Op::Join(name, group) => {
                let joined = self.relations.join(&group.to_string(), NAMES[name]).is_ok();
                assert_eq!(joined, self.model.living[name].is_some());
                self.model.groups[group].extend(joined.then_some(name));
            }
            Op::Leave(name, group) => {
                let at = self.model.groups[group].iter().position(|member| *member == name);
                let left = self.relations.leave(&group.to_string(), NAMES[name]).is_ok();
                assert_eq!(left, at.map(|at| self.model.groups[group].remove(at)).is_some());
            }
        }
    }

    /// The next life; one that still lives is then one whose thread was given up.
    fn begin(&mut self, name: usize) {
        self.model.end(name, &Exit::LaneLost);
        self.model.last[name] += 1;
        let incarnation = self.model.last[name];
        let (id, signals) = (NAMES[name].into(), Signals::default());
        let relations = self.relations.clone();
        let cell = Arc::new(CellControl::new(id, incarnation, signals, relations, Door::Closed));
        self.relations.begin(&NAMES[name].into(), incarnation, Arc::downgrade(&cell));
        self.cells.push(cell);
        self.model.living[name] = Some(incarnation);
    }

    /// A monitor has told what the model says, and tells it once.
    fn look(&mut self, at: usize) {
        let Some(Some(monitor)) = self.monitors.get_mut(at) else { return };
        match (monitor.now_or_never(), &self.model.told[at]) {
            (None, Told::Waits { .. }) => return,
            (Some(down), Told::Down(incarnation, reason)) => {
                assert_eq!((&down.incarnation, &down.reason), (incarnation, reason));
            }
            (found, told) => panic!("{found:?}, but {told:?}"),
        }
        self.monitors[at] = None;
        self.model.told[at] = Told::Given;
    }

    fn agrees(&self) {
        let waiting = self.model.told.iter().filter(|told| matches!(told, Told::Waits { .. }));
        assert_eq!(self.relations.monitors(), waiting.count());
        for (at, name) in NAMES.iter().enumerate() {
            assert_eq!(self.relations.living(name), self.model.living[at]);
        }
        for (at, members) in self.model.groups.iter().enumerate() {
            let there = self.relations.members(&at.to_string());
            let names: Vec<_> = members.iter().map(|member| NAMES[*member]).collect();
            assert_eq!(there.iter().map(|name| &**name).collect::<Vec<_>>(), names);
        }
        let some = self.model.groups.iter().filter(|members| !members.is_empty()).count();
        assert_eq!(self.relations.groups().len(), some, "an empty group is none");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn every_monitor_has_exactly_one_down(ops in prop::collection::vec(op(), 1..80)) {
        let (relations, model) = (Relations::default(), Model::default());
        let mut world = World { relations, cells: Vec::new(), monitors: Vec::new(), model };
        for op in ops {
            world.take(op);
            world.agrees();
        }
        for name in 0..NAMES.len() {
            world.take(Op::End(name, 0));
        }
        for at in 0..world.monitors.len() {
            world.look(at);
        }
        world.agrees();
        prop_assert!(world.model.told.iter().all(|told| *told == Told::Given));
        prop_assert_eq!(world.relations.monitors(), 0);
    }
}
