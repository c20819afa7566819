//! One life, one end, also when its lane goes.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::Lane;
use crate::Lanes;
use crate::signals::Signal;
use futures_util::FutureExt;

fn seed(lane: &Lane, signals: &Signals) -> Seed {
    let control = Arc::new(CellControl::new(
        "c".into(),
        1,
        signals.clone(),
        Relations::default(),
        Door::Closed,
    ));
    let body: Body = Box::new(|mut context| {
        Box::pin(async move {
            context.control.started();
            std::future::pending().await
        })
    });
    let (name, lane, door) = ("c".into(), lane.clone(), Door::Closed);
    Seed { name, place: 1, incarnation: 1, lane, door, blame: Blame::Host, body, control }
}

fn next(signals: &Signals) -> Event {
    match signals.pop() {
        Some(Signal::Machine(event)) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lane_that_ends_is_told_for_the_living_and_for_those_on_their_way() {
    let (lanes, signals) = (Lanes::start(1).unwrap(), Signals::default());
    let lane = lanes.lanes()[0].clone();
    launch(seed(&lane, &signals));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(signals.arrived());
    assert!(matches!(next(&signals), Event::Started { .. }));
    lanes.stop(30_000).unwrap();
    let lost = next(&signals);
    assert!(matches!(lost, Event::Exited { reason: Exit::LaneLost, .. }), "{lost:?}");
    launch(seed(&lane, &signals));
    let late = next(&signals);
    assert!(matches!(late, Event::StartFailed { reason: Exit::LaneLost, .. }), "{late:?}");
    assert!(signals.pop().is_none(), "each life has one end");
}

/// A dead letter is heard of with the end that follows it; where none does any more, the supervisor is woken for it.
#[test]
fn a_letter_wakes_nobody_but_where_no_end_follows() {
    let signals = Signals::default();
    let (relations, door) = (Relations::default(), Door::Closed);
    let control = CellControl::new("c".into(), 1, signals.clone(), relations, door);
    let woken = || signals.arrived().now_or_never().is_some();
    control.letter();
    assert!(!woken());
    control.abandon(Exit::Hung);
    assert!(woken(), "its end");
    assert!(matches!(next(&signals), Event::Letter { .. }), "in the order in which it was told");
    assert!(matches!(next(&signals), Event::StartFailed { reason: Exit::Hung, .. }));
    control.letter();
    assert!(woken(), "its thread went on, and nobody will be told of its end");
    assert!(matches!(next(&signals), Event::Letter { .. }));
}
