//! `trials.parquet`: one row a trial, readable by any tool, published anew after every
//! round; what a sweep that goes on starts from.

use std::{fs::File, io, path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, UInt32Array},
    datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, UInt32Type},
};
use common::publish::Pending;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};

use super::{
    name::{Kind, Name},
    space::{Point, Space, Value},
    trial::{Figures, Finished, Intervals, Status},
};

/// Name of the table in the sweep's folder.
pub(crate) const TABLE_FILE: &str = "trials.parquet";

/// Why a table cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    /// The system refused.
    #[error("`{}`: {action} failed", .path.display())]
    Io {
        path: std::path::PathBuf,
        action: &'static str,
        source: io::Error,
    },
    /// The file is torn, edited, or foreign.
    #[error("`{}`: {problem} (restore the file, or begin the sweep again with --overwrite)", .path.display())]
    Damaged {
        path: std::path::PathBuf,
        problem: String,
    },
}

fn schema(space: &Space) -> SchemaRef {
    let whole = |name: &str| Field::new(name, DataType::UInt32, false);
    let real = |name: &str| Field::new(name, DataType::Float64, false);
    let mut fields = vec![whole("trial"), whole("round")];
    for dimension in &space.0 {
        let kind = match dimension.name.kind() {
            Kind::Word(_) => DataType::Utf8,
            Kind::Real { .. } | Kind::Whole { .. } => DataType::Float64,
        };
        // Null where the trial's solver has no use for it.
        fields.push(Field::new(dimension.name.as_str(), kind, true));
    }
    fields.push(Field::new("status", DataType::Utf8, false));
    fields.extend([whole("epochs"), whole("best_epoch")]);
    fields.extend(["train_loss", "train_accuracy", "val_loss", "val_accuracy"].map(real));
    let optional = |name: &str| Field::new(name, DataType::Float64, true);
    fields.extend(["val_loss_interval", "val_accuracy_interval"].map(optional));
    Arc::new(Schema::new(fields))
}

/// Publishes the table in `directory`. The bytes depend on the trials alone.
pub(crate) fn write(
    directory: &Path,
    space: &Space,
    trials: &[Finished],
) -> Result<(), TableError> {
    let path = directory.join(TABLE_FILE);
    let failed = |action: &'static str| {
        let path = path.clone();
        move |source| TableError::Io {
            path,
            action,
            source,
        }
    };
    let pending = Pending::create(&path).map_err(failed("creating"))?;
    let pending = encode(pending, space, trials)
        .map_err(io::Error::other)
        .map_err(failed("writing"))?;
    pending.publish().map_err(failed("publishing"))
}

fn encode(pending: Pending, space: &Space, trials: &[Finished]) -> Result<Pending, ParquetError> {
    let mut writer = ArrowWriter::try_new(pending, schema(space), None)?;
    writer.write(&RecordBatch::try_new(
        schema(space),
        columns(space, trials),
    )?)?;
    writer.into_inner()
}

fn columns(space: &Space, trials: &[Finished]) -> Vec<ArrayRef> {
    let whole = |value: fn(&Finished) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(trials.iter().map(value)))
    };
    let real = |value: fn(&Figures) -> f64| -> ArrayRef {
        let values = trials.iter().map(|trial| value(&trial.figures));
        Arc::new(Float64Array::from_iter_values(values))
    };
    let interval = |value: fn(&Intervals) -> f64| -> ArrayRef {
        let values = trials
            .iter()
            .map(|trial| trial.intervals.as_ref().map(value));
        Arc::new(Float64Array::from_iter(values))
    };
    let mut columns = vec![whole(|trial| trial.trial), whole(|trial| trial.round)];
    columns.extend(
        space
            .0
            .iter()
            .map(|dimension| parameter(space, dimension.name, trials)),
    );
    let statuses = trials.iter().map(|trial| trial.status.as_str());
    columns.push(Arc::new(StringArray::from_iter_values(statuses)));
    columns.extend([whole(|trial| trial.epochs), whole(|trial| trial.best_epoch)]);
    columns.extend([
        real(|figures| figures.train_loss),
        real(|figures| figures.train_accuracy),
        real(|figures| figures.val_loss),
        real(|figures| figures.val_accuracy),
        interval(|intervals| intervals.val_loss),
        interval(|intervals| intervals.val_accuracy),
    ]);
    columns
}

fn parameter(space: &Space, name: Name, trials: &[Finished]) -> ArrayRef {
    let values = trials.iter().map(|trial| space.value(&trial.point, name));
    if matches!(name.kind(), Kind::Word(_)) {
        let words = values.map(|value| match value {
            Some(Value::Word(word)) => Some(word.as_str()),
            _ => None,
        });
        return Arc::new(StringArray::from_iter(words));
    }
    let numbers = values.map(|value| match value {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    });
    Arc::new(Float64Array::from_iter(numbers))
}

/// Reads the table in `directory`; no trials where there is none.
pub(crate) fn read(directory: &Path, space: &Space) -> Result<Vec<Finished>, TableError> {
    let path = directory.join(TABLE_FILE);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|source| TableError::Io {
            path: path.clone(),
            action: "opening",
            source,
        })?,
    };
    let damaged = |problem: String| TableError::Damaged {
        path: path.clone(),
        problem,
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| damaged(error.to_string()))?;
    if builder.schema().fields() != schema(space).fields() {
        return Err(damaged(
            "its columns are not those of this sweep".to_owned(),
        ));
    }
    let mut trials = Vec::new();
    for batch in builder
        .build()
        .map_err(|error| damaged(error.to_string()))?
    {
        let batch = batch.map_err(|error| damaged(error.to_string()))?;
        for row in 0..batch.num_rows() {
            let trial = finished(&batch, row, space)
                .ok_or_else(|| damaged(format!("row {row} is not a trial")))?;
            if trial.trial as usize != trials.len() {
                return Err(damaged(format!("row {row} is trial {}", trial.trial)));
            }
            trials.push(trial);
        }
    }
    Ok(trials)
}

/// A row; `None` when it has no meaning. The schema was compared before.
fn finished(batch: &RecordBatch, row: usize, space: &Space) -> Option<Finished> {
    let column = |name: &str| batch.column_by_name(name);
    let whole = |name: &str| Some(column(name)?.as_primitive::<UInt32Type>().value(row));
    let real = |name: &str| Some(column(name)?.as_primitive::<Float64Type>().value(row));
    let word = |name: &str| Some(column(name)?.as_string::<i32>().value(row));
    let value = |name: Name| {
        if column(name.as_str())?.is_null(row) {
            return Some(None);
        }
        let value = match name.kind() {
            Kind::Word(_) => Value::Word(word(name.as_str())?.to_owned()),
            Kind::Real { .. } | Kind::Whole { .. } => Value::Number(real(name.as_str())?),
        };
        Some(Some(value))
    };
    let point: Point = space
        .0
        .iter()
        .map(|dimension| value(dimension.name))
        .collect::<Option<_>>()?;
    space.positions(&point)?;
    let status = word("status")?;
    let has_intervals = column("val_loss_interval")?.is_valid(row);
    let intervals = || {
        Some(Intervals {
            val_loss: real("val_loss_interval")?,
            val_accuracy: real("val_accuracy_interval")?,
        })
    };
    Some(Finished {
        trial: whole("trial")?,
        round: whole("round")?,
        point,
        status: Status::ALL
            .into_iter()
            .find(|known| known.as_str() == status)?,
        epochs: whole("epochs")?,
        best_epoch: whole("best_epoch")?,
        figures: Figures {
            train_loss: real("train_loss")?,
            train_accuracy: real("train_accuracy")?,
            val_loss: real("val_loss")?,
            val_accuracy: real("val_accuracy")?,
        },
        intervals: if has_intervals {
            Some(intervals()?)
        } else {
            None
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Trained, file};

    #[test]
    fn trials_come_back_as_they_were_written() {
        let space = file::parse(
            "learning_rate = { low = 1e-4, high = 0.3 }\nsolver = [\"adam\", \"lbfgs\"]\nc = 1.0",
            Trained::Heads,
        )
        .unwrap();
        let figures = Figures {
            train_loss: 0.1,
            train_accuracy: 0.9,
            val_loss: 0.3,
            val_accuracy: 0.7,
        };
        let trial = |(number, point): (usize, Point)| Finished {
            trial: number as u32,
            round: number as u32 / 4,
            point,
            status: Status::ALL[number % 3],
            epochs: 7,
            best_epoch: 5,
            figures,
            intervals: (number % 2 == 0).then_some(Intervals {
                val_loss: 0.01,
                val_accuracy: 0.02,
            }),
        };
        let trials: Vec<Finished> = space.grid().into_iter().enumerate().map(trial).collect();
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path(), &space).unwrap(), []);
        write(folder.path(), &space, &trials).unwrap();
        assert_eq!(read(folder.path(), &space).unwrap(), trials);

        let other = file::parse("dropout = 0.1", Trained::Heads).unwrap();
        let error = read(folder.path(), &other).unwrap_err().to_string();
        assert!(error.contains("--overwrite"), "{error}");
        std::fs::write(folder.path().join(TABLE_FILE), b"PAR1").unwrap();
        assert!(matches!(
            read(folder.path(), &space),
            Err(TableError::Damaged { .. })
        ));
    }
}
