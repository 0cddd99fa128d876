//! Temperature scaling (Guo et al., *On Calibration of Modern Neural Networks*, 2017):
//! logits are divided by the one T that makes the NLL of validation rows smallest.

use super::calibration::negative_log;

/// Newton steps at most; a handful is usual.
const MAX_STEPS: usize = 100;

/// Change of the scale, as a share of it, that counts as none.
const CONVERGED: f64 = 1e-10;

/// Least and largest T. Where every row is right the NLL has no minimum, and an end of
/// this range is the best there is.
pub const TEMPERATURES: (f64, f64) = (0.01, 100.0);

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// T, within [`TEMPERATURES`].
    pub temperature: f64,
    /// Mean negative log-likelihood at T, in nats.
    pub nll: f64,
}

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

    /// The best T within [`TEMPERATURES`]. The NLL is convex in 1/T, so its slope brackets
    /// the minimum; Newton's steps that leave the bracket are replaced by its middle.
    ///
    /// # Errors
    /// When there are no rows, or a logit is not finite.
    pub fn fit(&self) -> Result<Scaling, TemperatureError> {
        if self.labels.is_empty() {
            return Err(TemperatureError::Empty);
        }
        if !self.logits.iter().all(|z| z.is_finite()) {
            return Err(TemperatureError::NonFinite);
        }
        let (mut low, mut high) = (1.0 / TEMPERATURES.1, 1.0 / TEMPERATURES.0);
        for (end, sign) in [(low, 1.0), (high, -1.0)] {
            let at = self.derivatives(end);
            if at.slope * sign >= 0.0 {
                return Ok(self.scaling(end, &at));
            }
        }
        let mut scale = 1.0;
        let mut at = self.derivatives(scale);
        for _ in 0..MAX_STEPS {
            if at.slope > 0.0 {
                high = scale;
            } else {
                low = scale;
            }
            let newton = scale - at.slope / at.curvature;
            let inside = newton > low && newton < high;
            let next = if inside { newton } else { (low * high).sqrt() };
            let moved = (next - scale).abs();
            scale = next;
            at = self.derivatives(scale);
            if moved <= CONVERGED * scale {
                break;
            }
        }
        Ok(self.scaling(scale, &at))
    }

    fn scaling(&self, scale: f64, at: &Derivatives) -> Scaling {
        Scaling {
            temperature: 1.0 / scale,
            nll: at.value / self.labels.len() as f64,
        }
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
        assert!((right.fit().unwrap().temperature - TEMPERATURES.0).abs() < 1e-9);
        let mut wrong = Temperature::new(2);
        wrong.add(&[1.0, 0.0], &[1]);
        assert!((wrong.fit().unwrap().temperature - TEMPERATURES.1).abs() < 1e-9);
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
