//! The probability from which on a class is predicted.

/// Threshold where nothing tells a better one.
pub const DEFAULT_THRESHOLD: f64 = 0.5;

/// The probability 1 / (1 + e⁻ᶻ) of a logit.
pub fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// The threshold with the largest F1 for `probabilities` `[N]`, each in [0, 1], of rows that
/// have the class or not, `[N]`: rows from it on are predicted. It lies half-way between
/// two probabilities; of equal F1 the highest threshold is chosen. `None` where no row has the
/// class.
pub fn best_threshold(probabilities: &[f64], positive: &[bool]) -> Option<f64> {
    let total = positive.iter().filter(|positive| **positive).count();
    if total == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let groups: Vec<&[usize]> = order
        .chunk_by(|&a, &b| probabilities[a] == probabilities[b])
        .collect();
    let (mut predicted, mut hits) = (0, 0);
    let (mut best, mut threshold) = (0.0, DEFAULT_THRESHOLD);
    for (index, tied) in groups.iter().enumerate() {
        predicted += tied.len();
        hits += tied.iter().filter(|&&row| positive[row]).count();
        let f1 = 2.0 * hits as f64 / (predicted + total) as f64;
        if f1 > best {
            best = f1;
            let next = groups
                .get(index + 1)
                .map_or(0.0, |tied| probabilities[tied[0]]);
            threshold = between(next, probabilities[tied[0]]);
        }
    }
    Some(threshold)
}

/// A number above `low` and not above `high`, near their middle and short where there is a
/// short one: it is read back from JSON as it was.
fn between(low: f64, high: f64) -> f64 {
    let middle = low + (high - low) / 2.0;
    let short = (middle * 1e6).round() / 1e6;
    let candidates = [short, middle].into_iter();
    let mut inside = candidates.filter(|value| *value > low && *value <= high);
    inside.next().unwrap_or(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separable_rows_are_separated_half_way() {
        let found = best_threshold(&[0.9, 0.2, 0.7, 0.1], &[true, false, true, false]);
        assert!((found.unwrap() - 0.45).abs() < 1e-12);
        assert_eq!(best_threshold(&[0.3, 0.2], &[false, false]), None);
    }

    #[test]
    fn threshold_lies_between_its_neighbours_however_near_they_are() {
        let high = 0.3_f64;
        let low = high.next_down();
        for (low, high) in [(0.1, 0.2), (low, high), (0.0, 1e-9), (0.0, 0.0)] {
            let found = between(low, high);
            assert!(
                found <= high && (found > low || low == high),
                "{low} {high}"
            );
        }
        assert_eq!(between(0.1, 0.2), 0.15);
    }

    #[test]
    fn tied_rows_are_predicted_together() {
        let found = best_threshold(&[0.5, 0.5, 0.5], &[true, false, false]).unwrap();
        assert!(found <= 0.5 && found > 0.0);
        assert_eq!(best_threshold(&[0.0, 0.0], &[true, false]), Some(0.0));
    }
}
