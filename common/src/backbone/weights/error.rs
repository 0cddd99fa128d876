//! What can be wrong with a weight file.

use std::{io, path::PathBuf};

use safetensors::SafeTensorError;

use super::{bind::Mismatch, hub::HubError, tensor::Dtype, torch::TorchError};

/// Why weights cannot be used. Each message names the file; the cause, where
/// there is one, is the error's `source`.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    /// The file cannot be opened or mapped.
    #[error("weights `{}`: cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The file has no bytes.
    #[error("weights `{}`: the file is empty (fetch it again)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// The content is neither safetensors nor a torch file.
    #[error("weights `{}`: expected safetensors or a torch `.pth` file, found {found}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What the first bytes look like, with the remedy where one is known.
        found: &'static str,
    },

    /// A safetensors file with a damaged header or the wrong length.
    #[error("weights `{}`: damaged safetensors file", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What the header check found.
        source: SafeTensorError,
    },

    /// A torch file that is damaged or holds something else than tensors.
    #[error("weights `{}`: unusable torch file", path.display())]
    Torch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TorchError,
    },

    /// There is no tensor of that name.
    #[error("weights `{}`: no tensor `{name}`", path.display())]
    NoSuchTensor {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },

    /// The tensor's elements are of a type that weights are not read from.
    #[error(
        "weights `{}`: tensor `{name}` is {dtype}, expected f16, bf16, f32, f64 or i64",
        path.display()
    )]
    UnsupportedDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its element type.
        dtype: Dtype,
    },

    /// The tensor holds NaN or an infinity, or an f64 that f32 cannot hold.
    #[error(
        "weights `{}`: tensor `{name}` has a non-finite value at element {index} (the training that wrote it diverged, or the file is damaged)",
        path.display()
    )]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Row-major position of the first such value.
        index: usize,
    },

    /// The tensors are not those of the network.
    #[error("weights `{}`: {mismatch}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What is missing, unexpected and misshapen.
        mismatch: Box<Mismatch>,
    },

    /// A file on the Hub could not be fetched.
    #[error(transparent)]
    Hub(#[from] HubError),
}
