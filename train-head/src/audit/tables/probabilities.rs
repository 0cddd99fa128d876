//! Out-of-fold probabilities, a batch of rows at a time.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, FixedSizeListArray, Float64Array, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use common::{exit::Exit, publish::Pending};
use parquet::{arrow::ArrowWriter, errors::ParquetError};

use super::{super::judges::OutOfFold, Audited, images, numbers_column};
use crate::failure::Failure;

/// Values of a batch.
const BATCH_VALUES: usize = 1 << 20;

/// The file in the making.
pub(in crate::audit) struct Writer {
    writer: ArrowWriter<Pending>,
    schema: SchemaRef,
    classes: usize,
    rows: Vec<u32>,
    folds: Vec<u32>,
    /// `[rows, C]`
    values: Vec<f64>,
}

impl Writer {
    pub(super) fn create(path: &Path, classes: usize) -> Result<Self, ParquetError> {
        let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
        let list = DataType::FixedSizeList(item(), classes as i32);
        let schema = Arc::new(Schema::new(vec![
            text("uri", false),
            text("split", false),
            text("label", true),
            Field::new("fold", DataType::UInt32, false),
            Field::new("probabilities", list, false),
        ]));
        Ok(Self {
            writer: ArrowWriter::try_new(Pending::create(path)?, Arc::clone(&schema), None)?,
            schema,
            classes,
            rows: Vec::new(),
            folds: Vec::new(),
            values: Vec::new(),
        })
    }

    /// Adds a row.
    pub(in crate::audit) fn add(
        &mut self,
        audited: &Audited,
        row: &OutOfFold,
    ) -> Result<(), Failure> {
        self.rows.push(row.row);
        self.folds.push(row.fold);
        self.values.extend_from_slice(row.probabilities);
        if self.values.len() < BATCH_VALUES {
            return Ok(());
        }
        self.flush(audited)
    }

    /// Makes the file visible.
    pub(in crate::audit) fn publish(mut self, audited: &Audited) -> Result<(), Failure> {
        self.flush(audited)?;
        let publish = || -> Result<(), ParquetError> { Ok(self.writer.into_inner()?.publish()?) };
        publish().map_err(|error| failed(&error))
    }

    fn flush(&mut self, audited: &Audited) -> Result<(), Failure> {
        let rows = std::mem::take(&mut self.rows);
        let columns = images(audited, rows.into_iter(), ["uri", "split", "label"]);
        let mut columns: Vec<ArrayRef> = columns.into_iter().map(|(_, column)| column).collect();
        columns.push(numbers_column(self.folds.drain(..)));
        let values = Float64Array::from(std::mem::take(&mut self.values));
        let (classes, schema) = (self.classes as i32, Arc::clone(&self.schema));
        let write = || -> Result<(), ParquetError> {
            let list = FixedSizeListArray::try_new(item(), classes, Arc::new(values), None)?;
            columns.push(Arc::new(list));
            self.writer.write(&RecordBatch::try_new(schema, columns)?)
        };
        write().map_err(|error| failed(&error))
    }
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float64, false))
}

fn failed(error: &ParquetError) -> Failure {
    let message = format!("the table of probabilities cannot be written: {error}");
    Failure::new(Exit::Failure, message)
}
