//! Bytes → normalised f32, by table: a channel has only 256 values, and a look-up
//! gives exactly what torchvision's `ToTensor` and `Normalize` compute one by one.

use super::{CHANNELS, Preprocess};

/// How the channels of the output tensor lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[3, crop, crop]`: PyTorch's and candle's order (CHW).
    Planar,
    /// `[crop, crop, 3]`: channels last (HWC).
    Interleaved,
}

/// The value of every byte in every channel.
#[derive(Debug, Clone)]
pub(crate) struct Normaliser {
    tables: [[f32; 256]; CHANNELS],
}

impl Normaliser {
    /// `(v / 255 − mean) / std`, each step rounded to f32 as in torchvision.
    pub(crate) fn new(recipe: &Preprocess) -> Self {
        let tables = std::array::from_fn(|channel| {
            let (mean, std) = (recipe.mean[channel], recipe.std[channel]);
            std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std)
        });
        Self { tables }
    }

    /// Writes row `row` of the tensor `output` of a square: `pixels` are its
    /// `[n, 3]` bytes.
    pub(crate) fn write_row(&self, pixels: &[u8], row: usize, layout: Layout, output: &mut [f32]) {
        let [red, green, blue] = &self.tables;
        let colours = pixels.chunks_exact(CHANNELS);
        match layout {
            Layout::Interleaved => {
                let output = &mut output[row * pixels.len()..];
                for (pixel, out) in colours.zip(output.chunks_exact_mut(CHANNELS)) {
                    out[0] = red[usize::from(pixel[0])];
                    out[1] = green[usize::from(pixel[1])];
                    out[2] = blue[usize::from(pixel[2])];
                }
            }
            Layout::Planar => {
                let plane = output.len() / CHANNELS;
                let row = row * pixels.len() / CHANNELS;
                let (red_plane, rest) = output.split_at_mut(plane);
                let (green_plane, blue_plane) = rest.split_at_mut(plane);
                let planes = red_plane[row..].iter_mut().zip(&mut green_plane[row..]);
                for (pixel, ((r, g), b)) in colours.zip(planes.zip(&mut blue_plane[row..])) {
                    *r = red[usize::from(pixel[0])];
                    *g = green[usize::from(pixel[1])];
                    *b = blue[usize::from(pixel[2])];
                }
            }
        }
    }
}
