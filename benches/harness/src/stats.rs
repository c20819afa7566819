//! Medians of repeats and how far they can be trusted.

use serde::{Deserialize, Serialize};

/// A figure out of several repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lower end of the 95 % confidence interval of the median.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The repeats, in the order they were taken.
    pub repeats: Vec<f64>,
}

impl Spread {
    /// `None` when nothing was measured.
    #[must_use]
    pub fn of(repeats: Vec<f64>) -> Option<Self> {
        let median = median(&repeats)?;
        let (low, high) = interval(resampled(&repeats, median_of))?;
        Some(Self { median, low, high, repeats })
    }

    /// The 95 % confidence interval of how many times this median is the other's.
    #[must_use]
    pub fn ratio(&self, base: &Self) -> Option<(f64, f64, f64)> {
        let ours = resampled(&self.repeats, median_of);
        let mut theirs = resampled(&base.repeats, median_of);
        // Both were drawn by the same numbers: turned round, the draws are independent enough of each other.
        theirs.rotate_left(DRAWS / 2);
        let ratios = ours.into_iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let (low, high) = interval(ratios)?;
        Some((self.median / base.median, low, high))
    }
}

/// Samples that are drawn to see how far a median moves: the usual number for a 95 % interval.
const DRAWS: usize = 2_000;

fn median(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| median_of(&mut values.to_vec()))
}

/// Of at least one value.
fn median_of(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// What `of` makes of samples drawn from `values` with putting back. The draws are the same each time: a report of the same
/// repeats is the same report.
fn resampled(values: &[f64], of: impl Fn(&mut [f64]) -> f64) -> Vec<f64> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values[usize::try_from(state % values.len() as u64).unwrap_or(0)]
    };
    let mut sample = vec![0.0; values.len()];
    (0..DRAWS)
        .map(|_| {
            sample.iter_mut().for_each(|value| *value = draw());
            of(&mut sample)
        })
        .collect()
}

fn interval(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let at = |per_mille: usize| values.get(values.len() * per_mille / 1_000).copied();
    Some((at(25)?, at(974)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_median_lies_in_its_interval() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0, 100.0, 2.5]).unwrap();
        assert!((spread.median - 2.5).abs() < 1e-9);
        assert!(spread.low <= 2.5 && 2.5 <= spread.high && spread.high <= 100.0, "{spread:?}");
        assert!(Spread::of(Vec::new()).is_none());
    }

    #[test]
    fn a_ratio_tells_a_difference_from_noise() {
        let spread = |of: &[f64]| Spread::of(of.to_vec()).unwrap();
        let base = spread(&[100.0, 101.0, 99.0, 100.5, 98.0, 102.0, 100.0]);
        let same = spread(&[99.0, 102.0, 100.0, 101.0, 98.5, 100.0, 101.5]);
        let half = spread(&[50.0, 51.0, 49.0, 50.0, 52.0, 48.0, 50.5]);
        let (_, low, high) = same.ratio(&base).unwrap();
        assert!(low < 1.0 && high > 1.0, "{low} {high}");
        let (ratio, low, high) = half.ratio(&base).unwrap();
        assert!((ratio - 0.5).abs() < 0.01 && low > 0.4 && high < 0.6, "{ratio} {low} {high}");
    }
}
