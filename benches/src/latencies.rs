//! Round trips of one phase, and what is said of them.

use serde_json::{Value, json};
use std::time::Duration;

/// Round trips, in the order they were measured.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

/// Percentiles by nearest rank: values that were measured, never between two of them.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// How many.
    pub calls: usize,
    /// Half took at most this.
    pub p50: Duration,
    /// All but one in a hundred took at most this.
    pub p99: Duration,
    /// All but one in a thousand.
    pub p999: Duration,
    /// The longest stall.
    pub max: Duration,
}

impl Latencies {
    /// Notes one round trip.
    pub fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// `None` when nothing was measured.
    pub fn figures(&self) -> Option<Figures> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let max = *sorted.last()?;
        let rank = |per_mille: usize| {
            let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
            sorted.get(rank - 1).copied().unwrap_or(max)
        };
        let (p50, p99, p999) = (rank(500), rank(990), rank(999));
        Some(Figures { calls: sorted.len(), p50, p99, p999, max })
    }
}

impl Figures {
    /// For programs; times in microseconds.
    pub fn json(&self) -> Value {
        let us = |took: Duration| took.as_secs_f64() * 1e6;
        json!({
            "calls": self.calls, "p50_us": us(self.p50), "p99_us": us(self.p99),
            "p999_us": us(self.p999), "max_us": us(self.max),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut all = Latencies::default();
        assert!(all.figures().is_none());
        for ms in (1..=200).rev() {
            all.push(Duration::from_millis(ms));
        }
        let figures = all.figures().unwrap();
        let ms = |took: Duration| took.as_millis();
        assert_eq!((ms(figures.p50), ms(figures.p99)), (100, 198));
        assert_eq!((ms(figures.p999), ms(figures.max), figures.calls), (200, 200, 200));
    }
}
