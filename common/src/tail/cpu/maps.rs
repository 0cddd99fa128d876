//! Activations of a batch in panels of channels, and the buffers that they lie in.
//!
//! ```text
//!   [C, H, W] of every image ──► panel of 16 channels: [images · H · W][16]
//! ```
//!
//! A row is one pixel of one image. Panels are an odd number of cache lines apart, which spreads
//! equal rows of different panels over the sets of a cache. Channels behind the last one are zero.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::{
    backbone::Shape,
    engine::cpu::scratch::Buffer,
    panel::{LANES, panels},
};

/// How large the activations of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Of one image.
    pub(super) shape: Shape,
    pub(super) images: usize,
}

impl Size {
    /// Pixels of one image.
    pub(super) fn pixels(self) -> usize {
        self.shape.height * self.shape.width
    }

    /// Pixels of the batch.
    pub(super) fn rows(self) -> usize {
        self.images * self.pixels()
    }

    pub(super) fn panels(self) -> usize {
        panels(self.shape.channels)
    }

    /// Floats from panel to panel.
    pub(super) fn pitch(self) -> usize {
        (self.rows() | 1) * LANES
    }

    fn floats(self) -> usize {
        self.panels() * self.pitch()
    }
}

/// The activations of a batch, or the gradient by them.
pub(super) struct Maps {
    values: Buffer,
    size: Size,
}

impl Maps {
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// All panels, [`Size::pitch`] floats apart.
    pub(super) fn values(&self) -> &[f32] {
        &self.values.as_slice()[..self.size.floats()]
    }

    /// `[rows][LANES]` of one panel.
    pub(super) fn panel(&self, panel: usize) -> &[f32] {
        &self.values()[panel * self.size.pitch()..][..self.size.rows() * LANES]
    }

    /// Every panel's `[rows][LANES]`.
    pub(super) fn panels_mut(&mut self) -> Vec<&mut [f32]> {
        let (floats, rows) = (self.size.floats(), self.size.rows());
        let values = &mut self.values.as_mut_slice()[..floats];
        let panels = values.chunks_exact_mut(self.size.pitch());
        panels.map(|panel| &mut panel[..rows * LANES]).collect()
    }

    /// For every block of `block` rows its part of each panel, `[rows of the block][LANES]`.
    pub(super) fn blocks_mut(&mut self, block: usize) -> Vec<Vec<&mut [f32]>> {
        let panels = self.panels_mut();
        let count = panels.first().map_or(0, |panel| panel.len());
        let mut blocks: Vec<Vec<&mut [f32]>> = Vec::new();
        blocks.resize_with(count.div_ceil(block * LANES), Vec::new);
        for panel in panels {
            for (block, part) in blocks.iter_mut().zip(panel.chunks_mut(block * LANES)) {
                block.push(part);
            }
        }
        blocks
    }

    /// Fills them from `[images, C, H, W]`.
    pub(super) fn load(&mut self, planar: &[f32]) {
        let Size { shape, .. } = self.size;
        let pixels = self.size.pixels();
        let panels = self.panels_mut().into_par_iter().enumerate();
        panels.for_each(|(number, panel)| {
            let images = panel.chunks_exact_mut(pixels * LANES);
            for (image, planes) in images.zip(planar.chunks_exact(shape.len())) {
                let first = number * LANES;
                let count = LANES.min(shape.channels - first);
                if count < LANES {
                    image.fill(0.0);
                }
                let planes = &planes[first * pixels..][..count * pixels];
                for (pixel, row) in image.chunks_exact_mut(LANES).enumerate() {
                    let values = planes[pixel..].iter().step_by(pixels);
                    for (value, from) in row.iter_mut().zip(values) {
                        *value = *from;
                    }
                }
            }
        });
    }

    /// Appends `[images, C, H, W]` to `planar`.
    pub(super) fn unload(&self, planar: &mut Vec<f32>) {
        let Size { shape, images } = self.size;
        let pixels = self.size.pixels();
        for image in 0..images {
            for channel in 0..shape.channels {
                let panel = self.panel(channel / LANES);
                let image = &panel[image * pixels * LANES..][..pixels * LANES];
                planar.extend(image[channel % LANES..].iter().step_by(LANES));
            }
        }
    }
}

/// Buffers that are not in use.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Buffer>>);

impl Pool {
    /// A buffer of `len` floats or more, whose values are left as they are.
    pub(super) fn take(&self, len: usize) -> Buffer {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Buffer| (len..=2 * len + LANES).contains(&buffer.as_slice().len());
        let fitting = (0..idle.len()).filter(|&index| fits(&idle[index]));
        match fitting.min_by_key(|&index| idle[index].as_slice().len()) {
            Some(index) => idle.swap_remove(index),
            None => Buffer::zeroed(len),
        }
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, buffer: Buffer) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(buffer);
    }

    /// Activations, whose values are left as they are.
    pub(super) fn maps(&self, size: Size) -> Maps {
        Maps {
            values: self.take(size.floats()),
            size,
        }
    }

    /// Takes activations back.
    pub(super) fn recycle(&self, maps: Maps) {
        self.give(maps.values);
    }
}
