//! Executors of a backbone's graph.
//!
//! In: preprocessed pixels of a batch. Out: the activations at the requested
//! stages, one row an image. Whatever the batch, an image's rows depend on
//! that image alone.

pub mod cpu;
pub mod device;
#[cfg(test)]
mod golden;
pub mod reference;
pub(crate) mod windows;

use thiserror::Error;

use crate::{
    backbone::{Shape, ValueId},
    exit::Exit,
    image::Layout,
};

/// A stage whose activations are emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Stage name.
    pub name: String,
    /// Shape of one image's activation.
    pub shape: Shape,
}

impl Layer {
    /// The stages `names`, whose values are `outputs` among `shapes`.
    fn list(names: &[String], outputs: &[ValueId], shapes: &[Shape]) -> Vec<Self> {
        let stages = names.iter().zip(outputs);
        stages
            .map(|(name, output)| Self {
                name: name.clone(),
                shape: shapes[output.0],
            })
            .collect()
    }
}

/// Runs a frozen backbone. Shared by worker threads.
pub trait Executor: Send + Sync {
    /// What [`Executor::forward`] emits, in this order.
    fn layers(&self) -> &[Layer];

    /// How many images a call should carry to be fast.
    fn preferred_batch(&self) -> usize;

    /// Runs `batch` images.
    ///
    /// `pixels`: `[batch, 3, H, W]` f32, normalised. Returns for each layer
    /// `[batch, C, H, W]` f32, row-major.
    ///
    /// # Errors
    /// When the device fails, or `pixels` has another length.
    fn forward(&self, pixels: &[f32], batch: usize) -> Result<Vec<Vec<f32>>, EngineError>;

    /// The order of pixels that takes no transposition.
    fn layout(&self) -> Layout {
        Layout::Planar
    }

    /// [`Executor::forward`] for pixels in the order of [`Executor::layout`].
    ///
    /// # Errors
    /// As [`Executor::forward`].
    fn forward_as_laid_out(
        &self,
        pixels: &[f32],
        batch: usize,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        self.forward(pixels, batch)
    }
}

/// Why a backbone could not be run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The device does not exist or cannot be used.
    #[error("device `{device}` is not available: {reason}")]
    DeviceUnavailable {
        /// As asked for.
        device: String,
        /// What is missing and the remedy.
        reason: String,
    },
    /// The precision does not exist on the device.
    #[error("precision {precision} is not available on {device} (use f32)")]
    PrecisionUnavailable {
        /// As asked for.
        precision: String,
        /// The device's name.
        device: String,
    },
    /// The device reported an error.
    #[error("the backbone failed to run")]
    Compute(#[from] candle_core::Error),
    /// The input does not have the size it should have.
    #[error("input holds {found} values, expected {expected} ({batch} images of {height}×{width})")]
    InputLength {
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
        /// Images.
        batch: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

impl EngineError {
    /// How a process that meets the error is to exit.
    pub fn exit(&self) -> Exit {
        match self {
            Self::DeviceUnavailable { .. } | Self::PrecisionUnavailable { .. } => Exit::Device,
            Self::Compute(_) | Self::InputLength { .. } => Exit::Failure,
        }
    }
}
