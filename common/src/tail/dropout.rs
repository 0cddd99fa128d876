//! Which inputs of the head's layers are dropped in a step: the same in every executor, however a
//! batch is cut into calls and processes.

use super::Batch;
use crate::head::stack::{Dropping, Mask};

/// The choices for the layer `layer` of the head (from 0) in the step that `batch` belongs to;
/// `None` where all is kept.
pub(super) fn mask(batch: &Batch<'_>, probability: f32, layer: usize) -> Option<Mask> {
    let dropping = Dropping::On {
        key: batch.dropout_key,
    };
    dropping.mask(probability, layer as u64)
}

/// What [`Mask::apply`] calls the first input of the batch's row `row`, of `width` inputs.
pub(super) fn place(batch: &Batch<'_>, row: usize, width: usize) -> u32 {
    // The choices repeat after 2³² inputs.
    (batch.first_row + row).wrapping_mul(width) as u32
}
