//! Real weights to integers with a scale an output, such that sums cannot
//! overflow.

/// What integers may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Largest magnitude of a weight.
    pub(super) weight: i32,
    /// Largest magnitude of what it is multiplied by.
    pub(super) input: i64,
}

/// Largest magnitude of a signed byte; −128 is left out.
pub(super) const BYTE: i32 = 127;

/// Largest magnitude of a 16-bit weight; −32768 is left out, so that a sum of
/// two products always fits into 32 bits.
pub(super) const SHORT: i32 = 32_767;

/// Integers `n` and a scale `s` with `row ≈ s · n`, `|n| ≤ weight`, and
/// `Σ |n| · input < 2³¹`, whatever the order of the sum.
pub(super) fn quantise(row: &[f64], limits: Limits) -> (Vec<i32>, f64) {
    let largest = row.iter().copied().map(f64::abs).fold(0.0, f64::max);
    if largest == 0.0 {
        return (vec![0; row.len()], 0.0);
    }
    let total: f64 = row.iter().copied().map(f64::abs).sum();
    // Rounding adds half at most to every weight that is not zero.
    let nonzero = row.iter().filter(|value| **value != 0.0).count() as f64;
    let room = f64::from(i32::MAX) / limits.input as f64 - 0.5 * nonzero;
    debug_assert!(room > 0.0, "{} terms of {}", row.len(), limits.input);
    let scale = (largest / f64::from(limits.weight)).max(total / room);
    let integers = row
        .iter()
        .map(|value| (value / scale).round_ties_even() as i32);
    (integers.collect(), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_the_largest_inputs_fit_into_32_bits() {
        for terms in [1, 9, 147, 512, 4608] {
            for (weight, input) in [(BYTE, 255), (SHORT, 255), (SHORT, 12_800), (SHORT, 8191)] {
                let row: Vec<_> = (0..terms).map(|term| f64::from(term % 7) - 3.3).collect();
                let (integers, scale) = quantise(&row, Limits { weight, input });
                let sum: i64 = integers.iter().map(|n| i64::from(n.abs())).sum();
                assert!(sum * input <= i64::from(i32::MAX));
                for (value, integer) in row.iter().zip(integers) {
                    assert!(integer.abs() <= weight);
                    assert!(
                        (value - scale * f64::from(integer)).abs() <= 0.5 * scale * (1.0 + 1e-9)
                    );
                }
            }
        }
        assert_eq!(
            quantise(
                &[0.0; 3],
                Limits {
                    weight: 1,
                    input: 1
                }
            ),
            (vec![0; 3], 0.0)
        );
    }
}
