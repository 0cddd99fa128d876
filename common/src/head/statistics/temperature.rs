//! Temperature scaling (Guo et al., *On Calibration of Modern Neural Networks*, 2017):
//! logits are divided by the one T that makes the NLL of validation rows smallest.

use super::calibration::negative_log;

/// Newton steps at most; a handful is usual.
const MAX_STEPS: usize = 100;

/// Change of the scale, as a share of it, that counts as none.
const CONVERGED: f64 = 1e-10;

/// Range of 1/T. Where all rows are right, or the head knows nothing, the best T
/// lies at an end of it.
const SCALES: (f64, f64) = (1e-3, 1e3);

/// Collects logits and finds the temperature that fits them.
#[derive(Clone, Debug)]
pub struct Temperature {
    classes: usize,
    logits: Vec<f32>,
    labels: Vec<u32>,
}

/// Why there is no temperature.
#[derive(Debug, thiserror::Error)]
pub enum TemperatureError {
    /// No row to fit to.
    #[error("temperature: no rows were given (choose a split that holds some)")]
    Empty,

    /// A logit is not a number.
    #[error("temperature: a logit is NaN or infinite (normalise the features)")]
    NonFinite,
}

impl Temperature {
    /// No rows yet.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            logits: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Adds `logits` `[B, C]` with `labels` `[B]`, each below C.
    pub fn add(&mut self, logits: &[f32], labels: &[u32]) {
        self.logits.extend_from_slice(logits);
        self.labels.extend_from_slice(labels);
    }

    /// T, from 0.001 to 1,000. The NLL is convex in 1/T: Newton's steps, halved where they
    /// do not make it smaller.
    ///
    /// # Errors
    /// When there are no rows, or a logit is not finite.
    pub fn fit(&self) -> Result<f64, TemperatureError> {
        if self.labels.is_empty() {
            return Err(TemperatureError::Empty);
        }
        if !self.logits.iter().all(|z| z.is_finite()) {
            return Err(TemperatureError::NonFinite);
        }
        let mut scale = 1.0;
        let mut at = self.derivatives(scale);
        for _ in 0..MAX_STEPS {
            let newton = at.slope / at.curvature;
            let step = if newton.is_finite() { newton } else { at.slope };
            // At most a factor of four at a time: far away the curvature vanishes.
            let mut next = (scale - step).clamp(scale / 4.0, scale * 4.0);
            next = next.clamp(SCALES.0, SCALES.1);
            let mut there = self.derivatives(next);
            while there.value > at.value && (next - scale).abs() > CONVERGED * scale {
                next = (next + scale) / 2.0;
                there = self.derivatives(next);
            }
            let moved = (next - scale).abs();
            (scale, at) = (next, there);
            if moved <= CONVERGED * scale {
                break;
            }
        }
        Ok(1.0 / scale)
    }

    /// The NLL of logits times `scale`, and its derivatives by `scale`: z̄ − z_y and
    /// the variance of z, both under softmax.
    fn derivatives(&self, scale: f64) -> Derivatives {
        let mut sums = Derivatives::default();
        let mut probabilities = vec![0.0; self.classes];
        let rows = self.logits.chunks_exact(self.classes);
        for (row, &label) in rows.zip(&self.labels) {
            let label = label as usize;
            sums.value += negative_log(row, label, 1.0 / scale, &mut probabilities);
            let pairs = || row.iter().map(|z| f64::from(*z)).zip(&probabilities);
            let mean: f64 = pairs().map(|(z, p)| p * z).sum();
            sums.slope += mean - f64::from(row[label]);
            sums.curvature += pairs().map(|(z, p)| p * (z - mean).powi(2)).sum::<f64>();
        }
        sums
    }
}

#[derive(Default)]
struct Derivatives {
    value: f64,
    slope: f64,
    curvature: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separable_rows_give_the_lowest_and_useless_ones_the_highest_temperature() {
        let mut right = Temperature::new(2);
        right.add(&[1.0, 0.0], &[0]);
        assert!((right.fit().unwrap() - 1e-3).abs() < 1e-9);
        let mut wrong = Temperature::new(2);
        wrong.add(&[1.0, 0.0], &[1]);
        assert!((wrong.fit().unwrap() - 1e3).abs() < 1e-3);
    }

    #[test]
    fn rows_that_cannot_be_fitted_are_refused() {
        let mut temperature = Temperature::new(2);
        assert!(matches!(temperature.fit(), Err(TemperatureError::Empty)));
        temperature.add(&[f32::NAN, 0.0], &[0]);
        assert!(matches!(
            temperature.fit(),
            Err(TemperatureError::NonFinite)
        ));
    }
}
