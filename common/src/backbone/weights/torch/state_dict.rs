//! From an unpickled checkpoint to tensors: finds the state dict and turns
//! each recorded `_rebuild_tensor` call into a view of a storage.

use std::collections::HashSet;

use super::{
    super::tensor::{StoredTensor, TensorInfo, view_fits},
    TorchError,
    globals::{Global, StorageType},
    unpickle::{Id, Pickle, Value},
};

/// Keys under which training scripts keep the state dict, in order of trust.
const WRAPPER_KEYS: [&str; 3] = ["state_dict", "model", "model_state_dict"];

/// Deepest nesting of such keys, and of wrappers around one tensor.
const MAX_NESTING: usize = 4;

/// Most tensors in a state dict, and most dimensions of one; both are far
/// above what networks have, and bound what a small hostile file can ask for.
const MAX_TENSORS: usize = 1 << 16;
const MAX_DIMENSIONS: usize = 8;

/// Where a storage lies in the file, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) bytes: usize,
}

/// A reference to a storage, as the pickle spells it:
/// `('storage', type, key, device, elements)`.
#[derive(Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) kind: StorageType,
    pub(super) key: &'a str,
    pub(super) elements: usize,
}

impl Storage<'_> {
    /// Size of the storage in bytes.
    pub(super) fn bytes(&self) -> Result<usize, TorchError> {
        self.elements
            .checked_mul(self.kind.element_bytes)
            .ok_or_else(|| TorchError::MalformedStorage {
                key: self.key.to_owned(),
                reason: "its size overflows",
            })
    }
}

/// Every storage that the pickle refers to, used by a tensor or not.
pub(super) fn storages<'a>(pickle: &Pickle<'a>) -> Result<Vec<Storage<'a>>, TorchError> {
    pickle
        .values()
        .filter_map(|value| match value {
            Value::Persistent(id) => {
                Some(storage(pickle, *id).ok_or(TorchError::UnsupportedContainer(
                    "a storage reference is not in the form that torch writes",
                )))
            }
            _ => None,
        })
        .collect()
}

/// All tensors of the state dict, in its order; `locate` says where a storage
/// lies.
pub(super) fn tensors(
    pickle: &Pickle<'_>,
    locate: impl Fn(&Storage<'_>) -> Result<Span, TorchError>,
) -> Result<Vec<(String, StoredTensor)>, TorchError> {
    let mut tensors = Vec::new();
    let mut seen = HashSet::new();
    for &(key, value) in find_state_dict(pickle)? {
        let (&Value::Text(name), Some(arguments)) =
            (pickle.get(key), tensor_arguments(pickle, value))
        else {
            continue;
        };
        if !seen.insert(name) {
            return Err(TorchError::MalformedTensor {
                tensor: name.to_owned(),
                reason: "the name appears twice",
            });
        }
        if seen.len() > MAX_TENSORS {
            return Err(TorchError::TooLarge {
                limit: MAX_TENSORS,
                what: "tensors",
            });
        }
        let tensor = view(pickle, name, arguments, &locate)?;
        tensors.push((name.to_owned(), tensor));
    }
    Ok(tensors)
}

/// The dictionary that holds the tensors: the top one, or the one under a
/// wrapper key.
fn find_state_dict<'p>(pickle: &'p Pickle<'_>) -> Result<&'p [(Id, Id)], TorchError> {
    let mut current = pickle.root();
    for _ in 0..MAX_NESTING {
        let Value::Dict(entries) = current else {
            break;
        };
        let inner = WRAPPER_KEYS.iter().find_map(|wanted| {
            entries
                .iter()
                .find_map(|&(key, value)| match (pickle.get(key), pickle.get(value)) {
                    (Value::Text(key), inner @ Value::Dict(_)) if key == wanted => Some(inner),
                    _ => None,
                })
        });
        if let Some(inner) = inner {
            current = inner;
        } else if entries
            .iter()
            .any(|&(_, value)| tensor_arguments(pickle, value).is_some())
        {
            return Ok(entries);
        } else {
            break;
        }
    }
    Err(TorchError::NoTensors {
        found: describe(pickle, current),
    })
}

fn describe(pickle: &Pickle<'_>, value: &Value<'_>) -> String {
    const SHOWN: usize = 4;
    match value {
        Value::Dict(entries) if entries.is_empty() => "an empty dictionary".to_owned(),
        Value::Dict(entries) => {
            let keys: Vec<String> = entries
                .iter()
                .filter_map(|&(key, _)| match pickle.get(key) {
                    Value::Text(key) => Some(format!("`{key}`")),
                    _ => None,
                })
                .take(SHOWN)
                .collect();
            format!(
                "a dictionary with {} keys ({})",
                entries.len(),
                keys.join(", ")
            )
        }
        Value::List(_) | Value::Tuple(_) => "a list".to_owned(),
        Value::Call(..) => "a single tensor".to_owned(),
        _ => "something else".to_owned(),
    }
}

/// The arguments of `_rebuild_tensor` if the value is a tensor, bare or as a
/// parameter or a subclass.
fn tensor_arguments<'p>(pickle: &'p Pickle<'_>, mut id: Id) -> Option<&'p [Id]> {
    for _ in 0..MAX_NESTING {
        let &Value::Call(mut global, arguments) = pickle.get(id) else {
            return None;
        };
        let mut arguments = tuple(pickle, arguments)?;
        if global == Global::RebuildFromType {
            let &[function, _, inner, ..] = arguments else {
                return None;
            };
            let &Value::Global(function) = pickle.get(function) else {
                return None;
            };
            global = function;
            arguments = tuple(pickle, inner)?;
        }
        match global {
            Global::RebuildTensor => return Some(arguments),
            Global::RebuildParameter => id = *arguments.first()?,
            _ => return None,
        }
    }
    None
}

fn view(
    pickle: &Pickle<'_>,
    name: &str,
    arguments: &[Id],
    locate: impl Fn(&Storage<'_>) -> Result<Span, TorchError>,
) -> Result<StoredTensor, TorchError> {
    let malformed = |reason| TorchError::MalformedTensor {
        tensor: name.to_owned(),
        reason,
    };
    let &[storage_id, offset, shape, strides, ..] = arguments else {
        return Err(malformed("too few arguments"));
    };
    let storage = match pickle.get(storage_id) {
        Value::Persistent(id) => storage(pickle, *id),
        _ => None,
    }
    .ok_or_else(|| malformed("its storage is not in the form that torch writes"))?;
    let (Some(offset), Some(shape), Some(mut strides)) = (
        size(pickle, offset),
        sizes(pickle, shape),
        sizes(pickle, strides),
    ) else {
        return Err(malformed("offset, shape or strides are not sizes"));
    };
    if !view_fits(&shape, &strides, offset, storage.elements) {
        return Err(TorchError::OutOfBounds {
            tensor: name.to_owned(),
            shape,
            strides,
            offset,
            elements: storage.elements,
        });
    }
    for (stride, _) in strides
        .iter_mut()
        .zip(&shape)
        .filter(|(_, extent)| **extent < 2)
    {
        // Never stepped along, so it may be any number in the file.
        *stride = 0;
    }
    let span = locate(&storage)?;
    Ok(StoredTensor {
        info: TensorInfo {
            shape,
            dtype: storage.kind.dtype(),
        },
        start: span.start,
        bytes: span.bytes,
        offset,
        strides,
    })
}

fn storage<'a>(pickle: &Pickle<'a>, id: Id) -> Option<Storage<'a>> {
    let &[tag, kind, key, _device, elements, ref view @ ..] = tuple(pickle, id)? else {
        return None;
    };
    // Torch before 0.4 wrote views of storages here; since then it is `None`.
    if view
        .iter()
        .any(|&id| !matches!(pickle.get(id), Value::Inert))
    {
        return None;
    }
    match (pickle.get(tag), pickle.get(kind), pickle.get(key)) {
        (Value::Text("storage"), &Value::Global(Global::Storage(kind)), &Value::Text(key)) => {
            Some(Storage {
                kind,
                key,
                elements: size(pickle, elements)?,
            })
        }
        _ => None,
    }
}

fn tuple<'p>(pickle: &'p Pickle<'_>, id: Id) -> Option<&'p [Id]> {
    match pickle.get(id) {
        Value::Tuple(items) => Some(items),
        _ => None,
    }
}

fn size(pickle: &Pickle<'_>, id: Id) -> Option<usize> {
    match *pickle.get(id) {
        Value::Int(value) => usize::try_from(value).ok(),
        _ => None,
    }
}

fn sizes(pickle: &Pickle<'_>, id: Id) -> Option<Vec<usize>> {
    let items = tuple(pickle, id)?;
    if items.len() > MAX_DIMENSIONS {
        return None;
    }
    items.iter().map(|&id| size(pickle, id)).collect()
}
