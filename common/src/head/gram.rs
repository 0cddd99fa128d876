//! Sums over all rows that the solvers need: the Gram matrix, column sums and
//! class sums, in f64 and one pass.

use rayon::prelude::*;

use super::{
    blocks::{Block, RowBlocks},
    matrix::{Matrix, Output, multiply_alone},
};
use crate::cache::CacheError;

/// Columns of the Gram matrix that one thread computes at a time.
const PANEL_COLUMNS: usize = 128;

/// Centred second moments of labelled rows.
#[derive(Clone, Debug)]
pub struct Gram {
    /// Width D of the rows.
    pub features: usize,
    /// Rows of each class, `[C]`.
    pub class_rows: Vec<u64>,
    /// Mean of each feature, `[D]`.
    pub mean: Vec<f64>,
    /// Σ (x − mean) over the rows of each class, `[C, D]`.
    pub class_sums: Vec<f64>,
    /// Σ (x − mean)(x − mean)ᵀ over all rows, `[D, D]`.
    pub centred: Vec<f64>,
}

/// Which blocks are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// All.
    Every,
    /// Evenly spread ones, until about so many rows have been seen.
    Rows(usize),
}

impl Gram {
    /// Sums over `source`.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn accumulate(source: &impl RowBlocks, sampling: Sampling) -> Result<Self, CacheError> {
        let mut sums = Sums::new(source.features(), source.classes());
        let mut scratch = Block::default();
        let mut index = 0;
        while index < source.blocks() {
            let rows = source.read(index, &mut scratch)?;
            index += match sampling {
                Sampling::Every => 1,
                Sampling::Rows(wanted) => {
                    (source.blocks() * rows.labels.len() / wanted.max(1)).max(1)
                }
            };
            sums.add(rows.features, rows.labels);
        }
        Ok(sums.finish())
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.class_rows.iter().sum()
    }
}

/// Sums of rows from which `shift`, the first block's mean, was taken: without it,
/// centring in the end would cancel digits where means are large.
struct Sums {
    features: usize,
    shift: Option<Vec<f64>>,
    class_rows: Vec<u64>,
    class_sums: Vec<f64>,
    /// The upper triangle: for the columns from p·[`PANEL_COLUMNS`] on, the products
    /// with themselves and all later ones.
    panels: Vec<Vec<f64>>,
    shifted: Vec<f64>,
}

impl Sums {
    fn new(features: usize, classes: usize) -> Self {
        let panel = |first| {
            let columns = PANEL_COLUMNS.min(features - first);
            vec![0.0; columns * (features - first)]
        };
        Self {
            features,
            shift: None,
            class_rows: vec![0; classes],
            class_sums: vec![0.0; classes * features],
            panels: (0..features).step_by(PANEL_COLUMNS).map(panel).collect(),
            shifted: Vec::new(),
        }
    }

    fn add(&mut self, features: &[f32], labels: &[u32]) {
        let width = self.features;
        let shift = self
            .shift
            .get_or_insert_with(|| column_means(features, width));
        self.shifted.clear();
        for row in features.chunks_exact(width) {
            let shifted = row.iter().zip(shift.iter());
            self.shifted
                .extend(shifted.map(|(value, shift)| f64::from(*value) - shift));
        }
        for (row, &label) in self.shifted.chunks_exact(width).zip(labels) {
            let class = label as usize;
            self.class_rows[class] += 1;
            let sums = &mut self.class_sums[class * width..(class + 1) * width];
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let rows = Matrix::new(&self.shifted, labels.len(), width);
        let panels = self.panels.par_iter_mut().enumerate();
        panels.for_each(|(panel, products)| {
            let first = panel * PANEL_COLUMNS;
            let columns = PANEL_COLUMNS.min(width - first);
            let left = rows.columns(first, columns).transposed();
            let right = rows.columns(first, width - first);
            multiply_alone(left, right, products, Output::Add);
        });
    }

    fn finish(self) -> Gram {
        // Of no rows the width may be unknown, zero.
        let width = self.features.max(1);
        let rows = self.class_rows.iter().sum::<u64>() as f64;
        let mut mean = vec![0.0; self.features];
        for sums in self.class_sums.chunks_exact(width) {
            for (mean, sum) in mean.iter_mut().zip(sums) {
                *mean += sum / rows;
            }
        }
        let mut centred = vec![0.0; self.features * self.features];
        for (panel, products) in self.panels.iter().enumerate() {
            let first = panel * PANEL_COLUMNS;
            for (row, products) in (first..).zip(products.chunks_exact(width - first)) {
                for (column, product) in (first..).zip(products) {
                    let value = product - rows * mean[row] * mean[column];
                    centred[row * width + column] = value;
                    centred[column * width + row] = value;
                }
            }
        }
        let mut class_sums = self.class_sums;
        for (sums, &rows) in class_sums.chunks_exact_mut(width).zip(&self.class_rows) {
            for (sum, mean) in sums.iter_mut().zip(&mean) {
                *sum -= rows as f64 * mean;
            }
        }
        let shift = self.shift.unwrap_or_else(|| vec![0.0; self.features]);
        Gram {
            features: self.features,
            class_rows: self.class_rows,
            mean: mean.iter().zip(&shift).map(|(a, b)| a + b).collect(),
            class_sums,
            centred,
        }
    }
}

fn column_means(features: &[f32], width: usize) -> Vec<f64> {
    let rows = (features.len() / width) as f64;
    let mut means = vec![0.0; width];
    for row in features.chunks_exact(width) {
        for (mean, value) in means.iter_mut().zip(row) {
            *mean += f64::from(*value) / rows;
        }
    }
    means
}
