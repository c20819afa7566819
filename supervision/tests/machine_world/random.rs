//! Seeded choices for the properties.
#![allow(missing_docs, unreachable_pub)]

use loket_supervision::machine::*;

/// Xorshift.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }
}

/// A spec that these flags allow.
pub fn random_spec(rng: &mut Rng, flags: &Flags, id: &str) -> ChildSpec {
    let restart = rng.pick(&[Restart::Permanent, Restart::Transient, Restart::Temporary]);
    let may = flags.auto_shutdown != AutoShutdown::Never && restart != Restart::Permanent;
    let backoff = Backoff {
        first: rng.pick(&[First::Immediate, First::Ms(20)]),
        min_ms: 10,
        max_ms: 300,
        factor: 2.0,
        jitter: 0.3,
        reset_after_ms: 200,
    };
    ChildSpec {
        restart,
        significant: may && rng.below(2) == 0,
        shutdown: rng.pick(&[Shutdown::BrutalKill, Shutdown::Timeout(50), Shutdown::Infinity]),
        backoff: (rng.below(3) == 0).then_some(backoff),
        start_timeout_ms: (rng.below(2) == 0).then_some(40),
        ..ChildSpec::worker(id)
    }
}
