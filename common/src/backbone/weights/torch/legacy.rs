//! The container that torch wrote before version 1.6, and still writes on
//! request: a stream of pickles (magic number, protocol version, facts about
//! the machine, the object, the storage keys), then for each key an element
//! count of eight bytes and the elements.

use std::collections::HashMap;

use super::{
    super::tensor::StoredTensor,
    TorchError,
    state_dict::{self, Span, Storage},
    unpickle::{Pickle, Value},
};

/// The magic number 0x1950a86a20f9469cfc6c as a pickled integer, behind the
/// two bytes that say the protocol.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const PROTOCOL_VERSION: i64 = 1001;

/// Whether the bytes begin with the magic number.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x80) && bytes.get(2..).is_some_and(|rest| rest.starts_with(MAGIC))
}

/// All tensors of the state dict.
pub(crate) fn legacy_tensors(bytes: &[u8]) -> Result<Vec<(String, StoredTensor)>, TorchError> {
    let mut stream = Stream { bytes, at: 0 };
    stream.pickle()?;
    check_protocol(&stream.pickle()?)?;
    check_machine(&stream.pickle()?)?;
    let object = stream.pickle()?;
    let keys = stream.pickle()?;
    let spans = read_spans(&mut stream, &object, &keys)?;
    state_dict::tensors(&object, |storage| {
        spans
            .get(storage.key)
            .copied()
            .ok_or_else(|| missing(storage.key))
    })
}

fn check_protocol(version: &Pickle<'_>) -> Result<(), TorchError> {
    match version.root() {
        Value::Int(PROTOCOL_VERSION) => Ok(()),
        _ => Err(TorchError::UnsupportedContainer(
            "a legacy torch file of another protocol than 1001 (load it with torch and save it again)",
        )),
    }
}

fn check_machine(machine: &Pickle<'_>) -> Result<(), TorchError> {
    let Value::Dict(facts) = machine.root() else {
        return Ok(());
    };
    let is_big_endian = facts.iter().any(|&(key, value)| {
        matches!(
            (machine.get(key), machine.get(value)),
            (Value::Text("little_endian"), Value::Bool(false))
        )
    });
    if is_big_endian {
        return Err(TorchError::UnsupportedContainer(super::zipped::BIG_ENDIAN));
    }
    Ok(())
}

/// Walks over the data behind the pickles. Every storage is passed, also
/// those of an optimiser, because nothing else says where the next one begins.
fn read_spans<'a>(
    stream: &mut Stream<'_>,
    object: &Pickle<'a>,
    keys: &Pickle<'a>,
) -> Result<HashMap<&'a str, Span>, TorchError> {
    let storages: HashMap<&str, Storage<'_>> = state_dict::storages(object)?
        .into_iter()
        .map(|storage| (storage.key, storage))
        .collect();
    let Value::List(keys_in_order) = keys.root() else {
        return Err(TorchError::UnsupportedContainer(
            "a legacy torch file without its list of storages",
        ));
    };
    let mut spans = HashMap::new();
    for &key in keys_in_order {
        let &Value::Text(key) = keys.get(key) else {
            return Err(missing("(not a text)"));
        };
        let storage = storages.get(key).ok_or_else(|| missing(key))?;
        spans.insert(key, stream.storage(storage)?);
    }
    Ok(spans)
}

fn missing(key: &str) -> TorchError {
    TorchError::MalformedStorage {
        key: key.to_owned(),
        reason: "the list of storages and the tensors do not agree",
    }
}

struct Stream<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Stream<'a> {
    fn pickle(&mut self) -> Result<Pickle<'a>, TorchError> {
        let pickle = Pickle::read(&self.bytes[self.at..])?;
        self.at += pickle.length;
        Ok(pickle)
    }

    fn storage(&mut self, storage: &Storage<'_>) -> Result<Span, TorchError> {
        const COUNT_BYTES: usize = size_of::<u64>();
        let rest = &self.bytes[self.at..];
        let bytes = storage.bytes()?;
        let Some((count, data)) = rest.split_first_chunk::<COUNT_BYTES>() else {
            return Err(truncated(storage, bytes, 0));
        };
        if u64::from_le_bytes(*count) != storage.elements as u64 {
            return Err(TorchError::MalformedStorage {
                key: storage.key.to_owned(),
                reason: "its element count differs from the one in the pickle",
            });
        }
        if data.len() < bytes {
            return Err(truncated(storage, bytes, data.len()));
        }
        let start = self.at + COUNT_BYTES;
        self.at = start + bytes;
        Ok(Span { start, bytes })
    }
}

fn truncated(storage: &Storage<'_>, expected: usize, found: usize) -> TorchError {
    TorchError::TruncatedStorage {
        key: storage.key.to_owned(),
        expected,
        found,
    }
}
