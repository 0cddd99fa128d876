//! Average precision, as scikit-learn's `average_precision_score`.
//!
//! AP = Σ_n (R_n − R_{n−1})·P_n over the thresholds, from the highest score down; rows
//! with equal scores share a threshold. Nothing is interpolated.

/// Average precision of one class: `scores` `[N]` with whether each row has the
/// class, `[N]`. `None` where no row has it.
pub fn average_precision(scores: &[f32], positive: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let total = positive.iter().filter(|positive| **positive).count();
    if total == 0 {
        return None;
    }
    let (mut seen, mut found, mut area) = (0, 0, 0.0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let hits = tied.iter().filter(|&&row| positive[row]).count();
        seen += tied.len();
        found += hits;
        area += hits as f64 / total as f64 * (found as f64 / seen as f64);
    }
    Some(area)
}

/// Mean of the average precision over the classes that some row has: `scores` and
/// `positive` are `[N, C]`. `None` where no class is.
pub fn mean_average_precision(scores: &[f32], positive: &[bool], classes: usize) -> Option<f64> {
    let column = |class: usize| {
        let scores: Vec<f32> = scores
            .iter()
            .skip(class)
            .step_by(classes)
            .copied()
            .collect();
        let positive: Vec<bool> = positive
            .iter()
            .skip(class)
            .step_by(classes)
            .copied()
            .collect();
        average_precision(&scores, &positive)
    };
    let values: Vec<f64> = (0..classes).filter_map(column).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_class_has_no_average_precision_and_takes_no_part_in_the_mean() {
        assert_eq!(average_precision(&[0.5, 0.1], &[false, false]), None);
        let scores = [0.9, 0.3, 0.1, 0.2];
        let mean = mean_average_precision(&scores, &[true, false, false, false], 2);
        assert_eq!(mean, Some(1.0));
    }
}
