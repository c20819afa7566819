//! The simulation's dice: all chance of a run comes from its seed.

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: u64,
    /// See [`Rng::leaning`].
    held: usize,
}

impl Rng {
    /// Dice of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self::leaning(seed, 0)
    }

    /// Dice that make so many of a hundred operations of scripts looks outside, calls which wait for a person, other Keyed calls, or
    /// traps at what was looked at; the operator denies and the outside refuses more by the same measure. What only such turns come to
    /// is met sooner. With 0 they are those of the seed.
    pub(crate) fn leaning(seed: u64, held: usize) -> Self {
        Self { state: seed, held }
    }

    /// Whether the leaning chooses the next operation; otherwise the seed has the choice.
    pub(crate) fn leans(&mut self) -> bool {
        self.held > 0 && self.percent(self.held)
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        usize::try_from(self.number() % bound).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
