//! The rows of a batch as some heads of a stack see them: normalised their way, and in
//! training with inputs dropped.

use super::layout::{Activations, BLOCK_ROWS};
use crate::{
    head::{Fitted, Normalisation},
    panel::LANES,
};

/// Where feature rows come from.
pub trait FeatureRows: Sync {
    /// Values D of a row.
    fn width(&self) -> usize;

    /// Copies row `row` into `output` `[D]`.
    fn copy_row(&self, row: u32, output: &mut [f32]);
}

/// Feature rows in memory, `[rows, width]`.
pub struct InMemory<'a> {
    /// Row-major.
    pub values: &'a [f32],
    /// Values of a row.
    pub width: usize,
}

impl FeatureRows for InMemory<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn copy_row(&self, row: u32, output: &mut [f32]) {
        output.copy_from_slice(&self.values[row as usize * self.width..][..self.width]);
    }
}

/// What heads must agree on to read the same input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sight {
    pub(super) normalise: Normalisation,
    pub(super) dropout: f32,
}

/// The input of the heads with one [`Sight`].
pub(super) struct View {
    pub(super) sight: Sight,
    pub(super) fitted: Fitted,
    pub(super) input: Activations,
}

/// Whether inputs are dropped, and by which choices.
#[derive(Clone, Copy)]
pub(crate) enum Dropping {
    Off,
    On {
        /// Another one every step.
        key: u64,
    },
}

impl Dropping {
    /// The mask of a layer, given its probability; `None` where all is kept. `layer` makes
    /// the choices of two layers differ.
    pub(crate) fn mask(self, probability: f32, layer: u64) -> Option<Mask> {
        match self {
            Self::On { key } if probability > 0.0 => {
                let key = key ^ layer.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                Some(Mask {
                    keys: [key as u32, (key >> 32) as u32],
                    // Of 2³² equally likely numbers, those below are dropped.
                    threshold: (f64::from(probability) * 4_294_967_296.0) as u32,
                    scale: 1.0 / (1.0 - probability),
                })
            }
            _ => None,
        }
    }
}

/// Dropout's choices for one layer in one step: a value is zeroed or scaled by 1/(1 − p),
/// by a hash of its place, so that any thread can make its part of them.
#[derive(Clone, Copy)]
pub(crate) struct Mask {
    keys: [u32; 2],
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// Applies it to values in a row; `place` is the number of the first one.
    #[inline]
    pub(crate) fn apply(self, values: &mut [f32], place: u32) {
        for (offset, value) in (0_u32..).zip(values) {
            let place = place.wrapping_add(offset);
            let hash = mixed(mixed(place.wrapping_add(self.keys[0])) ^ self.keys[1]);
            let factor = if hash < self.threshold {
                0.0
            } else {
                self.scale
            };
            *value *= factor;
        }
    }

    /// What the gradient of a kept value is multiplied with.
    pub(crate) fn scale(self) -> f32 {
        self.scale
    }
}

/// A bijection of 32 bits that leaves no trace of order ("lowbias32", Chris Wellons).
#[inline]
fn mixed(mut bits: u32) -> u32 {
    bits ^= bits >> 16;
    bits = bits.wrapping_mul(0x7FEB_352D);
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x846C_A68B);
    bits ^ (bits >> 16)
}

/// One block of a view, to be filled.
pub(super) struct Filling<'a> {
    pub(super) fitted: &'a Fitted,
    pub(super) mask: Option<Mask>,
    /// `[panels][rows][LANES]`
    pub(super) block: &'a mut [f32],
}

/// Copies the rows `rows`, the block `index` of a batch, into all views.
pub(super) fn fill(source: &dyn FeatureRows, index: usize, rows: &[u32], views: &mut [Filling]) {
    let width = source.width();
    let (mut raw, mut seen) = (vec![0.0; width], vec![0.0; width]);
    for (position, &row) in rows.iter().enumerate() {
        source.copy_row(row, &mut raw);
        let place = ((index * BLOCK_ROWS + position) * width) as u32;
        for view in &mut *views {
            let values = match (view.fitted, view.mask) {
                (Fitted::None, None) => &raw,
                (fitted, mask) => {
                    seen.copy_from_slice(&raw);
                    fitted.apply(&mut seen, width);
                    if let Some(mask) = mask {
                        mask.apply(&mut seen, place);
                    }
                    &seen
                }
            };
            let panels = view.block.chunks_exact_mut(rows.len() * LANES);
            for (panel, values) in panels.zip(values.chunks(LANES)) {
                let to = &mut panel[position * LANES..][..LANES];
                to[..values.len()].copy_from_slice(values);
                to[values.len()..].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_zeroes_its_share_and_keeps_the_mean() {
        let mask = Dropping::On {
            key: 0x1234_5678_9ABC,
        }
        .mask(0.3, 1)
        .unwrap();
        let mut values = vec![1.0; 200_000];
        mask.apply(&mut values, 77);
        let dropped = values.iter().filter(|value| **value == 0.0).count();
        assert!(
            (dropped as f64 / 200_000.0 - 0.3).abs() < 0.005,
            "{dropped}"
        );
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / 200_000.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn choices_differ_between_steps_and_layers_and_are_made_only_in_training() {
        let choices = |key, layer| {
            let mut values = vec![1.0; 64];
            let mask = Dropping::On { key }.mask(0.5, layer).unwrap();
            mask.apply(&mut values, 0);
            values
        };
        assert_eq!(choices(5, 0), choices(5, 0));
        assert_ne!(choices(5, 0), choices(6, 0));
        assert_ne!(choices(5, 0), choices(5, 1));
        assert!(Dropping::Off.mask(0.5, 0).is_none());
        assert!(Dropping::On { key: 5 }.mask(0.0, 0).is_none());
    }
}
