//! What the rows of a cache are to be predicted as: the cache's own labels, or columns of
//! a table that is joined to it by the image's uri.
//!
//! Comes in: a cache's plan and a [`LabelTable`]. Goes out: an answer for every image that
//! has one. A table is read at training time, so that nothing is extracted again.

mod join;
mod parse;

use std::{
    io,
    path::{Path, PathBuf},
};

use common::{
    cache::CacheReader,
    digest::sha256_file,
    exit::Exit,
    head::{LabelsRecord, TaskKind, TaskRecord},
    interrupt::Interrupt,
    progress::warn,
    source::UNLABELLED,
};

use crate::failure::Failure;
use join::Joined;

/// Columns of a table that hold the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelTable {
    pub(crate) table: PathBuf,
    /// At least one.
    pub(crate) columns: Vec<String>,
    /// What separates the names of classes in one column.
    pub(crate) separator: Option<String>,
}

/// The answers of a cache's images.
pub(crate) struct Labelling {
    /// Of the classes, or of the numbers that are predicted.
    pub(crate) names: Vec<String>,
    /// The table they are from; `None`: the cache's own labels.
    pub(crate) record: Option<LabelsRecord>,
    answers: Answers,
}

/// One entry an image of the plan.
enum Answers {
    /// The cache's labels.
    Cache,
    /// [`UNLABELLED`] where there is none.
    Classes(Vec<i32>),
    /// `[images, names]`; not numbers where there are none.
    Values(Vec<f32>),
}

/// What is known of a row.
pub(crate) enum Answer<'a> {
    Missing,
    Class(u32),
    /// One value a name.
    Values(&'a [f32]),
}

impl Labelling {
    /// The cache's own labels.
    pub(crate) fn of_cache(reader: &CacheReader) -> Self {
        Self {
            names: reader.manifest().classes.clone(),
            record: None,
            answers: Answers::Cache,
        }
    }

    /// The labels of `table` for heads of `task`, or those of the cache where there is none.
    /// Classes are those of the table's rows that are in the cache.
    pub(crate) fn read(
        reader: &CacheReader,
        table: Option<&LabelTable>,
        task: TaskKind,
        stop: &Interrupt,
    ) -> Result<Self, Failure> {
        let Some(table) = table else {
            return Ok(Self::of_cache(reader));
        };
        let joined = Joined::read(reader, table, stop)?;
        let names = parse::names(&joined, task)?;
        Self::parse(&joined, names, task)
    }

    /// The labels that a trained head is measured against: of `table` where it was trained on
    /// one, with the head's own classes.
    pub(crate) fn of_head(
        reader: &CacheReader,
        table: LabelTable,
        (names, task): (&[String], &TaskRecord),
    ) -> Result<Self, Failure> {
        let joined = Joined::read(reader, &table, &Interrupt::default())?;
        Self::parse(&joined, names.to_vec(), task.kind())
    }

    fn parse(joined: &Joined, names: Vec<String>, task: TaskKind) -> Result<Self, Failure> {
        let answers = match task {
            TaskKind::SingleLabel => Answers::Classes(parse::classes(joined, &names)?),
            TaskKind::MultiLabel => Answers::Values(parse::flags(joined, &names)?),
            TaskKind::Regression => Answers::Values(parse::numbers(joined)?),
        };
        if joined.strangers > 0 {
            warn(&format!(
                "table `{}`: {} of its images are not in the cache",
                joined.table.table.display(),
                joined.strangers
            ));
        }
        let digest = |error: io::Error| {
            let message = format!("`{}`: {error}", joined.table.table.display());
            Failure::new(Exit::Input, message)
        };
        Ok(Self {
            names,
            record: Some(LabelsRecord {
                columns: joined.table.columns.clone(),
                separator: joined.table.separator.clone(),
                sha256: sha256_file(&joined.table.table).map_err(digest)?,
            }),
            answers,
        })
    }

    /// What is known of image `id` of the plan, whose label in the cache is `cached`.
    pub(crate) fn answer(&self, id: u64, cached: i32) -> Answer<'_> {
        let id = id as usize;
        let class = match &self.answers {
            Answers::Cache => cached,
            Answers::Classes(labels) => labels.get(id).copied().unwrap_or(UNLABELLED),
            Answers::Values(values) => {
                let width = self.names.len();
                return match values.get(id * width..(id + 1) * width) {
                    Some(values) if !values[0].is_nan() => Answer::Values(values),
                    _ => Answer::Missing,
                };
            }
        };
        u32::try_from(class).map_or(Answer::Missing, Answer::Class)
    }
}

/// The table that `record` says a head was trained on, which lies at `path` now; `None`
/// where it was trained on the labels of the cache.
pub(crate) fn table_of(
    record: Option<&LabelsRecord>,
    path: Option<&Path>,
    run: &Path,
) -> Result<Option<LabelTable>, Failure> {
    let problem = match (record, path) {
        (None, None) => return Ok(None),
        (Some(record), Some(path)) => {
            return Ok(Some(LabelTable {
                table: path.to_owned(),
                columns: record.columns.clone(),
                separator: record.separator.clone(),
            }));
        }
        (Some(record), None) => format!(
            "trained on column `{}` of a table (name the table with --labels)",
            record.columns.join(",")
        ),
        (None, Some(_)) => "trained on the labels of the cache (leave --labels out)".to_owned(),
    };
    let message = format!("run `{}`: {problem}", run.display());
    Err(Failure::new(Exit::Usage, message))
}
