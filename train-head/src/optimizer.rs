//! Optimizers with the update rules of `torch.optim`, applied to all parameters
//! of a head at once.
//!
//! Weight decay acts on weights only: a penalty on biases shifts the class priors.

use std::iter;

use common::head::Head;
use serde::{Deserialize, Serialize};

/// Decay rates of Adam's two moments, as in PyTorch.
pub(crate) const BETAS: (f32, f32) = (0.9, 0.999);

/// Added to Adam's denominator, as in PyTorch.
pub(crate) const EPSILON: f32 = 1e-8;

/// The rule that turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub(crate) enum Method {
    /// Stochastic gradient descent; `weight_decay` is an L2 penalty.
    Sgd {
        /// Share of the last step that is kept.
        momentum: f32,
        /// Nesterov's look-ahead.
        nesterov: bool,
    },
    /// Adam; `weight_decay` is an L2 penalty that goes through the moments.
    Adam,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// A method with its state.
pub(crate) struct Optimizer {
    method: Method,
    weight_decay: f32,
    first: Head,
    second: Head,
    steps: i32,
}

/// What one step does to every value of one tensor.
#[derive(Clone, Copy)]
struct Step {
    learning_rate: f32,
    weight_decay: f32,
    /// 1 − βᵗ of both moments.
    corrections: (f32, f32),
}

impl Optimizer {
    /// The state before the first step, for heads of the shape of `head`.
    pub(crate) fn new(method: Method, weight_decay: f32, head: &Head) -> Self {
        let zeros = Head::zeros(head.kind(), head.features(), head.classes());
        Self {
            method,
            weight_decay,
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        }
    }

    /// Moves `head` against `gradient`.
    pub(crate) fn step(&mut self, head: &mut Head, gradient: &Head, learning_rate: f32) {
        self.steps = self.steps.saturating_add(1);
        let correction = |beta: f32| (1.0 - f64::from(beta).powi(self.steps)) as f32;
        let weights = Step {
            learning_rate,
            weight_decay: self.weight_decay,
            corrections: (correction(BETAS.0), correction(BETAS.1)),
        };
        let biases = Step {
            weight_decay: 0.0,
            ..weights
        };
        let layers = head.layers_mut().iter_mut().zip(gradient.layers());
        let states = iter::zip(self.first.layers_mut(), self.second.layers_mut());
        for ((layer, gradient), (first, second)) in layers.zip(states) {
            let state = (&mut first.weight[..], &mut second.weight[..]);
            weights.apply(self.method, &mut layer.weight, &gradient.weight, state);
            let state = (&mut first.bias[..], &mut second.bias[..]);
            biases.apply(self.method, &mut layer.bias, &gradient.bias, state);
        }
    }
}

impl Step {
    fn apply(
        self,
        method: Method,
        values: &mut [f32],
        gradient: &[f32],
        (first, second): (&mut [f32], &mut [f32]),
    ) {
        match method {
            Method::Sgd { momentum, nesterov } => {
                for ((value, gradient), velocity) in values.iter_mut().zip(gradient).zip(first) {
                    let gradient = gradient + self.weight_decay * *value;
                    *velocity = momentum * *velocity + gradient;
                    // Nesterov: g + μ·v; otherwise v.
                    let direction = if nesterov {
                        gradient + momentum * *velocity
                    } else {
                        *velocity
                    };
                    *value -= self.learning_rate * direction;
                }
            }
            Method::Adam => self.adam(values, gradient, (first, second)),
            Method::AdamW => {
                let shrink = 1.0 - self.learning_rate * self.weight_decay;
                values.iter_mut().for_each(|value| *value *= shrink);
                let decayed = Self {
                    weight_decay: 0.0,
                    ..self
                };
                decayed.adam(values, gradient, (first, second));
            }
        }
    }

    fn adam(self, values: &mut [f32], gradient: &[f32], (first, second): (&mut [f32], &mut [f32])) {
        let step = self.learning_rate / self.corrections.0;
        let scale = 1.0 / self.corrections.1.sqrt();
        let moments = first.iter_mut().zip(second);
        for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient + self.weight_decay * *value;
            *first += (gradient - *first) * (1.0 - BETAS.0);
            *second = BETAS.1 * *second + (1.0 - BETAS.1) * gradient * gradient;
            *value -= step * *first / (second.sqrt() * scale + EPSILON);
        }
    }
}
