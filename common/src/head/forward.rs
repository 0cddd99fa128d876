//! Running a head forwards and backwards by hand.
//!
//! Comes in: features `[B, D]`. Goes out: logits `[B, C]` and, given the loss's
//! gradient by the logits, the gradient of every parameter. Written out
//! because a general autograd is several times slower for two layers; the tests judge
//! it by candle's autograd.

use rand::{Rng, RngCore};

use super::Head;

/// Dropout during training: each value of a layer's input is zeroed with
/// `probability`, the others are scaled by 1/(1 − `probability`).
pub struct Dropout<'a> {
    /// In [0, 1).
    pub probability: f32,
    /// Where the random choices come from.
    pub stream: &'a mut dyn RngCore,
}

/// Buffers of one pass, kept between batches.
pub struct Pass {
    /// What each layer received: the features, then the hidden activations,
    /// both after dropout.
    inputs: Vec<Vec<f32>>,
    /// Per layer, the factor (0 or 1/(1 − p)) of each input; empty without dropout.
    masks: Vec<Vec<f32>>,
    logits: Vec<f32>,
    gradients: Vec<f32>,
    lower_gradients: Vec<f32>,
}

impl Pass {
    /// Buffers for heads of the shape of `head`.
    pub fn new(head: &Head) -> Self {
        let layers = head.layers().len();
        Self {
            inputs: vec![Vec::new(); layers],
            masks: vec![Vec::new(); layers],
            logits: Vec::new(),
            gradients: Vec::new(),
            lower_gradients: Vec::new(),
        }
    }

    /// The last forward pass's logits, `[B, C]`.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The last forward pass's logits, `[B, C]`.
    pub fn into_logits(self) -> Vec<f32> {
        self.logits
    }

    /// Inference: `features` `[B, D]` to [`Pass::logits`].
    ///
    /// # Panics
    /// When `features` is not a whole number of rows.
    pub fn forward(&mut self, head: &Head, features: &[f32]) {
        self.run(head, features, None);
    }

    /// Training: as [`Pass::forward`], with dropout before every layer.
    ///
    /// # Panics
    /// When `features` is not a whole number of rows.
    pub fn forward_dropping(&mut self, head: &Head, features: &[f32], dropout: Dropout) {
        let dropout = (dropout.probability > 0.0).then_some(dropout);
        self.run(head, features, dropout);
    }

    fn run(&mut self, head: &Head, features: &[f32], mut dropout: Option<Dropout>) {
        assert_eq!(features.len() % head.features(), 0, "whole rows");
        let rows = features.len() / head.features();
        self.inputs[0].clear();
        self.inputs[0].extend_from_slice(features);
        let last = head.layers().len() - 1;
        for (index, layer) in head.layers().iter().enumerate() {
            self.masks[index].clear();
            if let Some(dropout) = &mut dropout {
                drop_values(&mut self.inputs[index], &mut self.masks[index], dropout);
            }
            let mut output = std::mem::take(if index == last {
                &mut self.logits
            } else {
                &mut self.inputs[index + 1]
            });
            output.resize(rows * layer.outputs, 0.0);
            layer.forward(&self.inputs[index], &mut output);
            if index == last {
                self.logits = output;
            } else {
                output.iter_mut().for_each(|value| *value = value.max(0.0));
                self.inputs[index + 1] = output;
            }
        }
    }

    /// From `logit_gradient` `[B, C]` of the last forward pass, the gradient of
    /// each parameter; `gradient` is overwritten.
    ///
    /// # Panics
    /// When `logit_gradient` is not of the last pass's shape.
    pub fn backward(&mut self, head: &Head, logit_gradient: &[f32], gradient: &mut Head) {
        assert_eq!(logit_gradient.len(), self.logits.len(), "logits");
        self.gradients.clear();
        self.gradients.extend_from_slice(logit_gradient);
        for index in (0..head.layers().len()).rev() {
            let layer = &head.layers()[index];
            let input = &self.inputs[index];
            layer.parameter_gradient(input, &self.gradients, &mut gradient.layers_mut()[index]);
            if index == 0 {
                break;
            }
            self.lower_gradients.resize(input.len(), 0.0);
            layer.input_gradient(&self.gradients, &mut self.lower_gradients);
            // The input is a ReLU's output after dropout: where it is zero, nothing flows.
            for (value, input) in self.lower_gradients.iter_mut().zip(input) {
                *value = if *input > 0.0 { *value } else { 0.0 };
            }
            for (value, factor) in self.lower_gradients.iter_mut().zip(&self.masks[index]) {
                *value *= factor;
            }
            std::mem::swap(&mut self.gradients, &mut self.lower_gradients);
        }
    }
}

fn drop_values(values: &mut [f32], mask: &mut Vec<f32>, dropout: &mut Dropout) {
    let kept = 1.0 / (1.0 - dropout.probability);
    mask.extend(values.iter().map(|_| {
        if dropout.stream.random::<f32>() < dropout.probability {
            0.0
        } else {
            kept
        }
    }));
    for (value, factor) in values.iter_mut().zip(mask) {
        *value *= *factor;
    }
}
