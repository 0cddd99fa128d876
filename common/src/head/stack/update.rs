//! Optimizers with the update rules of `torch.optim`, applied to a panel of parameters
//! whose columns belong to different heads.
//!
//! Weight decay acts on weights only: a penalty on biases shifts the class priors.

use serde::{Deserialize, Serialize};

use crate::panel::LANES;

/// Decay rates of Adam's two moments, as in PyTorch.
pub const BETAS: (f32, f32) = (0.9, 0.999);

/// Added to Adam's denominator, as in PyTorch.
pub const EPSILON: f32 = 1e-8;

/// The rule that turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Method {
    /// Stochastic gradient descent; weight decay is an L2 penalty.
    Sgd {
        /// Share of the last step that is kept.
        momentum: f32,
        /// Nesterov's look-ahead.
        nesterov: bool,
    },
    /// Adam; weight decay is an L2 penalty that goes through the moments.
    Adam,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// Methods whose steps are computed by one loop; their settings are numbers a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Adam,
    Sgd,
}

impl Method {
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Sgd { .. } => Family::Sgd,
            Self::Adam | Self::AdamW => Family::Adam,
        }
    }
}

/// What Adam's first moment and the root of its second are multiplied with in step `step`, counted
/// from 1, because both began at zero: 1/(1 − β₁ᵗ) and 1/√(1 − β₂ᵗ).
pub(crate) fn corrections(step: i32) -> [f32; 2] {
    let correction = |beta: f32| (1.0 - f64::from(beta).powi(step)) as f32;
    [1.0 / correction(BETAS.0), 1.0 / correction(BETAS.1).sqrt()]
}

/// What one column's next step is made with.
#[derive(Clone, Copy)]
pub(crate) struct ColumnStep {
    pub(crate) method: Method,
    pub(crate) learning_rate: f32,
    pub(crate) weight_decay: f32,
}

/// The next step's numbers of the columns of a panel.
#[derive(Clone, Default)]
pub(crate) struct Lanes {
    rate: [f32; LANES],
    /// Share of a value that is added to its gradient.
    penalty: [f32; LANES],
    /// What a value is multiplied with first.
    shrink: [f32; LANES],
    momentum: [f32; LANES],
    /// SGD's direction is `direct · gradient + carried · velocity`.
    direct: [f32; LANES],
    carried: [f32; LANES],
}

impl Lanes {
    pub(crate) fn set(&mut self, lane: usize, step: ColumnStep) {
        self.rate[lane] = step.learning_rate;
        self.penalty[lane] = step.weight_decay;
        self.shrink[lane] = 1.0;
        match step.method {
            Method::Adam => {}
            Method::AdamW => {
                self.penalty[lane] = 0.0;
                self.shrink[lane] = 1.0 - step.learning_rate * step.weight_decay;
            }
            Method::Sgd { momentum, nesterov } => {
                self.momentum[lane] = momentum;
                // Nesterov: g + μ·v; otherwise v.
                (self.direct[lane], self.carried[lane]) = if nesterov {
                    (1.0, momentum)
                } else {
                    (0.0, 1.0)
                };
            }
        }
    }

    /// The same without weight decay, for biases.
    pub(super) fn of_biases(&self) -> Self {
        Self {
            penalty: [0.0; LANES],
            shrink: [1.0; LANES],
            ..self.clone()
        }
    }
}

/// The rule of a step, for all columns alike.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    Adam {
        /// 1/(1 − β₁ᵗ)
        first: f32,
        /// 1/√(1 − β₂ᵗ)
        second: f32,
    },
    Sgd,
}

impl Rule {
    /// Of step `step`, counted from 1.
    pub(crate) fn new(family: Family, step: i32) -> Self {
        let [first, second] = corrections(step);
        match family {
            Family::Sgd => Self::Sgd,
            Family::Adam => Self::Adam { first, second },
        }
    }

    /// Moves `values`, rows of a panel, against `gradient`. To be inlined where vector
    /// instructions are enabled; multiplications and additions stay apart, so that every
    /// instruction set gives the same bits.
    #[inline(always)]
    pub(crate) fn apply(
        self,
        lanes: &Lanes,
        values: &mut [f32],
        gradient: &[f32],
        moments: [&mut [f32]; 2],
    ) {
        let [firsts, seconds] = moments;
        let rows = values
            .chunks_exact_mut(LANES)
            .zip(gradient.chunks_exact(LANES));
        let firsts = firsts.chunks_exact_mut(LANES);
        match self {
            Self::Adam { first, second } => {
                let moments = firsts.zip(seconds.chunks_exact_mut(LANES));
                for ((values, gradient), (firsts, seconds)) in rows.zip(moments) {
                    adam(
                        lanes,
                        [first, second],
                        (values, gradient),
                        [firsts, seconds],
                    );
                }
            }
            Self::Sgd => {
                for ((values, gradient), velocity) in rows.zip(firsts) {
                    sgd(lanes, (values, gradient), velocity);
                }
            }
        }
    }
}

#[inline(always)]
fn adam(
    lanes: &Lanes,
    corrections: [f32; 2],
    (values, gradient): (&mut [f32], &[f32]),
    [firsts, seconds]: [&mut [f32]; 2],
) {
    for lane in 0..LANES {
        let gradient = gradient[lane] + lanes.penalty[lane] * values[lane];
        let first = firsts[lane] + (gradient - firsts[lane]) * (1.0 - BETAS.0);
        let second = BETAS.1 * seconds[lane] + (1.0 - BETAS.1) * gradient * gradient;
        firsts[lane] = first;
        seconds[lane] = second;
        let step = lanes.rate[lane] * corrections[0] * first;
        let scale = second.sqrt() * corrections[1] + EPSILON;
        values[lane] = values[lane] * lanes.shrink[lane] - step / scale;
    }
}

#[inline(always)]
fn sgd(lanes: &Lanes, (values, gradient): (&mut [f32], &[f32]), velocity: &mut [f32]) {
    for lane in 0..LANES {
        let gradient = gradient[lane] + lanes.penalty[lane] * values[lane];
        velocity[lane] = lanes.momentum[lane] * velocity[lane] + gradient;
        let direction = lanes.direct[lane] * gradient + lanes.carried[lane] * velocity[lane];
        values[lane] -= lanes.rate[lane] * direction;
    }
}
