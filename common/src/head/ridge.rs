//! Ridge classification in the objective of scikit-learn's `RidgeClassifier`: for
//! each class c, with targets y = 1 in its rows and −1 in all others,
//!
//! ```text
//! minimise  Σ_i (w_c·x_i + b_c − y_ic)² + λ·‖w_c‖²       (b is free)
//! ```
//!
//! Comes in: the rows' [`Gram`] sums, taken in one pass. Goes out: a head for every λ,
//! from one decomposition: centred, w_c solves (A + λ·I)·w_c = Σ x·y_c. Its logits
//! are scores around ±1; they become probabilities once a temperature is fitted.

use super::{Gram, Head, HeadKind, tridiagonal::Tridiagonal};

/// λ unless told otherwise: 13 values, a factor of 10 apart.
pub const DEFAULT_PATH: [f64; 13] = [
    1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6,
];

/// Why no ridge head can be fitted.
#[derive(Debug, thiserror::Error)]
pub enum RidgeError {
    /// λ is not usable.
    #[error("ridge: lambda is {0}, a positive number was expected")]
    Penalty(f64),

    /// There is nothing to fit to.
    #[error("ridge: no rows were given (choose a split that holds some)")]
    Empty,
}

/// All ridge heads of one data set.
pub struct Ridge {
    decomposed: Tridiagonal,
    mean: Vec<f64>,
    /// Mean target of each class, `[C]`.
    targets: Vec<f64>,
    /// Σ x·y in the basis of the decomposition, `[C, D]`.
    right: Vec<f64>,
}

impl Ridge {
    /// Decomposes the sums.
    ///
    /// # Errors
    /// When they are of no rows.
    pub fn new(gram: Gram) -> Result<Self, RidgeError> {
        let rows = gram.rows() as f64;
        if rows == 0.0 {
            return Err(RidgeError::Empty);
        }
        let decomposed = Tridiagonal::of(gram.centred, gram.features);
        // Σ (x − μ)·y = 2·Σ over the class's rows, as Σ (x − μ) over all is zero.
        let right: Vec<f64> = gram.class_sums.iter().map(|sum| 2.0 * sum).collect();
        let target = |count: &u64| 2.0 * *count as f64 / rows - 1.0;
        Ok(Self {
            right: decomposed.rotate(&right),
            decomposed,
            mean: gram.mean,
            targets: gram.class_rows.iter().map(target).collect(),
        })
    }

    /// The head for λ = `penalty`.
    ///
    /// # Errors
    /// When `penalty` is not positive.
    pub fn head(&self, penalty: f64) -> Result<Head, RidgeError> {
        if !(penalty > 0.0 && penalty.is_finite()) {
            return Err(RidgeError::Penalty(penalty));
        }
        let width = self.mean.len();
        let mut weight = self.right.clone();
        for row in weight.chunks_exact_mut(width) {
            self.decomposed.solve(1.0, penalty, row);
        }
        let weight = self.decomposed.rotate_back(&weight);
        let mut head = Head::zeros(HeadKind::Linear, width, self.targets.len());
        let layer = &mut head.layers_mut()[0];
        for (target, value) in layer.weight.iter_mut().zip(&weight) {
            *target = *value as f32;
        }
        let classes = weight.chunks_exact(width).zip(&self.targets);
        for (bias, (row, target)) in layer.bias.iter_mut().zip(classes) {
            let products = row.iter().zip(&self.mean).map(|(w, mean)| w * mean);
            *bias = (target - products.sum::<f64>()) as f32;
        }
        Ok(head)
    }
}
