//! Which runs have seen the test split, in `test-reads.jsonl` beside `run.json`.
//!
//! A head that is changed after a look at the test split is chosen on it. Each reading
//! adds a line, so that the look shows.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use common::{progress::warn, source::Split};
use serde::{Deserialize, Serialize};

/// Name of the file with one JSON object a reading.
pub(crate) const TEST_READS_FILE: &str = "test-reads.jsonl";

/// One reading of the test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TestRead {
    /// `eval` or `compare`.
    pub(crate) command: String,
    /// Digest of the cache's plan: which images, labels and splits.
    pub(crate) plan_sha256: String,
    /// Test rows that were read.
    pub(crate) rows: u64,
    /// Share of the rows whose class was predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) top1: Option<f64>,
    /// Of heads on any number of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mean_average_precision: Option<f64>,
    /// Of heads on numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) r2: Option<f64>,
}

impl TestRead {
    /// Without figures.
    pub(crate) fn new(command: &str, plan_sha256: &str, rows: u64) -> Self {
        Self {
            command: command.to_owned(),
            plan_sha256: plan_sha256.to_owned(),
            rows,
            top1: None,
            mean_average_precision: None,
            r2: None,
        }
    }
}

/// Whether measuring on `split` (`None`: all rows) reads the test split.
pub(crate) fn is_test(split: Option<Split>) -> bool {
    split.is_none_or(|split| split == Split::Test)
}

/// Notes a reading in `run` and returns how often the same test split was read before.
/// A run that cannot be written to is warned of: the figures are right all the same.
pub(crate) fn note(run: &Path, read: &TestRead) -> u64 {
    let path = run.join(TEST_READS_FILE);
    let earlier = fs::read_to_string(&path).unwrap_or_default();
    let earlier = earlier
        .lines()
        .filter_map(|line| serde_json::from_str::<TestRead>(line).ok())
        .filter(|known| known.plan_sha256 == read.plan_sha256)
        .count();
    if let Err(error) = append(&path, read) {
        warn(&format!(
            "`{}`: that the test split was read cannot be noted: {error}",
            path.display()
        ));
    }
    earlier as u64
}

/// Forgets the readings of a run that is being replaced.
///
/// # Errors
/// When the file is there and cannot be removed.
pub(crate) fn forget(run: &Path) -> io::Result<()> {
    match fs::remove_file(run.join(TEST_READS_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn append(path: &Path, read: &TestRead) -> io::Result<()> {
    let mut json = serde_json::to_vec(read)?;
    json.push(b'\n');
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    options.open(path)?.write_all(&json)
}
