//! The safetensors container.

use std::borrow::Cow;

use safetensors::{Dtype as SafeDtype, SafeTensorError, SafeTensors};

use super::tensor::{Dtype, StoredTensor, TensorInfo, row_major};

/// Whether the bytes begin as safetensors do: a header length, then JSON.
pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, json)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    // Eight printable characters as a length would mean exabytes: then it is
    // a text that happens to have a brace in ninth place.
    let is_text = length
        .iter()
        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    json.first() == Some(&b'{') && !is_text
}

/// All tensors in the order of their data.
///
/// The crate caps the header, checks every offset against shape and type, and
/// accounts for every byte of the file.
pub(super) fn tensors(bytes: &[u8]) -> Result<Vec<(String, StoredTensor)>, SafeTensorError> {
    const LENGTH_BYTES: usize = size_of::<u64>();
    let (header_bytes, metadata) = SafeTensors::read_metadata(bytes)?;
    let data_start = LENGTH_BYTES + header_bytes;
    metadata
        .offset_keys()
        .into_iter()
        .map(|name| {
            let info = metadata
                .info(&name)
                .ok_or_else(|| SafeTensorError::TensorNotFound(name.clone()))?;
            let (begin, end) = info.data_offsets;
            let strides = row_major(&info.shape).ok_or(SafeTensorError::ValidationOverflow)?;
            let tensor = StoredTensor {
                info: TensorInfo {
                    shape: info.shape.clone(),
                    dtype: dtype(info.dtype),
                },
                start: data_start + begin,
                bytes: end - begin,
                offset: 0,
                strides,
            };
            Ok((name, tensor))
        })
        .collect()
}

fn dtype(dtype: SafeDtype) -> Dtype {
    match dtype {
        SafeDtype::F16 => Dtype::F16,
        SafeDtype::BF16 => Dtype::Bf16,
        SafeDtype::F32 => Dtype::F32,
        SafeDtype::F64 => Dtype::F64,
        SafeDtype::I64 => Dtype::I64,
        other => Dtype::Other(Cow::Owned(format!("{other:?}").to_lowercase())),
    }
}
