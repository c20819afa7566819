//! Names of like form spread over the index: a lookup among thousands costs about what it costs
//! among a few. Ratios of the best of many rounds, so that a busy machine does not matter.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use loket_kernel::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Names of a family; with this many the index is half full.
const MANY: usize = 4_000;
const FEW: usize = 8;
const ROUNDS: usize = 15;
/// What is measured is below 2; names that fall on few slots cost tens and hundreds.
const FACTOR: u32 = 5;

/// `number` in three characters of a name.
fn digits(number: usize) -> String {
    let all = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digit = |place: usize| char::from(all[number / 36_usize.pow(place as u32) % 36]);
    [2, 1, 0].map(digit).iter().collect()
}

/// Best time of a lookup, over rounds of all names of the family; `ask` is put into its form.
fn cost(number: usize, form: fn(&str) -> String, ask: fn(&str) -> String) -> Duration {
    let names =
        (0..number).map(|n| Capability::parse(&form(&digits(n * 36_usize.pow(3) / number))));
    let routes = names.zip(0..).map(|(name, route)| (name.unwrap(), Route(route)));
    let table = Table::default().with_routes(routes);
    let asked: Vec<String> =
        (0..MANY).map(|n| ask(&digits(n % number * 36_usize.pow(3) / number))).collect();
    let round = |_| {
        let begin = Instant::now();
        for name in &asked {
            black_box(table.route(black_box(name)));
        }
        begin.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap()
}

fn spreads(family: &str, form: fn(&str) -> String) {
    let absent: fn(&str) -> String = |digits| format!("{digits}.absent.{digits}");
    for (what, ask) in [("found", form), ("absent", absent)] {
        let (few, many) = (cost(FEW, form, ask), cost(MANY, form, ask));
        println!("{family}, {what}: {few:?} among {FEW}, {many:?} among {MANY}");
        assert!(
            many < few * FACTOR,
            "{family}, {what}: {few:?} among {FEW}, {many:?} among {MANY}"
        );
    }
}

#[test]
fn names_that_differ_at_their_end_spread() {
    spreads("short", |digits| digits.into());
    spreads("last", |digits| format!("tool.n{digits}"));
    spreads("a word and a rest", |digits| format!("tools.io.{digits}"));
}

#[test]
fn names_that_differ_within_spread() {
    spreads("first", |digits| format!("{digits}.agents.of.a.template"));
    spreads("end of a word", |digits| format!("agent{digits}.of.a.kind"));
    spreads("second word", |digits| format!("template.agent{digits}.here"));
}
