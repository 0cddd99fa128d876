//! Real weights to integers with a scale an output, such that sums cannot
//! overflow.

/// What integers may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Largest magnitude of a weight.
    weight: i32,
    /// Largest magnitude of what it is multiplied by.
    input: i64,
    /// Taps of a row `[in, taps]` of bytes: at every tap, weights of the input channels 2i and
    /// 2i + 1 are [`PAIR`] at most together.
    taps: Option<usize>,
}

impl Limits {
    /// Of weights of 8 bits, for a kernel of so many taps.
    pub(super) fn bytes(input: i64, taps: usize) -> Self {
        Self {
            weight: BYTE,
            input,
            taps: Some(taps),
        }
    }

    /// Of weights of 16 bits.
    pub(super) fn shorts(input: i64) -> Self {
        Self {
            weight: SHORT,
            input,
            taps: None,
        }
    }
}

/// Largest magnitude of a signed byte; −128 is left out.
const BYTE: i32 = 127;

/// Largest magnitude of a 16-bit weight; −32768 is left out, so that a sum of
/// two products always fits into 32 bits.
const SHORT: i32 = 32_767;

/// Largest sum of two magnitudes: as factors of bytes, which 255 bounds, they give 16 bits
/// together.
pub(super) const PAIR: i32 = 128;

/// 3·2⁵¹: a float that this was added to has an integer in its mantissa.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

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
    let mut scale = (largest / f64::from(limits.weight)).max(total / room);
    if let Some(taps) = limits.taps {
        // Here, too, rounding adds.
        scale = scale.max(largest_pair(row, taps) / f64::from(PAIR - 1));
    }
    let integers = row.iter().map(|value| nearest(value / scale));
    (integers.collect(), scale)
}

/// Largest sum of the magnitudes of two neighbours.
fn largest_pair(row: &[f64], taps: usize) -> f64 {
    let mut largest = 0.0;
    for pair in row.chunks(2 * taps) {
        for tap in 0..taps {
            let second = pair.get(taps + tap).map_or(0.0, |value| value.abs());
            largest = f64::max(largest, pair[tap].abs() + second);
        }
    }
    largest
}

/// The nearest integer, ties to even, of a value of 32 bits; `f64::round_ties_even` is a call into
/// the C library where the instruction is not part of the baseline.
fn nearest(value: f64) -> i32 {
    (value + ROUNDING).to_bits() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_and_to_even() {
        for (value, integer) in [
            (0.5, 0),
            (1.5, 2),
            (-0.5, 0),
            (-2.5, -2),
            (-127.4, -127),
            (32_766.6, 32_767),
        ] {
            assert_eq!(nearest(value), integer);
        }
    }

    #[test]
    fn neighbours_are_channels_at_the_same_tap() {
        // [3 in, 2 taps]
        assert_eq!(largest_pair(&[1.0, -5.0, 2.0, 3.0, -7.0, 6.0], 2), 8.0);
    }

    #[test]
    fn sums_of_the_largest_inputs_fit_into_32_bits() {
        for terms in [1, 9, 147, 512, 4608] {
            for limits in [
                Limits::bytes(255, 1),
                Limits::shorts(255),
                Limits::shorts(12_800),
                Limits::shorts(8191),
            ] {
                let row: Vec<_> = (0..terms).map(|term| f64::from(term % 7) - 3.3).collect();
                let (integers, scale) = quantise(&row, limits);
                let sum: i64 = integers.iter().map(|n| i64::from(n.abs())).sum();
                assert!(sum * limits.input <= i64::from(i32::MAX));
                if limits.taps.is_some() {
                    for pair in integers.chunks(2) {
                        assert!(pair.iter().map(|n| n.abs()).sum::<i32>() <= PAIR);
                    }
                }
                for (value, integer) in row.iter().zip(integers) {
                    assert!(integer.abs() <= limits.weight);
                    assert!(
                        (value - scale * f64::from(integer)).abs() <= 0.5 * scale * (1.0 + 1e-9)
                    );
                }
            }
        }
        assert_eq!(quantise(&[0.0; 3], Limits::shorts(1)), (vec![0; 3], 0.0));
    }
}
