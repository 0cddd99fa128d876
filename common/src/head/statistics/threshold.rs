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
            let own = probabilities[tied[0]];
            let next = groups
                .get(index + 1)
                .map_or(0.0, |tied| probabilities[tied[0]]);
            let middle = next + (own - next) / 2.0;
            best = f1;
            threshold = if middle > next { middle } else { own };
        }
    }
    Some(threshold)
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
    fn tied_rows_are_predicted_together() {
        let found = best_threshold(&[0.5, 0.5, 0.5], &[true, false, false]).unwrap();
        assert!(found <= 0.5 && found > 0.0);
        assert_eq!(best_threshold(&[0.0, 0.0], &[true, false]), Some(0.0));
    }
}
