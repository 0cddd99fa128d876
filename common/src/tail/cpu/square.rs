//! Squares of weights, `[16 inputs][16 outputs]`, with the two exchanged: what a gradient passes
//! through on its way to the inputs.

use crate::panel::LANES;

/// The square `from` with inputs and outputs exchanged, and every output multiplied with its
/// scale.
pub(super) fn exchange(from: &[f32], scale: &[f32], to: &mut [f32]) {
    for (output, (to, scale)) in to.chunks_exact_mut(LANES).zip(scale).enumerate() {
        for (to, from) in to.iter_mut().zip(from[output..].iter().step_by(LANES)) {
            *to = from * scale;
        }
    }
}
