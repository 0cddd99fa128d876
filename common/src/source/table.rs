//! A CSV table: `path,label[,split][,group]`, header required, columns in any
//! order, other columns ignored.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Component, Path},
};

use csv::{ReaderBuilder, StringRecord};

use super::{Listing, Sample, SourceError, Split, UNLABELLED};
use crate::interrupt::Interrupt;

/// Lists the rows of `table`, unless `interrupt` is set before the end; relative
/// paths start from `root`.
pub(super) fn list(
    table: &Path,
    root: &Path,
    interrupt: &Interrupt,
) -> Result<Listing, SourceError> {
    let mut reader = ReaderBuilder::new()
        .from_path(table)
        .map_err(|error| failure(table, error))?;
    let header = reader.headers().map_err(|error| failure(table, error))?;
    let columns = Columns::find(header).map_err(|problem| at(table, 1, problem))?;
    let mut rows = Vec::new();
    let mut lines = HashMap::new();
    for record in reader.records() {
        interrupt.check().map_err(|stopped| SourceError::Stopped {
            path: table.to_owned(),
            stopped,
        })?;
        let record = record.map_err(|error| failure(table, error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = columns
            .row(&record, root)
            .map_err(|problem| at(table, line, problem))?;
        if let Some(first) = lines.insert(row.sample.uri.clone(), line) {
            let problem = format!(
                "path `{}` is on line {first} already (keep one of them)",
                row.sample.uri
            );
            return Err(at(table, line, problem));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(at(table, 1, "no rows below the header".to_owned()));
    }
    Ok(label(rows))
}

pub(super) fn at(table: &Path, line: u64, problem: String) -> SourceError {
    SourceError::Table {
        path: table.to_owned(),
        line,
        problem,
    }
}

pub(super) fn failure(table: &Path, error: csv::Error) -> SourceError {
    let line = error.position().map_or(1, csv::Position::line);
    let problem = match error.into_kind() {
        csv::ErrorKind::Io(source) => return SourceError::at(table, source),
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text (save the table as UTF-8)".to_owned(),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!(
                "expected {expected_len} fields as in the header, found {len} (quote fields that hold commas)"
            )
        }
        other => format!("{other:?}"),
    };
    at(table, line, problem)
}

/// Where the known columns are.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
    group: Option<usize>,
}

struct Row {
    sample: Sample,
    label: String,
}

impl Columns {
    fn find(header: &StringRecord) -> Result<Self, String> {
        let position = |name: &str| {
            let mut found =
                (0..header.len()).filter(|&i| header[i].trim().eq_ignore_ascii_case(name));
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => Err(format!("column `{name}` is there twice")),
                (first, _) => Ok(first),
            }
        };
        let required = |name: &str| {
            position(name)?.ok_or_else(|| {
                let found: Vec<_> = header.iter().collect();
                format!(
                    "no column `{name}` (expected path,label[,split][,group], found `{}`)",
                    found.join(",")
                )
            })
        };
        Ok(Self {
            path: required("path")?,
            label: required("label")?,
            split: position("split")?,
            group: position("group")?,
        })
    }

    fn row(&self, record: &StringRecord, root: &Path) -> Result<Row, String> {
        if record.iter().any(|field| field.contains(['\n', '\r'])) {
            return Err("a field spans lines (is a quote left open?)".to_owned());
        }
        let uri = normalised(record[self.path].trim(), root);
        if uri.is_empty() {
            return Err("the path is empty".to_owned());
        }
        let split = match self.split.map(|column| record[column].trim()) {
            None | Some("") => Split::None,
            Some(name) => Split::from_name(name).ok_or_else(|| {
                format!("unknown split `{name}` (expected train, val, test, or nothing)")
            })?,
        };
        let group = self
            .group
            .map(|column| record[column].trim())
            .filter(|group| !group.is_empty());
        Ok(Row {
            sample: Sample {
                // A missing file is not an error yet: reading it makes a reject.
                bytes: fs::metadata(root.join(&uri)).map_or(0, |metadata| metadata.len()),
                uri,
                label: UNLABELLED,
                split,
                group: group.map(str::to_owned),
                problem: None,
            },
            label: record[self.label].trim().to_owned(),
        })
    }
}

/// One spelling a file: no `.` and no doubled `/`; relative where it lies below
/// the table's folder.
pub(super) fn normalised(path: &str, root: &Path) -> String {
    let path = Path::new(path);
    let path = match path.strip_prefix(root) {
        Ok(inner) if path.is_absolute() => inner,
        _ => path,
    };
    let mut uri = String::new();
    for component in path.components() {
        match component {
            Component::RootDir => uri.push('/'),
            Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir | Component::Normal(_) => {
                if !uri.is_empty() && !uri.ends_with('/') {
                    uri.push('/');
                }
                uri.push_str(&component.as_os_str().to_string_lossy());
            }
        }
    }
    uri
}

/// The classes that labels name, in order. Whole numbers, when every label is one, are
/// ordered as numbers; anything else as text, by bytes. Empty texts are no labels.
pub fn class_names<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let texts: BTreeSet<&str> = labels.filter(|text| !text.is_empty()).collect();
    let numbers: Option<BTreeMap<u64, &str>> = texts
        .iter()
        .map(|text| Some((canonical_number(text)?, *text)))
        .collect();
    match numbers {
        Some(numbers) => numbers.into_values().map(str::to_owned).collect(),
        None => texts.into_iter().map(str::to_owned).collect(),
    }
}

/// Turns label texts into indices.
fn label(mut rows: Vec<Row>) -> Listing {
    let classes = class_names(rows.iter().map(|row| row.label.as_str()));
    let labels: HashMap<&str, i32> = classes.iter().map(String::as_str).zip(0..).collect();
    for row in &mut rows {
        row.sample.label = labels
            .get(row.label.as_str())
            .copied()
            .unwrap_or(UNLABELLED);
    }
    Listing {
        samples: rows.into_iter().map(|row| row.sample).collect(),
        classes,
    }
}

/// The number that `text` spells in the one usual way (`07` is text).
fn canonical_number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text)
}
