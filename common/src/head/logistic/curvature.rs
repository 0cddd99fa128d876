//! The approximate Hessian that a step is preconditioned with.
//!
//! H ≈ G ⊗ A + r·I for the weight and G for the bias of centred features: G is the
//! mean of diag(p) − p·pᵀ, A the features' covariance. Exact where p is the same in all rows.

use super::{
    jacobi::Eigen,
    objective::{COUPLED_CLASSES, Evaluation, Point},
};
use crate::head::{gram::Gram, tridiagonal::Tridiagonal};

/// Smallest curvature of a direction between classes, as a share of the largest. One
/// direction, the same shift of all classes, has none at all.
const CURVATURE_FLOOR: f64 = 1e-3;

/// The features' covariance, decomposed.
pub(super) struct FeatureCovariance {
    mean: Vec<f64>,
    decomposed: Tridiagonal,
}

impl FeatureCovariance {
    pub(super) fn of(gram: Gram) -> Self {
        let rows = gram.rows() as f64;
        let mut covariance = gram.centred;
        covariance.iter_mut().for_each(|value| *value /= rows);
        Self {
            mean: gram.mean,
            decomposed: Tridiagonal::of(covariance, gram.features),
        }
    }
}

/// The classes' covariance, decomposed: G = U·diag(g)·Uᵀ.
pub(super) enum ClassCovariance {
    /// In full.
    Coupled(Eigen),
    /// All directions alike, where there are too many classes.
    Alike(f64),
}

impl ClassCovariance {
    pub(super) fn of(evaluation: &Evaluation) -> Self {
        let classes = evaluation.probability.len();
        if classes > COUPLED_CLASSES {
            // Without products: as if every row had the mean probabilities.
            let squares: f64 = evaluation.probability.iter().map(|p| p * p).sum();
            return Self::Alike((1.0 - squares) / (classes - 1) as f64);
        }
        let mut covariance: Vec<f64> = evaluation.products.iter().map(|value| -value).collect();
        for (class, probability) in evaluation.probability.iter().enumerate() {
            covariance[class * (classes + 1)] += probability;
        }
        let mut eigen = Eigen::of(covariance, classes);
        let largest = eigen.values.iter().copied().fold(0.0, f64::max);
        let floor = (CURVATURE_FLOOR * largest).max(f64::MIN_POSITIVE);
        eigen
            .values
            .iter_mut()
            .for_each(|value| *value = value.max(floor));
        Self::Coupled(eigen)
    }

    fn curvature(&self, class: usize) -> f64 {
        match self {
            Self::Coupled(eigen) => eigen.values[class],
            Self::Alike(value) => *value,
        }
    }

    /// Into the basis U, in place: `[C, n]`.
    fn enter(&self, rows: &mut Vec<f64>) {
        if let Self::Coupled(eigen) = self {
            *rows = eigen.enter(rows);
        }
    }

    /// Out of it.
    fn leave(&self, rows: &mut Vec<f64>) {
        if let Self::Coupled(eigen) = self {
            *rows = eigen.leave(rows);
        }
    }
}

/// H⁻¹·`gradient`, in place, with the penalty `ridge`.
pub(super) fn precondition(
    gradient: &mut Point,
    features: &FeatureCovariance,
    classes: &ClassCovariance,
    ridge: f64,
) {
    let width = features.mean.len();
    let (weight, bias) = gradient.split_mut();
    // With the features centred at fixed b̃ = b + W·μ, weight and bias part.
    for (row, bias) in weight.chunks_exact_mut(width).zip(bias.iter()) {
        for (value, mean) in row.iter_mut().zip(&features.mean) {
            *value -= bias * mean;
        }
    }
    let mut rotated = features.decomposed.rotate(weight);
    classes.enter(&mut rotated);
    let mut shifts = bias.to_vec();
    classes.enter(&mut shifts);
    for (class, row) in rotated.chunks_exact_mut(width).enumerate() {
        let curvature = classes.curvature(class);
        features.decomposed.solve(curvature, ridge, row);
        shifts[class] /= curvature;
    }
    classes.leave(&mut rotated);
    classes.leave(&mut shifts);
    weight.copy_from_slice(&features.decomposed.rotate_back(&rotated));
    for ((row, bias), shift) in weight.chunks_exact(width).zip(bias).zip(shifts) {
        let moved: f64 = row
            .iter()
            .zip(&features.mean)
            .map(|(w, mean)| w * mean)
            .sum();
        *bias = shift - moved;
    }
}
