//! Bootstrap intervals: rows are drawn with replacement, and the percentiles of the
//! figure over many such samples bound it (Efron's percentile interval).

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::random;

/// Samples drawn unless told otherwise.
pub const DEFAULT_RESAMPLES: usize = 1000;

/// Share of the samples whose figure lies in the interval.
pub const DEFAULT_CONFIDENCE: f64 = 0.95;

/// From where to where a figure may lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How an interval is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Number of samples, 1 or more.
    pub resamples: usize,
    /// Share of them within the interval, between 0 and 1.
    pub confidence: f64,
    /// Seed of the drawing.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self {
            resamples: DEFAULT_RESAMPLES,
            confidence: DEFAULT_CONFIDENCE,
            seed: 0,
        }
    }
}

/// The intervals of several figures of the same `rows` rows, from the same samples.
/// `figures` computes them from how many times each row was drawn, `[rows]`.
/// Percentiles are interpolated as NumPy's; samples in which a figure is not a
/// number do not count, and one that never is has no interval.
pub fn bootstrap<const N: usize>(
    rows: usize,
    resampling: &Resampling,
    figures: impl Fn(&[u32]) -> [f64; N],
) -> [Option<Interval>; N] {
    let mut stream = random::stream(resampling.seed, "statistics/bootstrap");
    let mut counts = vec![0; rows];
    let mut samples: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..resampling.resamples {
        counts.fill(0);
        for _ in 0..rows {
            counts[stream.random_range(0..rows)] += 1;
        }
        for (sample, figure) in samples.iter_mut().zip(figures(&counts)) {
            if !figure.is_nan() {
                sample.push(figure);
            }
        }
    }
    samples.map(|mut sample| {
        sample.sort_by(f64::total_cmp);
        let tail = (1.0 - resampling.confidence) / 2.0;
        Some(Interval {
            low: percentile(&sample, tail)?,
            high: percentile(&sample, 1.0 - tail)?,
        })
    })
}

/// The `share` quantile of sorted values, interpolated between neighbours.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share * last as f64;
    let below = (position as usize).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (position - below as f64) * (sorted[above] - sorted[below]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_of(ones: usize, rows: usize, seed: u64) -> Interval {
        let resampling = Resampling {
            seed,
            ..Resampling::default()
        };
        let [interval] = bootstrap(rows, &resampling, |counts| {
            [f64::from(counts[..ones].iter().sum::<u32>()) / rows as f64]
        });
        interval.unwrap()
    }

    #[test]
    fn interval_of_a_share_is_the_binomials() {
        // 300 of 1,000: 1.96 standard errors are 0.0284.
        let interval = share_of(300, 1000, 1);
        assert!((interval.low - 0.2716).abs() < 0.004, "{interval:?}");
        assert!((interval.high - 0.3284).abs() < 0.004, "{interval:?}");
    }

    #[test]
    fn seed_decides_the_interval() {
        assert_eq!(share_of(30, 99, 1), share_of(30, 99, 1));
        assert_ne!(share_of(30, 99, 1), share_of(30, 99, 2));
    }

    #[test]
    fn percentiles_are_interpolated_and_nothing_has_no_interval() {
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
        let never = |_: &[u32]| [f64::NAN];
        assert_eq!(bootstrap(3, &Resampling::default(), never), [None]);
        assert_eq!(bootstrap(0, &Resampling::default(), never), [None]);
    }
}
