//! Reading a part's Parquet file, batch by batch.

use std::{fs::File, path::Path};

use arrow::array::RecordBatch;
use parquet::{
    arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};

use super::{CacheError, Layer, layer_file, schema};

/// The record batches of one file. Memory: one batch and the pages it is made of.
pub(super) struct ParquetFile {
    batches: ParquetRecordBatchReader,
}

impl ParquetFile {
    /// Opens the file and checks its size, footer, and schema.
    pub(super) fn open(path: &Path, bytes: u64, layer: &Layer) -> Result<Self, CacheError> {
        let file = File::open(path).map_err(CacheError::io(path, "opening"))?;
        let found = file
            .metadata()
            .map_err(CacheError::io(path, "inspecting"))?
            .len();
        if found != bytes {
            return Err(CacheError::damaged(
                path,
                format!("expected {bytes} bytes, found {found}"),
            ));
        }
        let damaged = |error: ParquetError| CacheError::damaged(path, error.to_string());
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
        if builder.schema().fields() != schema::schema(layer).fields() {
            let problem = format!(
                "its columns are not those of layer `{}`, {:?} {}",
                layer.name, layer.shape, layer.dtype
            );
            return Err(CacheError::damaged(path, problem));
        }
        let builder = builder.with_batch_size(layer_file::batch_rows(layer));
        let batches = builder.build().map_err(damaged)?;
        Ok(Self { batches })
    }

    /// The next batch.
    pub(super) fn next(&mut self) -> Option<Result<RecordBatch, String>> {
        let batch = self.batches.next()?;
        Some(batch.map_err(|error| error.to_string()))
    }
}
