//! What can be wrong with a torch file. The file is named by the
//! [`WeightError`](super::super::WeightError) around it.

use zip::result::ZipError;

/// Why a torch file is refused.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The pickle names something that is neither a tensor nor a container.
    #[error(
        "refers to `{module}.{name}`, and only tensors and plain containers are read (save `model.state_dict()` alone)"
    )]
    RefusedName {
        /// Python module.
        module: String,
        /// Name within the module.
        name: String,
    },

    /// An instruction that `torch.save` does not write.
    #[error("pickle instruction {code:#04x} at byte {at} is not one that `torch.save` writes")]
    UnsupportedOpcode {
        /// The instruction.
        code: u8,
        /// Its position in the pickle.
        at: usize,
    },

    /// The pickle ends before its last instruction.
    #[error("the pickle ends at byte {at}, in the middle of an instruction (fetch the file again)")]
    TruncatedPickle {
        /// Length of what is there, in bytes.
        at: usize,
    },

    /// The pickle does something that makes no sense.
    #[error("malformed pickle: {reason} at byte {at}")]
    MalformedPickle {
        /// What is wrong.
        reason: &'static str,
        /// Position in the pickle.
        at: usize,
    },

    /// The pickle is larger than any state dict's.
    #[error("the pickle has more than {limit} {what}, too many for a state dict")]
    TooLarge {
        /// The cap.
        limit: usize,
        /// What is counted.
        what: &'static str,
    },

    /// The pickle holds no tensors where they are looked for.
    #[error(
        "no tensors at the top, in `state_dict` or in `model`; found {found} (save `model.state_dict()` alone)"
    )]
    NoTensors {
        /// What is there instead.
        found: String,
    },

    /// A tensor's description is not what torch writes.
    #[error("tensor `{tensor}`: {reason}")]
    MalformedTensor {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: &'static str,
    },

    /// A tensor reaches beyond its storage.
    #[error(
        "tensor `{tensor}` of shape {shape:?}, strides {strides:?} and offset {offset} does not fit its storage of {elements} elements"
    )]
    OutOfBounds {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its strides, in elements.
        strides: Vec<usize>,
        /// Its first element.
        offset: usize,
        /// Elements in the storage.
        elements: usize,
    },

    /// The file holds less data than a storage needs, or none.
    #[error(
        "storage `{key}`: expected {expected} bytes, found {found} (the file is cut short; fetch it again)"
    )]
    TruncatedStorage {
        /// The storage's key.
        key: String,
        /// Bytes that it needs.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },

    /// The file and its pickle disagree about a storage.
    #[error("storage `{key}`: {reason}")]
    MalformedStorage {
        /// The storage's key.
        key: String,
        /// What is wrong.
        reason: &'static str,
    },

    /// The container is of a kind that is not read.
    #[error("{0}")]
    UnsupportedContainer(&'static str),

    /// The zip directory is damaged.
    #[error("damaged zip directory (the file is cut short; fetch it again)")]
    Zip(#[from] ZipError),
}
