//! Columns of a feature file, the same for Arrow and Parquet.
//!
//! | column | type |
//! |---|---|
//! | `id` | u64: the plan row |
//! | `uri` | utf8 |
//! | `label` | i32: class index, -1 where unlabelled |
//! | `split` | dictionary of int8 to utf8: `train`, `val`, `test`, or empty |
//! | `view` | u8 |
//! | `embedding` | fixed-size list of f16 or f32, an `arrow.fixed_shape_tensor` |
//!
//! Nothing is ever null.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, StringArray},
    datatypes::{DataType, Field, Metadata, Schema, SchemaRef},
};

use super::{FeatureDtype, Layer};
use crate::source::Split;

/// Columns in the order of the files.
pub(super) const COLUMNS: [&str; 6] = ["id", "uri", "label", "split", "view", "embedding"];

/// Name of the list's child, as Arrow's own implementations call it.
pub(super) const ITEM: &str = "item";

/// The schema of one layer's files.
pub(super) fn schema(layer: &Layer) -> SchemaRef {
    let [id, uri, label, split, view, _] = COLUMNS;
    Arc::new(Schema::new(vec![
        Field::new(id, DataType::UInt64, false),
        Field::new(uri, DataType::Utf8, false),
        Field::new(label, DataType::Int32, false),
        Field::new(split, split_type(), false),
        Field::new(view, DataType::UInt8, false),
        embedding_field(layer),
    ]))
}

/// Type of the `split` column, in the plan too.
pub(super) fn split_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))
}

/// Dictionary of the `split` column: complete and in a fixed order, so that
/// every part has the same, whatever splits occur in it.
pub(super) fn split_dictionary() -> ArrayRef {
    Arc::new(StringArray::from_iter_values(Split::ALL.map(Split::as_str)))
}

/// The child of the embedding's list. Peers expect it to be nullable by
/// declaration; no value is null.
pub(super) fn item_field(dtype: FeatureDtype) -> Field {
    let number = match dtype {
        FeatureDtype::F16 => DataType::Float16,
        FeatureDtype::F32 => DataType::Float32,
    };
    Field::new(ITEM, number, true)
}

fn embedding_field(layer: &Layer) -> Field {
    let shape: Vec<_> = layer.shape.iter().map(ToString::to_string).collect();
    let metadata: Metadata = [
        (
            "ARROW:extension:name",
            "arrow.fixed_shape_tensor".to_owned(),
        ),
        (
            "ARROW:extension:metadata",
            format!("{{\"shape\":[{}]}}", shape.join(",")),
        ),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    // `Layer::check` caps the length far below i32::MAX.
    let length = i32::try_from(layer.dim()).unwrap_or(i32::MAX);
    let list = DataType::FixedSizeList(Arc::new(item_field(layer.dtype)), length);
    Field::new(COLUMNS[5], list, false).with_metadata(metadata)
}
