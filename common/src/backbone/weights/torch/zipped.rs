//! The container that torch writes since version 1.6: an uncompressed zip
//! archive with `NAME/data.pkl`, `NAME/byteorder` and one `NAME/data/KEY` per
//! storage.

use std::{collections::BTreeMap, io::Cursor};

use zip::{CompressionMethod, ZipArchive};

use super::{
    super::tensor::StoredTensor,
    TorchError,
    state_dict::{self, Span},
    unpickle::Pickle,
};

/// What is said of files from big-endian machines, in both containers.
pub(super) const BIG_ENDIAN: &str =
    "written on a big-endian machine (load it with torch on a common machine and save it again)";

const PICKLE: &str = "/data.pkl";

/// Whether the bytes begin as a zip archive does.
pub(crate) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// All tensors of the state dict.
pub(crate) fn zip_tensors(bytes: &[u8]) -> Result<Vec<(String, StoredTensor)>, TorchError> {
    let records = directory(bytes)?;
    let slice = |span: Span| &bytes[span.start..span.start + span.bytes];
    let (folder, pickle) = records
        .iter()
        .find_map(|(name, &span)| Some((name.strip_suffix(PICKLE)?, span)))
        .ok_or(TorchError::UnsupportedContainer(
            "a zip archive that `torch.save` did not write: it has no `data.pkl`",
        ))?;
    if records.contains_key(&format!("{folder}/constants.pkl")) {
        return Err(TorchError::UnsupportedContainer(
            "a TorchScript archive, that is a program (save `model.state_dict()` with `torch.save`)",
        ));
    }
    if let Some(&order) = records.get(&format!("{folder}/byteorder"))
        && slice(order) == b"big"
    {
        return Err(TorchError::UnsupportedContainer(BIG_ENDIAN));
    }
    let pickle = Pickle::read(slice(pickle))?;
    state_dict::tensors(&pickle, |storage| {
        let expected = storage.bytes()?;
        let span = records.get(&format!("{folder}/data/{}", storage.key));
        let found = span.map_or(0, |span| span.bytes);
        match span {
            Some(&span) if found >= expected => Ok(Span {
                bytes: expected,
                ..span
            }),
            _ => Err(TorchError::TruncatedStorage {
                key: storage.key.to_owned(),
                expected,
                found,
            }),
        }
    })
}

/// Where each record's data lies. Torch never compresses; a record that is
/// compressed or encrypted is refused rather than expanded.
fn directory(bytes: &[u8]) -> Result<BTreeMap<String, Span>, TorchError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut records = BTreeMap::new();
    for index in 0..archive.len() {
        let record = archive.by_index_raw(index)?;
        let name = record.name()?.into_owned();
        if record.compression() != CompressionMethod::Stored || record.encrypted() {
            return Err(TorchError::UnsupportedContainer(
                "a compressed zip archive, which torch does not write (unpack it)",
            ));
        }
        let span = (|| {
            let start = usize::try_from(record.data_start()?).ok()?;
            let length = usize::try_from(record.size()).ok()?;
            (start.checked_add(length)? <= bytes.len()).then_some(Span {
                start,
                bytes: length,
            })
        })();
        match span {
            Some(span) => records.insert(name, span),
            None => {
                return Err(TorchError::TruncatedStorage {
                    key: name,
                    expected: usize::try_from(record.size()).unwrap_or(usize::MAX),
                    found: bytes.len(),
                });
            }
        };
    }
    Ok(records)
}
