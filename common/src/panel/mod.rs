//! Panels: how matrices lie in memory for the products of training, of heads as of tails.
//!
//! ```text
//!   [rows, columns] ──► panel of 16 columns: [rows][16]; the last filled up with zeros
//! ```
//!
//! A panel's row is a cache line, so that a tile of sums ([`tile`]) reads whole lines of either
//! factor and nothing has to be repacked between products.

pub(crate) mod tile;

/// Columns of a panel: a cache line of f32.
pub(crate) const LANES: usize = 16;

/// Floats of the weights of one panel of inputs and one of outputs.
pub(crate) const SQUARE: usize = LANES * LANES;

/// Panels that hold `columns` columns.
pub(crate) fn panels(columns: usize) -> usize {
    columns.div_ceil(LANES)
}
