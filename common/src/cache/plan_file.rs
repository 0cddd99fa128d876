//! `plan.parquet`: the plan, readable by any tool.

use std::{fs::File, io, path::Path, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, DictionaryArray, Int8Array, Int32Array, RecordBatch, StringArray,
        UInt64Array,
    },
    datatypes::{DataType, Field, Int8Type, Int32Type, Schema, SchemaRef, UInt64Type},
};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

use super::{CacheError, Plan, error::parquet_io, schema};
use crate::{
    publish::Pending,
    source::{Sample, Split},
};

/// Name of the plan in the cache's folder.
pub(super) const PLAN_FILE: &str = "plan.parquet";

/// Rows written at a time.
const BATCH_ROWS: usize = 1 << 16;

fn plan_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::UInt64, false),
        Field::new("uri", DataType::Utf8, false),
        Field::new("label", DataType::Int32, false),
        Field::new("split", schema::split_type(), false),
        Field::new("group", DataType::Utf8, true),
        Field::new("bytes", DataType::UInt64, false),
        Field::new("problem", DataType::Utf8, true),
    ]))
}

/// Publishes the plan. The bytes depend on the rows alone.
pub(super) fn write(directory: &Path, plan: &Plan) -> Result<(), CacheError> {
    let path = directory.join(PLAN_FILE);
    let pending = Pending::create(&path).map_err(CacheError::io(&path, "creating"))?;
    let pending = encode(plan, pending)
        .map_err(parquet_io)
        .map_err(CacheError::io(&path, "writing"))?;
    pending
        .publish()
        .map_err(CacheError::io(&path, "publishing"))
}

fn encode(plan: &Plan, pending: Pending) -> Result<Pending, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new(pending, plan_schema(), Some(properties))?;
    let mut first_id = 0;
    for rows in plan.rows().chunks(BATCH_ROWS) {
        writer.write(&to_batch(first_id, rows)?)?;
        first_id += rows.len() as u64;
    }
    writer.into_inner()
}

fn to_batch(first_id: u64, rows: &[Sample]) -> Result<RecordBatch, ParquetError> {
    let splits = Int8Array::from_iter_values(rows.iter().map(|row| row.split.index() as i8));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values((first_id..).take(rows.len()))),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| &row.uri),
        )),
        Arc::new(Int32Array::from_iter_values(
            rows.iter().map(|row| row.label),
        )),
        Arc::new(DictionaryArray::try_new(
            splits,
            schema::split_dictionary(),
        )?),
        Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.group.as_deref()),
        )),
        Arc::new(UInt64Array::from_iter_values(
            rows.iter().map(|row| row.bytes),
        )),
        Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.problem.as_deref()),
        )),
    ];
    Ok(RecordBatch::try_new(plan_schema(), columns)?)
}

/// Reads the plan back.
pub(super) fn read(directory: &Path) -> Result<Plan, CacheError> {
    let path = directory.join(PLAN_FILE);
    let file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CacheError::header(&path, "missing"),
        _ => CacheError::io(&path, "opening")(error),
    })?;
    let broken = |error: ParquetError| CacheError::header(&path, error.to_string());
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(broken)?;
    if builder.schema().fields() != plan_schema().fields() {
        return Err(CacheError::header(&path, "its columns are not a plan's"));
    }
    let mut rows = Vec::new();
    for batch in builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(broken)?
    {
        let batch = batch.map_err(|error| CacheError::header(&path, error.to_string()))?;
        from_batch(&batch, &mut rows).map_err(|problem| CacheError::header(&path, problem))?;
    }
    Ok(Plan::new(rows))
}

fn from_batch(batch: &RecordBatch, rows: &mut Vec<Sample>) -> Result<(), String> {
    // The schema was compared, so the columns have these types.
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or_else(|| format!("no column `{name}`"))
    };
    let ids = column("id")?.as_primitive::<UInt64Type>();
    let uris = column("uri")?.as_string::<i32>();
    let labels = column("label")?.as_primitive::<Int32Type>();
    let splits = column("split")?.as_dictionary::<Int8Type>();
    let splits = splits
        .downcast_dict::<StringArray>()
        .ok_or("splits are not text")?;
    let groups = column("group")?.as_string::<i32>();
    let bytes = column("bytes")?.as_primitive::<UInt64Type>();
    let problems = column("problem")?.as_string::<i32>();
    let optional =
        |texts: &StringArray, row: usize| texts.is_valid(row).then(|| texts.value(row).to_owned());
    for (row, split) in splits.into_iter().enumerate() {
        if ids.value(row) != rows.len() as u64 {
            return Err(format!("row {} has the id {}", rows.len(), ids.value(row)));
        }
        let split = split.unwrap_or_default();
        rows.push(Sample {
            uri: uris.value(row).to_owned(),
            label: labels.value(row),
            split: Split::ALL
                .into_iter()
                .find(|known| known.as_str() == split)
                .ok_or_else(|| format!("unknown split `{split}`"))?,
            group: optional(groups, row),
            bytes: bytes.value(row),
            problem: optional(problems, row),
        });
    }
    Ok(())
}
