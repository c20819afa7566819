//! Admission by itself: the hot path of a call that is allowed, and of one that is refused.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use loket_kernel::{
    Address, Admission, Capability, Chain, Envelope, Grant, GrantId, GrantSet, Moment, Principal,
    Route, Scope, Table, admit,
};
use std::hint::black_box;
use std::sync::Arc;

/// Agents of the table, with [`GRANTS`] each.
const AGENTS: u32 = 10_000;
const GRANTS: u32 = 20;
const NOW: Moment = Moment(1_000);

fn capability(n: u32, leaf: &str) -> Capability {
    Capability::parse(&format!("store.brain{n}.kv{leaf}")).unwrap()
}

fn table() -> Table {
    let scope = Arc::new(Scope::new());
    let grant = |n: u32| {
        let id = GrantId(u64::from(n));
        Grant::new(capability(n, ""), Arc::clone(&scope), None, Vec::new(), None, id)
    };
    let grants = Arc::new(GrantSet::new((0..GRANTS).map(grant).collect()).unwrap());
    let row = |n: u32| (Principal(n), format!("agent/{n}").into(), 1, Arc::clone(&grants));
    let routes = (0..GRANTS).map(|n| (capability(n, ".get"), Route(n)));
    let table = (0..AGENTS).map(row).fold(Table::default().with_routes(routes), |table, row| {
        let (principal, name, incarnation, grants) = row;
        table.with_principal(principal, name, incarnation, grants)
    });
    table.with_grants(Principal(7), Arc::new(GrantSet::default()))
}

fn envelope(who: u32, capability: &Arc<str>) -> Envelope<()> {
    Envelope {
        from: Address { principal: Principal(who), incarnation: 1 },
        capability: Arc::clone(capability),
        args: vec![0; 64],
        chain: Chain::default(),
        deadline: None,
        cargo: (),
    }
}

fn admission(c: &mut Criterion) {
    let table = table();
    let wanted = capability(7, ".get").shared().clone();
    let mut group = c.benchmark_group("admit");
    for (name, who, allowed) in [("allowed", 77, true), ("refused", 7, false)] {
        group.bench_function(name, |bench| {
            bench.iter_batched(
                || envelope(who, &wanted),
                |envelope| {
                    let admission = admit(black_box(&table), envelope, NOW);
                    assert_eq!(matches!(admission, Admission::Admitted(_)), allowed);
                    admission
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, admission);
criterion_main!(benches);
