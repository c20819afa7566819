//! The delay before a restart, and the small random source for its jitter.

use super::spec::{Backoff, First};

/// SplitMix64: enough for jitter, and the same everywhere for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in 0..1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // 53 bits are what an f64 holds exactly.
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The delay in milliseconds before restart number `failures` (0 is the first since the child was
/// healthy).
pub(super) fn delay_ms(backoff: &Backoff, failures: u32, rng: &mut Rng) -> u64 {
    let Some(power) = failures.checked_sub(1) else {
        return match backoff.first {
            First::Immediate => 0,
            First::Ms(ms) => ms.min(backoff.max_ms),
        };
    };
    let power = i32::try_from(power).unwrap_or(i32::MAX);
    let max = backoff.max_ms as f64;
    let base = (backoff.min_ms as f64 * backoff.factor.powi(power)).min(max);
    let spread = 1.0 - backoff.jitter + 2.0 * backoff.jitter * rng.unit();
    // A float to integer `as` saturates, and NaN (0 * infinity) becomes 0.
    (base * spread).min(max) as u64
}
