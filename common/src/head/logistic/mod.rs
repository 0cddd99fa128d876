//! Multinomial logistic regression in scikit-learn's objective, over many values of C.
//!
//! ```text
//! minimise  C·Σ_i s_i·(−log softmax(W·x_i + b)_{y_i}) + ½·‖W‖²       (b is free)
//! ```
//!
//! s_i is the weight of row i's class. With two classes scikit-learn fits one vector
//! w = w₁ − w₀; then the penalty is ‖W‖², which has the same solution.
//!
//! Comes in: [`RowBlocks`], a list of C. Goes out: a [`Fit`] for each. L-BFGS whose initial
//! Hessian is (G ⊗ A) + r·I: A the features' covariance, decomposed once for every C, G the
//! classes' covariance at the last solution. The values of C are taken in ascending
//! order, each starting from the solution before it, extrapolated, and with what L-BFGS has
//! learned of the loss's curvature: a change of C changes the penalty's known curvature only.
//!
//! Products are f32 within a block and f64 between blocks, and f64 throughout once f32
//! finds no smaller objective though the gradient is not small enough. Blocks are summed in a fixed
//! order, so the bytes do not depend on the number of threads.

mod curvature;
mod descent;
mod jacobi;
mod memory;
mod objective;

use super::{
    Head, HeadKind,
    blocks::RowBlocks,
    gram::{Gram, Sampling},
};
use crate::cache::CacheError;
use curvature::FeatureCovariance;
use descent::Descent;
use objective::{Objective, Point};

/// Largest component of the mean loss's gradient at which a fit has converged, as
/// scikit-learn's `tol`.
pub const DEFAULT_TOLERANCE: f64 = 1e-4;

/// Largest number of steps for one C.
pub const DEFAULT_MAX_STEPS: usize = 1000;

/// C unless told otherwise: 13 values, a factor of √10 apart.
pub const DEFAULT_PATH: [f64; 13] = [
    1e-5, 3.16e-5, 1e-4, 3.16e-4, 1e-3, 3.16e-3, 1e-2, 3.16e-2, 1e-1, 3.16e-1, 1.0, 3.16, 10.0,
];

/// Rows that the features' covariance is estimated from, for each feature. It only
/// speeds up convergence: the solution does not depend on it.
const COVARIANCE_ROWS: usize = 8;

/// What is fitted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Inverse strengths of the penalty, positive.
    pub strengths: Vec<f64>,
    /// Weight of each class in the loss, `[C]`.
    pub class_weights: Vec<f64>,
    /// Largest component of the mean loss's gradient that is small enough.
    pub tolerance: f64,
    /// Largest number of steps for one C.
    pub max_steps: usize,
}

/// The solution at one C.
#[derive(Clone, Debug)]
pub struct Fit {
    /// C.
    pub strength: f64,
    /// The head.
    pub head: Head,
    /// C·Σ loss + ½‖W‖², as above.
    pub objective: f64,
    /// Largest component of the mean loss's gradient.
    pub gradient: f64,
    /// Steps taken.
    pub steps: usize,
    /// Passes over the rows.
    pub passes: usize,
    /// Why it ended.
    pub ending: Ending,
}

/// Why a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The gradient is within the tolerance.
    Converged,
    /// No step makes the objective smaller: the precision of f64 is reached.
    Precision,
    /// The largest number of steps was taken.
    Steps,
}

/// Why no path can be fitted.
#[derive(Debug, thiserror::Error)]
pub enum LogisticError {
    /// A block cannot be read.
    #[error(transparent)]
    Rows(#[from] CacheError),

    /// C is not usable.
    #[error("logistic regression: C is {0}, a positive number was expected")]
    Strength(f64),

    /// The features are too large for f32.
    #[error("logistic regression at C = {0}: the loss is not finite (normalise the features)")]
    NonFinite(f64),

    /// There is nothing to fit to.
    #[error("logistic regression: no rows were given (choose a split that holds some)")]
    Empty,
}

/// Fits every C of `settings`, in ascending order. `each` hears of a fit as soon as it
/// is there and says whether to go on.
///
/// # Errors
/// When a C is not positive, the source cannot be read or is empty, or the loss overflows.
///
/// # Panics
/// When there is not one weight a class.
pub fn fit_path(
    source: &impl RowBlocks,
    settings: &Settings,
    mut each: impl FnMut(Fit) -> Continue,
) -> Result<(), LogisticError> {
    assert_eq!(settings.class_weights.len(), source.classes(), "weights");
    let mut strengths = settings.strengths.clone();
    if let Some(&bad) = strengths.iter().find(|c| !(**c > 0.0 && c.is_finite())) {
        return Err(LogisticError::Strength(bad));
    }
    strengths.sort_by(f64::total_cmp);
    let wanted = Sampling::Rows(COVARIANCE_ROWS * source.features());
    let gram = Gram::accumulate(source, wanted)?;
    if gram.rows() == 0 {
        return Err(LogisticError::Empty);
    }
    let objective = Objective::new(source, &settings.class_weights)?;
    let mut descent = Descent::new(&objective, FeatureCovariance::of(gram))?;
    for strength in strengths {
        let ridge = objective.ridge(strength);
        let summary = descent.minimise(ridge, settings)?;
        if !summary.value.is_finite() {
            return Err(LogisticError::NonFinite(strength));
        }
        let fit = Fit {
            strength,
            head: head_of(descent.point(), source),
            objective: summary.value * strength * objective.weight(),
            gradient: summary.gradient,
            steps: summary.steps,
            passes: summary.passes,
            ending: summary.ending,
        };
        if each(fit) == Continue::No {
            break;
        }
    }
    Ok(())
}

/// Whether a path is followed further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continue {
    /// The next C is fitted.
    Yes,
    /// It ends here.
    No,
}

fn head_of(point: &Point, source: &impl RowBlocks) -> Head {
    let mut head = Head::zeros(HeadKind::Linear, source.features(), source.classes());
    let layer = &mut head.layers_mut()[0];
    let (weight, bias) = point.split();
    for (target, value) in layer.weight.iter_mut().zip(weight) {
        *target = *value as f32;
    }
    // A shift of all biases changes nothing: of all of them, those whose sum is zero.
    let shift = bias.iter().sum::<f64>() / bias.len() as f64;
    for (target, value) in layer.bias.iter_mut().zip(bias) {
        *target = (value - shift) as f32;
    }
    head
}

#[cfg(test)]
mod tests;
