//! Named columns of a CSV or Parquet table, row by row, for labels that are joined to a
//! cache by the image's uri.
//!
//! Comes in: a table with a column `uri` or `path`. Goes out: every field as trimmed text,
//! nothing where it is missing. An image has one row at most.

use std::{collections::HashMap, fmt, fs::File, path::Path};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute,
    datatypes::DataType,
};
use csv::{ReaderBuilder, StringRecord};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::{
    SourceError,
    table::{at, failure, normalised},
};
use crate::interrupt::Interrupt;

/// Names of the column with the image's uri, best first; case does not matter.
pub const URI_COLUMNS: [&str; 2] = ["uri", "path"];

/// A place in a table, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a text file, the header included.
    Line(u64),
    /// A row of a Parquet file.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// One row of the asked-for columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The image's uri, spelt as a source of the table's folder spells it.
    pub uri: String,
    /// Where the row is.
    pub place: Place,
    /// Trimmed text, in the order of the asked-for columns; empty where it is missing.
    pub texts: Vec<String>,
}

/// Reads `columns` of `table`, unless `interrupt` is set before the end.
///
/// # Errors
/// When the table cannot be read, is neither `.csv` nor `.parquet`, lacks a column, has a
/// column of a type that is no text, number, or truth value, or an image twice.
pub fn read_columns(
    table: &Path,
    columns: &[String],
    interrupt: &Interrupt,
) -> Result<Vec<Fields>, SourceError> {
    let extension = table.extension().unwrap_or_default();
    let rows = if extension.eq_ignore_ascii_case("csv") {
        csv_rows(table, columns, interrupt)?
    } else if extension.eq_ignore_ascii_case("parquet") {
        parquet_rows(table, columns, interrupt)?
    } else {
        return Err(SourceError::UnknownTable(table.to_owned()));
    };
    let mut places = HashMap::new();
    for row in &rows {
        if row.uri.is_empty() {
            return Err(wrong(table, row.place, "the uri is empty".to_owned()));
        }
        if let Some(first) = places.insert(row.uri.as_str(), row.place) {
            let problem = format!("`{}` is on {first} already (keep one of them)", row.uri);
            return Err(wrong(table, row.place, problem));
        }
    }
    Ok(rows)
}

fn wrong(table: &Path, place: Place, problem: String) -> SourceError {
    match place {
        Place::Line(line) => at(table, line, problem),
        Place::Row(row) => SourceError::TableRow {
            path: table.to_owned(),
            row,
            problem,
        },
    }
}

fn check(table: &Path, interrupt: &Interrupt) -> Result<(), SourceError> {
    interrupt.check().map_err(|stopped| SourceError::Stopped {
        path: table.to_owned(),
        stopped,
    })
}

/// Where the uri is, and each of `columns`, among `names`.
fn find(names: &[&str], columns: &[String]) -> Result<(usize, Vec<usize>), String> {
    let position = |matches: &dyn Fn(&str) -> bool, wanted: &str| {
        let mut found = (0..names.len()).filter(|&index| matches(names[index].trim()));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(format!("column `{wanted}` is there twice")),
            (first, _) => Ok(first),
        }
    };
    let held = || names.join(", ");
    let mut uri = None;
    for name in URI_COLUMNS {
        let found = position(&|held: &str| held.eq_ignore_ascii_case(name), name)?;
        uri = uri.or(found);
    }
    let uri = uri.ok_or_else(|| {
        format!(
            "no column `uri` or `path` with the images (it has {})",
            held()
        )
    })?;
    let wanted = columns.iter().map(|name| {
        position(&|held: &str| held == name, name)?.ok_or_else(|| {
            format!(
                "no column `{name}` (it has {}; name others with --target)",
                held()
            )
        })
    });
    Ok((uri, wanted.collect::<Result<_, String>>()?))
}

fn csv_rows(
    table: &Path,
    columns: &[String],
    interrupt: &Interrupt,
) -> Result<Vec<Fields>, SourceError> {
    let root = table.parent().unwrap_or(Path::new(""));
    let mut reader = ReaderBuilder::new()
        .from_path(table)
        .map_err(|error| failure(table, error))?;
    let header = reader.headers().map_err(|error| failure(table, error))?;
    let names: Vec<&str> = header.iter().collect();
    let (uri, columns) = find(&names, columns).map_err(|problem| at(table, 1, problem))?;
    let fields = |record: &StringRecord| Fields {
        uri: normalised(record[uri].trim(), root),
        place: Place::Line(record.position().map_or(0, csv::Position::line)),
        texts: columns
            .iter()
            .map(|&column| record[column].trim().to_owned())
            .collect(),
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        check(table, interrupt)?;
        rows.push(fields(&record.map_err(|error| failure(table, error))?));
    }
    Ok(rows)
}

fn parquet_rows(
    table: &Path,
    columns: &[String],
    interrupt: &Interrupt,
) -> Result<Vec<Fields>, SourceError> {
    let root = table.parent().unwrap_or(Path::new(""));
    let broken = |problem: String| SourceError::BadTable {
        path: table.to_owned(),
        problem,
    };
    let file = File::open(table).map_err(|error| SourceError::at(table, error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| broken(error.to_string()))?;
    let names: Vec<&str> = builder
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let (uri, wanted) = find(&names, columns).map_err(broken)?;
    let uri = names[uri].to_owned();
    let roots = wanted
        .into_iter()
        .chain(names.iter().position(|name| *name == uri));
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let batches = builder
        .with_projection(mask)
        .build()
        .map_err(|error| broken(error.to_string()))?;
    let mut rows = Vec::new();
    for batch in batches {
        check(table, interrupt)?;
        let batch = batch.map_err(|error| broken(error.to_string()))?;
        let uris = texts(&batch, &uri).map_err(broken)?;
        let columns: Result<Vec<Vec<String>>, String> =
            columns.iter().map(|name| texts(&batch, name)).collect();
        let columns = columns.map_err(broken)?;
        for (row, text) in uris.iter().enumerate() {
            rows.push(Fields {
                uri: normalised(text, root),
                place: Place::Row(rows.len() as u64 + 1),
                texts: columns.iter().map(|column| column[row].clone()).collect(),
            });
        }
    }
    Ok(rows)
}

/// A column as text.
fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<String>, String> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| format!("no column `{name}`"))?;
    let unusable = || {
        format!(
            "column `{name}` is of type {}, expected text, numbers, or true and false",
            column.data_type()
        )
    };
    if column.data_type().is_nested() {
        return Err(unusable());
    }
    let texts = compute::cast(column, &DataType::Utf8).map_err(|_| unusable())?;
    let texts = texts.as_string::<i32>();
    let text = |row| {
        if texts.is_valid(row) {
            texts.value(row).trim().to_owned()
        } else {
            String::new()
        }
    };
    Ok((0..texts.len()).map(text).collect())
}
