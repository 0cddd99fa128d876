//! How matrices lie in memory: in panels of [`LANES`] columns, so that no product
//! has to repack anything.
//!
//! ```text
//!   activations [rows, columns]                     weights [inputs, outputs]
//!   block of ≤ BLOCK_ROWS rows                      panel of 16 outputs
//!     panel of 16 columns: [rows of block][16]        [inputs][16]
//! ```
//!
//! Columns are filled up with zeros to whole panels. A block is what one thread works
//! on at a time; where rows are cut depends on their number alone.

use crate::{
    engine::cpu::scratch::Buffer,
    panel::{LANES, panels},
};

/// Rows of a block. A multiple of the tallest common tile (6), and 66 cache lines are
/// not a power of two apart, which would crowd a few sets of the cache.
pub(super) const BLOCK_ROWS: usize = 66;

/// A matrix of activations `[rows, columns]`, block by block.
#[derive(Default)]
pub(super) struct Activations {
    values: Buffer,
    panels: usize,
    rows: usize,
}

impl Activations {
    /// Of `columns` columns, no rows yet.
    pub(super) fn new(columns: usize) -> Self {
        Self {
            panels: panels(columns),
            ..Self::default()
        }
    }

    /// Makes room for `rows` rows, whose values are left as they are.
    pub(super) fn resize(&mut self, rows: usize) {
        let len = rows * self.panels * LANES;
        if len > self.values.as_slice().len() {
            self.values = Buffer::zeroed(len);
        }
        self.rows = rows;
    }

    /// Rows of the matrix.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Panels of columns.
    pub(super) fn panels(&self) -> usize {
        self.panels
    }

    /// The blocks in order; each is `[panels][rows of the block][LANES]`.
    pub(super) fn blocks(&self) -> std::slice::Chunks<'_, f32> {
        let used = &self.values.as_slice()[..self.rows * self.panels * LANES];
        used.chunks(self.block_floats())
    }

    /// As [`Activations::blocks`].
    pub(super) fn blocks_mut(&mut self) -> std::slice::ChunksMut<'_, f32> {
        let (used, block) = (self.rows * self.panels * LANES, self.block_floats());
        self.values.as_mut_slice()[..used].chunks_mut(block)
    }

    fn block_floats(&self) -> usize {
        BLOCK_ROWS * self.panels * LANES
    }
}

/// Values of one layer's parameters, or of an optimizer's moments of them.
#[derive(Clone)]
pub(super) struct Parameters {
    inputs: usize,
    outputs: usize,
    /// `[panels][inputs, filled up][LANES]`
    pub(super) weights: Vec<f32>,
    /// `[panels][LANES]`
    pub(super) biases: Vec<f32>,
}

impl Parameters {
    /// All zero.
    pub(super) fn zeros(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            weights: vec![0.0; panels(outputs) * panels(inputs) * LANES * LANES],
            biases: vec![0.0; panels(outputs) * LANES],
        }
    }

    /// Floats of one panel of weights.
    pub(super) fn panel_floats(&self) -> usize {
        panels(self.inputs) * LANES * LANES
    }

    /// Inputs of the layer.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs of the layer.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The weights of one output, input by input.
    pub(super) fn column(&self, output: usize) -> impl Iterator<Item = f32> {
        let panel = &self.weights[output / LANES * self.panel_floats()..];
        panel[output % LANES..]
            .iter()
            .step_by(LANES)
            .take(self.inputs)
            .copied()
    }

    /// Replaces the weights and the bias of one output.
    pub(super) fn set_column(
        &mut self,
        output: usize,
        weights: impl Iterator<Item = f32>,
        bias: f32,
    ) {
        let start = output / LANES * self.panel_floats() + output % LANES;
        let column = self.weights[start..].iter_mut().step_by(LANES);
        for (to, from) in column.zip(weights) {
            *to = from;
        }
        self.biases[output] = bias;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_as_they_were_set() {
        let mut parameters = Parameters::zeros(19, 35);
        for output in 0..35 {
            let weights = (0..19).map(|input| (output * 100 + input) as f32);
            parameters.set_column(output, weights, output as f32);
        }
        for output in 0..35 {
            let expected: Vec<f32> = (0..19).map(|input| (output * 100 + input) as f32).collect();
            assert_eq!(parameters.column(output).collect::<Vec<_>>(), expected);
            assert_eq!(parameters.biases[output], output as f32);
        }
        assert_eq!(parameters.weights.len(), 3 * 2 * 16 * 16);
    }
}
