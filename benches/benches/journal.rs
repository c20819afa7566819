//! What a call costs in the turn's journal: told of it, and told of its answer.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use loket_turn::{Answered, Begin, EffectClass, Hash, Journal, Life, MessageId, Mode, Step};

/// Calls of one turn; the time printed is that of all of them.
const CALLS: u32 = 100;

const ARGS: [u8; 64] = [b'x'; 64];

fn journal() -> Journal {
    let begin = Begin {
        module: Hash::default(),
        settings: Hash::default(),
        grants: Hash::default(),
        memory_bytes: 32 << 20,
        output_bytes: 1 << 20,
        calls_max: CALLS,
        pure_version: 1,
        time_ms: 1_000,
        seed: 7,
    };
    Journal::new(Life(1), MessageId([7; 16]), Mode::Live, begin, false, Vec::new())
}

fn calls(mut journal: Journal, class: EffectClass) -> Journal {
    for _ in 0..CALLS {
        let Ok(Step::Send(live)) = journal.next_call("store.brain.kv.get", &ARGS) else {
            panic!("a live turn sends its calls");
        };
        let outcome = Ok(ARGS.to_vec());
        let answered =
            Answered { class, outcome, stamp_ms: 1_000, effect: None, durable: false, took_ms: 0 };
        journal.finish(&live, "store.brain.kv.get", &ARGS, answered).unwrap();
    }
    journal
}

fn journalled(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal/100 calls");
    for class in [EffectClass::Pure, EffectClass::Observe] {
        group.bench_function(class.as_str(), |bench| {
            bench.iter_batched(journal, |journal| calls(journal, class), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, journalled);
criterion_main!(benches);
