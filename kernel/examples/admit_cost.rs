//! Prints what admission costs: hot allow and refuse, random access over a million grants, adding a
//! principal to a table of that size. Medians of 7, in nanoseconds.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use loket_kernel::*;
use std::{hint::black_box, sync::Arc, time::Instant};

const AGENTS: u32 = 50_000;
const GRANTS: u64 = 20;
const CALLS: u32 = 1_000_000;
const BATCH: u32 = 10_000;
const NOW: Moment = Moment(1_000);

fn median(mut run: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..7).map(|_| run()).collect();
    all.sort_by(f64::total_cmp);
    all[3]
}

fn name(grant: u64, leaf: &str) -> Capability {
    Capability::parse(&format!("store.brain{grant}.kv{leaf}")).unwrap()
}

/// A set that shares nothing with any other: names, scopes and all are allocated anew.
fn grants(first: u64) -> Arc<GrantSet> {
    let new = |n| {
        let models = vec![Pattern::parse("fast").unwrap()];
        let mut scope = Scope::new();
        scope.insert("models", Bound::Names(models));
        Grant::new(name(n, ""), Arc::new(scope), None, Vec::new(), None, GrantId(first + n))
    };
    Arc::new(GrantSet::new((0..GRANTS).map(new).collect()).unwrap())
}

fn envelope(who: u32, capability: &Arc<str>) -> Envelope<u64> {
    Envelope {
        from: Address { principal: Principal(who), incarnation: 1 },
        capability: capability.clone(),
        args: Vec::new(),
        chain: Chain::default(),
        deadline: None,
        cargo: 0,
    }
}

/// Nanoseconds for each of `asks`, cycled: the median of batches, so that a batch during which
/// another process had the core does not count.
fn batches(asks: &[(u32, Arc<str>)], mut one: impl FnMut(u32, &Arc<str>)) -> f64 {
    let mut asks = asks.iter().cycle();
    let mut batch = || {
        let begin = Instant::now();
        for (who, capability) in asks.by_ref().take(BATCH as usize) {
            one(*who, capability);
        }
        begin.elapsed().as_nanos() as f64 / f64::from(BATCH)
    };
    let mut all: Vec<f64> = (0..CALLS / BATCH).map(|_| batch()).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Making the envelope is counted in.
fn per_call(table: &Table, asks: &[(u32, Arc<str>)], admitted: bool) -> f64 {
    batches(asks, |who, capability| {
        let admission = admit(black_box(table), envelope(who, capability), NOW);
        assert_eq!(matches!(admission, Admission::Admitted(_)), admitted);
        black_box(&admission);
    })
}

/// What the loop around `admit` costs by itself.
fn overhead(asks: &[(u32, Arc<str>)]) -> f64 {
    batches(asks, |who, capability| {
        black_box(&envelope(who, capability));
    })
}

/// One read that depends on the read before it, at random in 256 MiB: what a miss costs here.
fn miss() -> f64 {
    let mut next: Vec<u32> = (0..1 << 26).collect();
    let (mut state, mut at) = (9_u64, 0);
    for end in (1..next.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        next.swap(end, ((state >> 33) % end as u64) as usize);
    }
    let all = [(0, "".into())];
    median(|| {
        batches(&all, |_, _| {
            at = next[at as usize];
            black_box(at);
        })
    })
}

fn main() {
    let routes = (0..GRANTS).map(|n| (name(n, ".get"), Route(n as u32)));
    let table = Table::default().with_routes(routes);
    let held: Vec<_> = (0..AGENTS).map(|n| grants(u64::from(n) * GRANTS)).collect();
    let table = (0..).zip(held).fold(table, |table, (n, held)| {
        table.with_principal(Principal(n), format!("agent/{n}").into(), 1, held)
    });
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let wanted: Vec<Arc<str>> = (0..GRANTS).map(|n| name(n, ".get").shared().clone()).collect();
    let mut ask = || (random(u64::from(AGENTS)) as u32, wanted[random(GRANTS) as usize].clone());
    let asks: Vec<_> = (0..CALLS).map(|_| ask()).collect();
    let hot = [(77, wanted[7].clone())];
    let lacking = table.with_grants(Principal(77), Arc::new(GrantSet::default()));
    let unserved = [(77, Arc::from("store.brain7.kv.got"))];

    let (hot_loop, cold_loop) = (median(|| overhead(&hot)), median(|| overhead(&asks)));
    let report = |what: &str, total: f64, around: f64| {
        println!("{what:32} {:8.1} ns  (with its loop {total:.1})", total - around);
    };
    report("hot, allowed", median(|| per_call(&table, &hot, true)), hot_loop);
    report("hot, no grant", median(|| per_call(&lacking, &hot, false)), hot_loop);
    report("hot, unknown capability", median(|| per_call(&table, &unserved, false)), hot_loop);
    report("random over 10^6 grants, allowed", median(|| per_call(&table, &asks, true)), cold_loop);

    let spare: Vec<_> = (0..1_000).map(|n| grants(1 << 40 | n)).collect();
    let adding = median(|| {
        let (mut grown, begin) = (table.clone(), Instant::now());
        for (n, set) in spare.iter().enumerate() {
            // Both a new index and, far apart, indices that are taken: the old path is dropped too.
            let who = if n % 2 == 0 { AGENTS + n as u32 } else { n as u32 * 49 };
            grown = grown.with_principal(Principal(who), "agent/new".into(), 1, set.clone());
        }
        begin.elapsed().as_nanos() as f64 / 1_000.0
    });
    println!("{:32} {adding:8.1} ns", "a principal added to 10^6 grants");
    println!("{:32} {:8.1} ns", "(one cache miss, to compare)", miss());
    let begin = Instant::now();
    black_box(table.revoke(GrantId(5)));
    println!("{:32} {:8} ns", "a grant revoked", begin.elapsed().as_nanos());
}
