//! A batch of feature rows with typed, borrowed columns.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, DictionaryArray, Float16Array, Float32Array, Int32Array,
        RecordBatch, StringArray, UInt8Array, UInt64Array,
    },
    datatypes::{Float16Type, Float32Type, Int8Type, Int32Type, UInt8Type, UInt64Type},
};
use half::{f16, slice::HalfFloatSliceExt};

use super::{FeatureDtype, Layer, schema};
use crate::source::Split;

/// Values of a batch, row after row, without padding: `[rows, dim]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Embedding<'a> {
    /// Half precision.
    F16(&'a [f16]),
    /// Single precision.
    F32(&'a [f32]),
}

impl Embedding<'_> {
    /// The number type.
    pub fn dtype(&self) -> FeatureDtype {
        match self {
            Self::F16(_) => FeatureDtype::F16,
            Self::F32(_) => FeatureDtype::F32,
        }
    }

    /// Address of the first value.
    pub(super) fn address(&self) -> usize {
        match self {
            Self::F16(values) => values.as_ptr() as usize,
            Self::F32(values) => values.as_ptr() as usize,
        }
    }
}

/// Where a batch's values are: little-endian and row after row, as in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: Arc<Path>,
    /// Bytes before the first value.
    pub offset: u64,
}

/// Feature rows of one layer. Memory-mapped where the cache is Arrow: a clone or
/// a borrow copies nothing, and the mapping lives as long as the batch.
#[derive(Clone, Debug)]
pub struct FeatureBatch {
    batch: RecordBatch,
    dim: usize,
    ids: UInt64Array,
    uris: StringArray,
    labels: Int32Array,
    split_keys: DictionaryArray<Int8Type>,
    /// Meaning of each key.
    splits: Vec<Split>,
    views: UInt8Array,
    values: Values,
    place: Option<Place>,
}

#[derive(Clone, Debug)]
enum Values {
    F16(Float16Array),
    F32(Float32Array),
}

impl FeatureBatch {
    /// Checks types and the absence of nulls; copies nothing.
    pub(super) fn try_new(batch: RecordBatch, layer: &Layer) -> Result<Self, String> {
        let expected = schema::schema(layer);
        if batch.schema().fields() != expected.fields() {
            return Err(format!(
                "its columns are not those of layer `{}`, {:?} {}",
                layer.name, layer.shape, layer.dtype
            ));
        }
        if let Some(position) = batch
            .columns()
            .iter()
            .position(|column| column.null_count() > 0)
        {
            return Err(format!("column `{}` has nulls", schema::COLUMNS[position]));
        }
        // The schema was compared, so each column has the type it is taken for.
        let column = |position: usize| batch.column(position);
        let split_keys = column(3).as_dictionary::<Int8Type>().clone();
        Ok(Self {
            dim: layer.dim(),
            ids: column(0).as_primitive::<UInt64Type>().clone(),
            uris: column(1).as_string::<i32>().clone(),
            labels: column(2).as_primitive::<Int32Type>().clone(),
            splits: split_meanings(split_keys.values())?,
            split_keys,
            views: column(4).as_primitive::<UInt8Type>().clone(),
            values: embedding_values(column(5), layer)?,
            place: None,
            batch,
        })
    }

    /// The same, knowing where its values are.
    pub(super) fn placed(self, place: Option<Place>) -> Self {
        Self { place, ..self }
    }

    /// Where the values can be read without a mapping; `None` where they are not in a file as they are
    /// in memory.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Values of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Plan rows, `[rows]`.
    pub fn ids(&self) -> &[u64] {
        self.ids.values()
    }

    /// Uri of row `row`.
    ///
    /// # Panics
    /// When `row` is not below [`FeatureBatch::rows`].
    pub fn uri(&self, row: usize) -> &str {
        self.uris.value(row)
    }

    /// Class indices, -1 where unlabelled, `[rows]`.
    pub fn labels(&self) -> &[i32] {
        self.labels.values()
    }

    /// Split of row `row`.
    ///
    /// # Panics
    /// When `row` is not below [`FeatureBatch::rows`].
    pub fn split(&self, row: usize) -> Split {
        let key = usize::try_from(self.split_keys.keys().value(row));
        key.ok()
            .and_then(|key| self.splits.get(key).copied())
            .unwrap_or_default()
    }

    /// View numbers, `[rows]`.
    pub fn views(&self) -> &[u8] {
        self.views.values()
    }

    /// The features, `[rows, dim]`.
    pub fn values(&self) -> Embedding<'_> {
        match &self.values {
            Values::F16(values) => Embedding::F16(values.values()),
            Values::F32(values) => Embedding::F32(values.values()),
        }
    }

    /// Copies row `row` into `output` as f32.
    ///
    /// # Panics
    /// When `row` is not below [`FeatureBatch::rows`] or `output` is not `[dim]`.
    pub fn copy_row(&self, row: usize, output: &mut [f32]) {
        let range = row * self.dim..(row + 1) * self.dim;
        match self.values() {
            Embedding::F16(values) => values[range].convert_to_f32_slice(output),
            Embedding::F32(values) => output.copy_from_slice(&values[range]),
        }
    }

    /// The columns as Arrow knows them.
    pub fn record_batch(&self) -> &RecordBatch {
        &self.batch
    }
}

/// What each entry of a split dictionary means. Parquet readers make their own
/// dictionaries, so the order is not ours.
fn split_meanings(dictionary: &ArrayRef) -> Result<Vec<Split>, String> {
    let names = dictionary
        .as_string_opt::<i32>()
        .ok_or("splits are not text")?;
    let meaning = |name: Option<&str>| {
        let name = name.unwrap_or_default();
        let split = Split::ALL.into_iter().find(|split| split.as_str() == name);
        split.ok_or_else(|| format!("unknown split `{name}`"))
    };
    names.iter().map(meaning).collect()
}

fn embedding_values(column: &ArrayRef, layer: &Layer) -> Result<Values, String> {
    let list = column.as_fixed_size_list();
    let start = list.value_offset_at(0);
    let values = list.values().slice(start, list.len() * layer.dim());
    if values.null_count() > 0 {
        return Err("features are null".to_owned());
    }
    Ok(match layer.dtype {
        FeatureDtype::F16 => Values::F16(values.as_primitive::<Float16Type>().clone()),
        FeatureDtype::F32 => Values::F32(values.as_primitive::<Float32Type>().clone()),
    })
}
