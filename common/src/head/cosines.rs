//! Cosines of some rows with many, which pass by in blocks.

use super::matrix::{Matrix, Output, multiply};

/// Query rows in memory, and room for the cosines with a block.
#[derive(Debug)]
pub struct Cosines {
    /// `[Q, D]`, each of norm 1.
    queries: Vec<f32>,
    features: usize,
    /// `[Q, B]`
    values: Vec<f32>,
}

impl Cosines {
    /// Of `queries`, `[Q, features]` of norm 1.
    ///
    /// # Panics
    /// When `queries` are not whole rows.
    pub fn new(queries: Vec<f32>, features: usize) -> Self {
        assert_eq!(queries.len() % features, 0, "whole rows");
        Self {
            queries,
            features,
            values: Vec::new(),
        }
    }

    /// Number of queries, Q.
    pub fn queries(&self) -> usize {
        self.queries.len() / self.features
    }

    /// The cosines `[Q, B]` with `block`, `[B, D]` of norm 1.
    ///
    /// # Panics
    /// When `block` is not whole rows.
    pub fn with(&mut self, block: &[f32]) -> &[f32] {
        assert_eq!(block.len() % self.features, 0, "whole rows");
        let rows = block.len() / self.features;
        self.values.resize(self.queries() * rows, 0.0);
        multiply(
            Matrix::new(&self.queries, self.queries(), self.features),
            Matrix::new(block, rows, self.features).transposed(),
            &mut self.values,
            Output::Replace,
        );
        &self.values
    }
}
