//! Times of single calls, in a histogram of fixed size.

use crate::BenchError;
use crate::report::Latency;
use hdrhistogram::Histogram;

/// The longest that is told apart, nanoseconds: ten minutes.
const LONGEST_NS: u64 = 600_000_000_000;

/// Significant digits.
const DIGITS: u8 = 3;

/// Times in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, BenchError> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).map_err(BenchError::setup)?))
    }

    pub(crate) fn push(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// `None` when nothing was measured.
    pub(crate) fn figures(&self) -> Option<Latency> {
        (!self.0.is_empty()).then(|| Latency {
            calls: self.0.len(),
            p50_ns: self.0.value_at_quantile(0.5),
            p99_ns: self.0.value_at_quantile(0.99),
            p999_ns: self.0.value_at_quantile(0.999),
            max_ns: self.0.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_pushed() {
        let mut all = Latencies::new().unwrap();
        assert!(all.figures().is_none());
        (1..=1_000).for_each(|ns| all.push(ns));
        let mut both = Latencies::new().unwrap();
        both.push(5_000);
        both.add(&all);
        let figures = both.figures().unwrap();
        assert_eq!((figures.calls, figures.p50_ns), (1_001, 501));
        // Three significant digits.
        assert!((5_000..=5_005).contains(&figures.max_ns), "{figures:?}");
        assert!((990..=992).contains(&figures.p99_ns), "{figures:?}");
    }
}
