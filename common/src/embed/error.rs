//! Why features cannot be made.

use std::path::PathBuf;

use super::MODEL_FILE;
use crate::{
    backbone::{LoadError, UnknownStage, weights::hub::HubError},
    engine::{EngineError, cpu, reference},
    exit::Exit,
    image::{DecodeError, PreprocessError},
};

/// Why an [`Embedder`](super::Embedder) could not be built.
#[derive(Debug, thiserror::Error)]
pub enum EmbedderError {
    /// The backbone has no weights of its own.
    #[error(
        "backbone `{name}` needs `--weights FILE` ({origin}; a .pth or .safetensors file, or hf:OWNER/NAME/FILE)"
    )]
    WeightsNeeded {
        /// The backbone.
        name: &'static str,
        /// Where its weights come from.
        origin: &'static str,
    },
    /// A folder that is no fine-tuned run.
    #[error(
        "`{}`: the folder holds no `{MODEL_FILE}` (name a weight file, or the folder of a fine-tuned run)", .0.display()
    )]
    NoModel(PathBuf),
    /// The Hub could not deliver them.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The file does not fit.
    #[error(transparent)]
    Weights(#[from] LoadError),
    /// A layer the backbone does not have.
    #[error(transparent)]
    Layer(#[from] UnknownStage),
    /// A recipe that makes no sense.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The device or precision is not there.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The CPU engine cannot run the network on this input.
    #[error(transparent)]
    Cpu(#[from] cpu::BuildError),
    /// int8 without a calibration.
    #[error("int8 needs a calibration (`extract run` makes one)")]
    Uncalibrated,
    /// No image to calibrate on.
    #[error("none of the images that int8 was to be calibrated on is usable (use --precision f32)")]
    NothingToCalibrateOn,
    /// The instruction set asked for is not there.
    #[error(transparent)]
    Isa(#[from] cpu::UnknownIsa),
}

impl From<reference::BuildError> for EmbedderError {
    fn from(error: reference::BuildError) -> Self {
        match error {
            reference::BuildError::Layer(error) => Self::Layer(error),
            reference::BuildError::Engine(error) => Self::Engine(error),
        }
    }
}

impl EmbedderError {
    /// How a process that meets the error is to exit.
    pub fn exit(&self) -> Exit {
        match self {
            Self::WeightsNeeded { .. }
            | Self::NoModel(_)
            | Self::Hub(_)
            | Self::Weights(_)
            | Self::Uncalibrated
            | Self::NothingToCalibrateOn => Exit::Input,
            Self::Layer(_) | Self::Preprocess(_) | Self::Cpu(_) | Self::Isa(_) => Exit::Usage,
            Self::Engine(error) => error.exit(),
        }
    }
}

/// Why one image has no features. Says nothing about other images.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The bytes are no image, or a damaged one.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The pixels could not be resized.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
}
