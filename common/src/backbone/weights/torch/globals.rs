//! The Python names that a pickle may mention. Mentioning one never runs it:
//! each stands for a way to interpret its arguments.

use std::borrow::Cow;

use super::super::tensor::Dtype;

/// What a name that may be mentioned stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// A dictionary that starts empty, or from a list of pairs.
    Dict,
    /// `_rebuild_tensor(storage, offset, size, stride)`, and the `_v2` that
    /// adds arguments behind these.
    RebuildTensor,
    /// `_rebuild_parameter(tensor, requires_grad, hooks)`.
    RebuildParameter,
    /// `_rebuild_from_type_v2(function, type, arguments, state)`.
    RebuildFromType,
    /// The class of a typed storage.
    Storage(StorageType),
    /// A plain value that says nothing about tensors.
    Inert,
}

/// Element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StorageType {
    class: &'static str,
    /// Bytes an element.
    pub(super) element_bytes: usize,
}

impl StorageType {
    pub(super) fn dtype(self) -> Dtype {
        match self.class {
            "HalfStorage" => Dtype::F16,
            "BFloat16Storage" => Dtype::Bf16,
            "FloatStorage" => Dtype::F32,
            "DoubleStorage" => Dtype::F64,
            "LongStorage" => Dtype::I64,
            other => Dtype::Other(Cow::Borrowed(other)),
        }
    }
}

const STORAGES: [(&str, usize); 15] = [
    ("HalfStorage", 2),
    ("BFloat16Storage", 2),
    ("FloatStorage", 4),
    ("DoubleStorage", 8),
    ("LongStorage", 8),
    ("IntStorage", 4),
    ("ShortStorage", 2),
    ("CharStorage", 1),
    ("ByteStorage", 1),
    ("BoolStorage", 1),
    ("ComplexFloatStorage", 8),
    ("ComplexDoubleStorage", 16),
    ("QInt8Storage", 1),
    ("QUInt8Storage", 1),
    ("QInt32Storage", 4),
];

impl Global {
    /// The meaning of `module.name`, or `None` if it may not be mentioned.
    pub(super) fn lookup(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict" | "defaultdict") => Some(Self::Dict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch._tensor", "_rebuild_from_type_v2") => Some(Self::RebuildFromType),
            // What training scripts keep beside the weights.
            ("argparse", "Namespace")
            | ("torch", "Size" | "device" | "Tensor")
            | ("torch.nn.parameter", "Parameter")
            | ("builtins" | "__builtin__", "dict" | "list" | "set" | "int" | "float")
            | ("numpy", "dtype")
            | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
            | ("_codecs", "encode") => Some(Self::Inert),
            ("torch" | "torch.cuda", name) => STORAGES
                .iter()
                .find(|(class, _)| *class == name)
                .map(|&(class, element_bytes)| {
                    Self::Storage(StorageType {
                        class,
                        element_bytes,
                    })
                }),
            _ => None,
        }
    }
}
