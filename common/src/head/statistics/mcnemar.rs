//! McNemar's test: do two heads differ on the same rows by more than chance?
//!
//! Only the rows count that one head has right and the other wrong. Below
//! [`EXACT_BELOW`] of them the two-sided p is exact (binomial with ½), otherwise it is of
//! χ² = (|b − c| − 1)² / (b + c) with Edwards' continuity correction, one degree of
//! freedom. SciPy's `binomtest` and `chi2` judge both.

use serde::{Deserialize, Serialize};

/// Differing rows below which the exact test is used.
pub const EXACT_BELOW: u64 = 1000;

/// Terms of the series and of the continued fraction of the error function at most.
const MAX_TERMS: u32 = 300;

/// The outcome of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McNemar {
    /// Rows that only the first head has right.
    pub only_first: u64,
    /// Rows that only the second head has right.
    pub only_second: u64,
    /// How p was computed.
    pub test: McNemarTest,
    /// Two-sided probability of a difference at least as large where there is none.
    pub p: f64,
}

/// How the probability is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum McNemarTest {
    /// From the binomial distribution.
    Exact,
    /// From χ² with continuity correction.
    Corrected,
}

/// Tests whether two heads differ, from the rows that only one of them has right.
pub fn mcnemar(only_first: u64, only_second: u64) -> McNemar {
    let differing = only_first + only_second;
    let (test, p) = if differing < EXACT_BELOW {
        let fewer = only_first.min(only_second);
        (McNemarTest::Exact, binomial_p(fewer, differing))
    } else {
        let gap = only_first.abs_diff(only_second) as f64 - 1.0;
        let chi = gap.max(0.0) / (differing as f64).sqrt();
        (McNemarTest::Corrected, normal_tails(chi))
    };
    McNemar {
        only_first,
        only_second,
        test,
        p,
    }
}

/// 2·P(X ≤ `fewer`) of a binomial with `count` trials and ½, at most 1.
fn binomial_p(fewer: u64, count: u64) -> f64 {
    // In logarithms: 2⁻⁹⁹⁹ times a binomial coefficient.
    let mut log_term = -(count as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for k in 1..=fewer {
        log_term += ((count - k + 1) as f64).ln() - (k as f64).ln();
        sum += log_term.exp();
    }
    (2.0 * sum).min(1.0)
}

/// P(|Z| > x) of a standard normal Z, for x ≥ 0: erfc(x/√2).
pub fn normal_tails(x: f64) -> f64 {
    let half = x * x / 2.0;
    if half < 2.0 {
        // erf(t) = 2/√π·e^(−t²)·Σ 2ⁿ·t^(2n+1)/(1·3·…·(2n+1)), t² = half.
        let mut term = half.sqrt();
        let mut sum = term;
        for n in 1..MAX_TERMS {
            term *= 2.0 * half / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-half).exp() * sum;
    }
    // The continued fraction t + (1/2)/(t + 1/(t + (3/2)/(t + …))), from its far end.
    let t = half.sqrt();
    let mut fraction = t;
    for n in (1..MAX_TERMS).rev() {
        fraction = t + f64::from(n) / 2.0 / fraction;
    }
    std::f64::consts::FRAC_2_SQRT_PI / 2.0 * (-half).exp() / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_that_never_differ_do_not_differ() {
        assert_eq!(mcnemar(0, 0).p, 1.0);
        assert_eq!(mcnemar(7, 7).p, 1.0);
        assert_eq!(mcnemar(600, 600).p, 1.0);
    }

    #[test]
    fn five_against_none_is_one_in_sixteen() {
        assert!((mcnemar(0, 5).p - 0.0625).abs() < 1e-12);
        assert_eq!(mcnemar(0, 5).p, mcnemar(5, 0).p);
    }
}
