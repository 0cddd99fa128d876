//! Running a head: features `[B, D]` to logits `[B, C]`.

use super::Head;

/// Buffers of one pass, kept between batches.
pub struct Pass {
    /// What each layer received: the features, then the hidden activations.
    inputs: Vec<Vec<f32>>,
    logits: Vec<f32>,
}

impl Pass {
    /// Buffers for heads of the shape of `head`.
    pub fn new(head: &Head) -> Self {
        Self {
            inputs: vec![Vec::new(); head.layers().len()],
            logits: Vec::new(),
        }
    }

    /// The last pass's logits, `[B, C]`.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The last pass's logits, `[B, C]`.
    pub fn into_logits(self) -> Vec<f32> {
        self.logits
    }

    /// `features` `[B, D]` to [`Pass::logits`].
    ///
    /// # Panics
    /// When `features` is not a whole number of rows.
    pub fn forward(&mut self, head: &Head, features: &[f32]) {
        assert_eq!(features.len() % head.features(), 0, "whole rows");
        let rows = features.len() / head.features();
        self.inputs[0].clear();
        self.inputs[0].extend_from_slice(features);
        let last = head.layers().len() - 1;
        for (index, layer) in head.layers().iter().enumerate() {
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
}
