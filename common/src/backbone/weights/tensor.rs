//! One tensor of a weight file: a strided view of a storage, and its values
//! as f32.

use std::{borrow::Cow, fmt};

use half::{bf16, f16};

/// Element type of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Signed 64-bit integer, as in `num_batches_tracked`.
    I64,
    /// A type that weights are not read from, under the file's name for it.
    Other(Cow<'static, str>),
}

impl fmt::Display for Dtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::Other(name) => name,
        })
    }
}

/// Shape and element type of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Extent of each dimension, outermost first.
    pub shape: Vec<usize>,
    /// Type of the stored elements.
    pub dtype: Dtype,
}

/// A strided view of elements that lie in `file[start..start + bytes]`.
#[derive(Debug)]
pub(super) struct StoredTensor {
    pub(super) info: TensorInfo,
    /// First byte of the storage in the file.
    pub(super) start: usize,
    /// Length of the storage in bytes.
    pub(super) bytes: usize,
    /// First element of the view, counted from the start of the storage.
    pub(super) offset: usize,
    /// Distance in elements between neighbours along each dimension.
    pub(super) strides: Vec<usize>,
}

/// Row-major strides of a shape; `None` if its element count overflows.
pub(super) fn row_major(shape: &[usize]) -> Option<Vec<usize>> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1_usize;
    for (stride, &extent) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.checked_mul(extent)?;
    }
    Some(strides)
}

/// Number of elements of a shape; `None` on overflow.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |count, &extent| count.checked_mul(extent))
}

/// Whether the view stays within a storage of `elements` elements and repeats
/// none of them so often that reading it would need more room than the storage.
pub(super) fn view_fits(
    shape: &[usize],
    strides: &[usize],
    offset: usize,
    elements: usize,
) -> bool {
    let last = shape
        .iter()
        .zip(strides)
        .try_fold(offset, |last, (&extent, &stride)| {
            last.checked_add(extent.saturating_sub(1).checked_mul(stride)?)
        });
    match (element_count(shape), last) {
        (Some(0), _) => shape.len() == strides.len(),
        (Some(count), Some(last)) => {
            shape.len() == strides.len() && count <= elements && last < elements
        }
        _ => false,
    }
}

impl StoredTensor {
    /// The values in row-major order, or `None` for [`Dtype::Other`].
    pub(super) fn to_f32(&self, file: &[u8]) -> Option<Vec<f32>> {
        let storage = &file[self.start..self.start + self.bytes];
        Some(match self.info.dtype {
            Dtype::F16 => self.gather(storage, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::Bf16 => self.gather(storage, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F32 => self.gather(storage, f32::from_le_bytes),
            Dtype::F64 => self.gather(storage, |b| f64::from_le_bytes(b) as f32),
            Dtype::I64 => self.gather(storage, |b| i64::from_le_bytes(b) as f32),
            Dtype::Other(_) => return None,
        })
    }

    fn gather<const N: usize>(&self, storage: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (elements, _) = storage.as_chunks::<N>();
        let shape = &self.info.shape;
        let count = element_count(shape).unwrap_or(0);
        if count == 0 {
            return Vec::new();
        }
        if row_major(shape).as_ref() == Some(&self.strides) {
            let run = &elements[self.offset..self.offset + count];
            return run.iter().map(|&bytes| convert(bytes)).collect();
        }
        let mut index = vec![0; shape.len()];
        let mut position = self.offset;
        let mut values = Vec::with_capacity(count);
        loop {
            values.push(convert(elements[position]));
            // Odometer: the last dimension turns fastest.
            let turned = (0..shape.len()).rev().any(|d| {
                index[d] += 1;
                position += self.strides[d];
                if index[d] < shape[d] {
                    return true;
                }
                position -= shape[d] * self.strides[d];
                index[d] = 0;
                false
            });
            if !turned {
                return values;
            }
        }
    }
}
