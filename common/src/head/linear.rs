//! A fully connected layer, `y = x·Wᵀ + b`.

use rand::{Rng, RngCore};

use super::matrix::{Matrix, Output, multiply};

/// A fully connected layer, laid out as PyTorch's `nn.Linear`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Inputs.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// `[outputs, inputs]`, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

impl Linear {
    /// All parameters zero.
    pub fn zeros(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            weight: vec![0.0; inputs * outputs],
            bias: vec![0.0; outputs],
        }
    }

    /// Parameters drawn as `nn.Linear` draws them: uniform in ±1/√inputs, first
    /// the weight, then the bias.
    pub fn random(inputs: usize, outputs: usize, stream: &mut impl RngCore) -> Self {
        let bound = 1.0 / (inputs as f32).sqrt();
        let mut layer = Self::zeros(inputs, outputs);
        for value in layer.weight.iter_mut().chain(&mut layer.bias) {
            *value = stream.random_range(-bound..=bound);
        }
        layer
    }

    /// `output = input·Wᵀ + b`: `[B, inputs]` → `[B, outputs]`.
    ///
    /// # Panics
    /// When the slices are not a whole, equal number of rows.
    pub fn forward(&self, input: &[f32], output: &mut [f32]) {
        let rows = output.len() / self.outputs;
        for row in output.chunks_exact_mut(self.outputs) {
            row.copy_from_slice(&self.bias);
        }
        multiply(
            Matrix::new(input, rows, self.inputs),
            Matrix::new(&self.weight, self.outputs, self.inputs).transposed(),
            output,
            Output::Add,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn fresh_parameters_fill_the_range_of_nn_linear() {
        let layer = Linear::random(100, 50, &mut random::stream(7, "init"));
        let largest = layer.weight.iter().fold(0.0_f32, |max, w| max.max(w.abs()));
        assert!(largest <= 0.1 && largest > 0.099, "{largest}");
        assert!(layer.bias.iter().all(|b| b.abs() <= 0.1));
        let mean = layer.weight.iter().sum::<f32>() / 5000.0;
        assert!(mean.abs() < 0.003, "{mean}");
    }
}
