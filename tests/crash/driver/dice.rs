//! Random numbers from a seed, so that a campaign's files and delays can be had again. (What the kills meet cannot.)

use std::time::Duration;

/// A generator of 64 bits of state: good enough to choose moments and words.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0..sides`; `sides` is at least 1.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.next() % sides.max(1) as u64).unwrap_or(0)
    }

    /// Uniform in `0..most`.
    pub(crate) fn within(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.roll(1 << 30) as f64 / f64::from(1 << 30))
    }
}
