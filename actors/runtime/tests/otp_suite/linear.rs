//! What many children cost: time that grows with their number, not with its square. Costs are compared with each other, never
//! with a clock: a loaded machine makes all of them dearer.

use crate::stage::*;
use loket_kernel::Moment;
use loket_runtime::{Clock, NodeSpec};
use loket_supervision::machine::*;

/// How much dearer one of many may be than one of few. Work that grows with the square makes it a hundred times as dear when
/// there are a hundred times as many.
const DEARER_MAX: f64 = 10.0;

/// The least nanoseconds for each of `count` of several tries: what else the machine does only adds.
fn each(tries: usize, count: usize, mut work: impl FnMut() -> u64) -> f64 {
    let least = (0..tries).map(|_| work()).min().unwrap();
    least as f64 / count as f64
}

fn timed(clock: &Clock, work: impl FnOnce()) -> u64 {
    let began = clock.monotonic_ns();
    work();
    clock.monotonic_ns() - began
}

#[test]
fn simple_one_for_one_scale_many_temporary_children() {
    let clock = Clock::machine(Moment(0));
    let terminate = |tries, count: usize| {
        each(tries, count, || {
            let template = of("job", Restart::Temporary);
            let stage = Stage::up(lenient(Strategy::SimpleOneForOne), vec![template]);
            let sup = stage.sup();
            let name = |n: usize| format!("x{n}");
            for n in 0..count {
                wait(sup.start_instance(instance(&name(n)))).unwrap();
            }
            let spent = timed(&clock, || {
                // The supervisor serves them one after another; they are asked a thousand at a time, so that few wait.
                for from in (0..count).step_by(1_000) {
                    let some = from..count.min(from + 1_000);
                    let all: Vec<_> = some.map(|n| sup.terminate_child(&name(n))).collect();
                    all.into_iter().for_each(|gone| wait(gone).unwrap());
                }
            });
            assert_eq!(stage.counts(), [1, 0, 0, 0]);
            spent
        })
    };
    let (few, many) = (terminate(4, 1_000), terminate(2, 10_000));
    assert!(many < few * DEARER_MAX, "{few:.0} ns each of 1,000, {many:.0} ns each of 10,000");
}

/// A node whose `sup` has so many children; nanoseconds of start and stop.
fn start_and_stop(clock: &Clock, count: usize) -> (u64, u64) {
    let children: Vec<NodeSpec> = (0..count).map(|n| worker(&format!("c{n}"))).collect();
    let stage = Stage::new();
    stage.runtime.wait_up().unwrap();
    let start = timed(clock, || {
        assert_eq!(stage.start(Flags::default(), children), Ok(Some(1)));
    });
    assert_eq!(stage.counts(), [count, count, 0, count]);
    let stop = timed(clock, || assert_eq!(stage.stop_sup(), "shutdown"));
    (start, stop)
}

#[test]
fn scale_start_stop_many_children() {
    let clock = Clock::machine(Moment(0));
    let (mut few, mut many) = ([f64::MAX; 2], [f64::MAX; 2]);
    for (count, tries, least) in [(1_000, 5, &mut few), (100_000, 1, &mut many)] {
        for _ in 0..tries {
            let (start, stop) = start_and_stop(&clock, count);
            for (least, spent) in least.iter_mut().zip([start, stop]) {
                *least = least.min(spent as f64 / count as f64);
            }
        }
    }
    for (what, (few, many)) in ["start", "stop"].into_iter().zip(few.into_iter().zip(many)) {
        let said = format!("{what}: {few:.0} ns each of 1,000, {many:.0} ns each of 100,000");
        assert!(many < few * DEARER_MAX, "{said}");
    }
}
