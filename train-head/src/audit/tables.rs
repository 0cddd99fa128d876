//! The tables of an audit, as Parquet files that any tool reads, and their summary as JSON.

mod probabilities;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Float32Array, Float64Array, RecordBatch, StringArray, UInt32Array,
    },
    error::ArrowError,
};
use common::publish::{Pending, write_atomically};
use parquet::{arrow::ArrowWriter, errors::ParquetError};
use serde::Serialize;

use super::{Audited, findings::Group, labels::Judged, similar::Twin};
use crate::{
    failure::Failure,
    folder::{Claim, cannot_write, claim, exists_already},
    plan::Existing,
};

pub(super) const DUPLICATES_FILE: &str = "duplicates.parquet";
pub(super) const LEAKS_FILE: &str = "leaks.parquet";
pub(super) const LABELS_FILE: &str = "labels.parquet";
pub(super) const JOINT_FILE: &str = "joint.parquet";
pub(super) const OUTLIERS_FILE: &str = "outliers.parquet";
const PROBABILITIES_FILE: &str = "probabilities.parquet";
const SUMMARY_FILE: &str = "audit.json";

const FILES: [&str; 7] = [
    DUPLICATES_FILE,
    LEAKS_FILE,
    LABELS_FILE,
    JOINT_FILE,
    OUTLIERS_FILE,
    PROBABILITIES_FILE,
    SUMMARY_FILE,
];

/// The folder that the tables go to. Each is published when it is ready; tables of an earlier audit
/// stay until they are replaced, or until [`Tables::summary`] ends this one.
pub(super) struct Tables {
    folder: PathBuf,
    _claim: Claim,
    /// Files of this audit.
    written: Vec<&'static str>,
}

impl Tables {
    /// Makes the folder. Where it holds something, that is refused unless it is to be replaced.
    pub(super) fn new(folder: &Path, existing: Existing) -> Result<Self, Failure> {
        let tables = Self {
            folder: folder.to_owned(),
            _claim: claim(folder, "audit")?,
            written: Vec::new(),
        };
        let mut entries = fs::read_dir(folder).map_err(|error| tables.failed(&error))?;
        if existing == Existing::Refuse && entries.next().is_some() {
            return Err(exists_already("audit", folder));
        }
        Ok(tables)
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes the files of an earlier audit that this one does not have.
    fn remove_stale(&self) -> io::Result<()> {
        let stale = FILES.iter().filter(|name| !self.written.contains(name));
        for name in stale {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Failure {
        cannot_write("audit", &self.folder, error)
    }

    /// A row an image that has a duplicate, group by group.
    pub(super) fn duplicates(
        &mut self,
        audited: &Audited,
        groups: &[Group],
    ) -> Result<(), Failure> {
        let numbers = (0..)
            .zip(groups)
            .flat_map(|(number, group)| group.members.iter().map(move |_| number));
        let mut columns = vec![("group", numbers_column(numbers))];
        let members: Vec<(u32, Twin)> = groups
            .iter()
            .flat_map(|group| group.members.iter().copied())
            .collect();
        columns.extend(pairs(audited, &members));
        self.write(DUPLICATES_FILE, columns)
    }

    /// A row an image of the validation or test split that is known from an earlier one.
    pub(super) fn leaks(
        &mut self,
        audited: &Audited,
        leaks: &[(u32, Twin)],
    ) -> Result<(), Failure> {
        self.write(LEAKS_FILE, pairs(audited, leaks))
    }

    /// A row an image, the furthest first.
    pub(super) fn outliers(
        &mut self,
        audited: &Audited,
        outliers: &[(u32, f64)],
    ) -> Result<(), Failure> {
        let mut columns = images(
            audited,
            outliers.iter().map(|(row, _)| *row),
            ["uri", "split", "label"],
        );
        columns.push((
            "distance",
            reals(outliers.iter().map(|(_, distance)| *distance)),
        ));
        self.write(OUTLIERS_FILE, columns)
    }

    /// A row an issue, the least sure first; and the estimated numbers of rows by label and true class.
    pub(super) fn labels(&mut self, audited: &Audited, judged: &Judged) -> Result<(), Failure> {
        let issues = &judged.issues;
        let mut columns = images(
            audited,
            issues.iter().map(|(row, _)| *row),
            ["uri", "split", "label"],
        );
        let class = |class: u32| judged.classes.get(class as usize).map(String::as_str);
        columns.push((
            "suggested",
            words(issues.iter().map(|(_, issue)| class(issue.predicted))),
        ));
        columns.push((
            "self_confidence",
            reals(issues.iter().map(|(_, issue)| issue.self_confidence)),
        ));
        columns.push((
            "normalised_margin",
            reals(issues.iter().map(|(_, issue)| issue.normalised_margin)),
        ));
        self.write(LABELS_FILE, columns)?;
        let joint = vec![
            (
                "label",
                words(judged.joint.keys().map(|(label, _)| class(*label))),
            ),
            (
                "true_class",
                words(judged.joint.keys().map(|(_, truth)| class(*truth))),
            ),
            ("rows", reals(judged.joint.values().copied())),
        ];
        self.write(JOINT_FILE, joint)
    }

    /// A table with a row of probabilities a labelled image, in the making.
    pub(super) fn probabilities(
        &mut self,
        classes: usize,
    ) -> Result<probabilities::Writer, Failure> {
        self.written.push(PROBABILITIES_FILE);
        let path = self.folder.join(PROBABILITIES_FILE);
        probabilities::Writer::create(&path, classes).map_err(|error| self.failed(&error))
    }

    /// The summary, published last: the audit is over, and what is left of an earlier one goes.
    pub(super) fn summary(mut self, summary: &impl Serialize) -> Result<(), Failure> {
        self.written.push(SUMMARY_FILE);
        self.remove_stale().map_err(|error| self.failed(&error))?;
        let json = serde_json::to_vec_pretty(summary).map_err(|error| self.failed(&error))?;
        let path = self.folder.join(SUMMARY_FILE);
        write_atomically(&path, &[&json[..], b"\n"].concat()).map_err(|error| self.failed(&error))
    }

    fn write(&mut self, name: &'static str, columns: Vec<(&str, ArrayRef)>) -> Result<(), Failure> {
        let batch = batch(columns).map_err(|error| self.failed(&error))?;
        let write = || -> Result<(), ParquetError> {
            let pending = Pending::create(&self.folder.join(name))?;
            let mut writer = ArrowWriter::try_new(pending, batch.schema(), None)?;
            writer.write(&batch)?;
            Ok(writer.into_inner()?.publish()?)
        };
        write().map_err(|error| self.failed(&error))?;
        self.written.push(name);
        Ok(())
    }
}

/// Labels are null where there are none; nothing else is.
fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let nullable = |name: &str| name.ends_with("label");
    let columns = columns.into_iter();
    RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, column)| (name.to_owned(), column, nullable(name))),
    )
}

/// Uri, split and label of `rows`.
fn images<'a>(
    audited: &Audited,
    rows: impl Iterator<Item = u32> + Clone,
    [uri, split, label]: [&'a str; 3],
) -> Vec<(&'a str, ArrayRef)> {
    vec![
        (
            uri,
            words(
                rows.clone()
                    .map(|row| Some(audited.sample(row).uri.as_str())),
            ),
        ),
        (
            split,
            words(rows.clone().map(|row| Some(audited.split(row).as_str()))),
        ),
        (label, words(rows.map(|row| audited.label(row)))),
    ]
}

/// Rows and the row that each is like.
fn pairs(audited: &Audited, pairs: &[(u32, Twin)]) -> Vec<(&'static str, ArrayRef)> {
    let rows = pairs.iter().map(|(row, _)| *row);
    let others = pairs.iter().map(|(_, twin)| twin.row);
    let mut columns = images(audited, rows, ["uri", "split", "label"]);
    columns.extend(images(
        audited,
        others,
        ["other_uri", "other_split", "other_label"],
    ));
    let cosines = pairs.iter().map(|(_, twin)| twin.cosine);
    columns.push(("cosine", Arc::new(Float32Array::from_iter_values(cosines))));
    let identical: Vec<bool> = pairs.iter().map(|(_, twin)| twin.identical).collect();
    columns.push(("identical", Arc::new(BooleanArray::from(identical))));
    columns
}

fn words<'a>(words: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(words.collect::<StringArray>())
}

fn reals(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn numbers_column(values: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(values))
}
