//! What the products are made of: some images of a batch, and kernels either way round.

use super::{super::square, grid::Grid, kernels::TAPS};
use crate::panel::{LANES, SQUARE};

/// Some images of a batch, and their tiles.
pub(super) struct Part {
    pub(super) images: usize,
    /// The first one's first row, of inputs or outputs, in floats.
    pub(super) first: [usize; 2],
    pub(super) grid: Grid,
}

impl Part {
    pub(super) fn inputs<'a>(&self, panel: &'a [f32], pixels: usize) -> &'a [f32] {
        &panel[self.first[0]..][..self.images * pixels * LANES]
    }

    pub(super) fn outputs<'a>(&self, panel: &'a [f32], pixels: usize) -> &'a [f32] {
        &panel[self.first[1]..][..self.images * pixels * LANES]
    }
}

/// The kernels of a convolution, on the way back with inputs and outputs exchanged.
#[derive(Clone, Copy)]
pub(super) struct Kernels<'a> {
    pub(super) weights: &'a [f32],
    /// Panels.
    pub(super) inputs: usize,
    /// On the way back, one a channel of outputs.
    pub(super) scale: Option<&'a [f32]>,
}

impl<'a> Kernels<'a> {
    /// The nine squares between a panel of results and one of what they are made of; `room` is for
    /// exchanged ones.
    pub(super) fn between<'b>(&self, result: usize, term: usize, room: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        let (output, input) = match self.scale {
            None => (result, term),
            Some(_) => (term, result),
        };
        let kernel =
            &self.weights[(output * self.inputs + input) * TAPS * SQUARE..][..TAPS * SQUARE];
        let Some(scale) = self.scale else {
            return kernel;
        };
        let scale = &scale[output * LANES..][..LANES];
        for (from, to) in kernel
            .chunks_exact(SQUARE)
            .zip(room.chunks_exact_mut(SQUARE))
        {
            square::exchange(from, scale, to);
        }
        room
    }
}
