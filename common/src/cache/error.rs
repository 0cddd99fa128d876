//! Everything that can go wrong with a cache.

use std::{
    io,
    path::{Path, PathBuf},
};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::{Difference, FormatVersion, PartIndex, PlanDifference};

/// Why a cache cannot be made, written, or read.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder holds no `cache.json`.
    #[error("cache `{}`: no `cache.json` here (make one with `extract run SOURCE --out CACHE`)", .0.display())]
    NotFound(PathBuf),

    /// The folder for a new cache holds something else.
    #[error("cache `{}`: not a cache, but it holds `{found}` (name a new or empty folder)", .path.display())]
    NotACache {
        /// The folder.
        path: PathBuf,
        /// One of the files in it.
        found: String,
    },

    /// The system refused to read or write.
    #[error("`{}`: {action} failed", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, for example `writing`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// The cache was written by a newer version of this program.
    #[error("cache `{}`: format version {found}, this program reads up to {} (update the program)", .path.display(), FormatVersion::CURRENT)]
    NewerFormat {
        /// The cache.
        path: PathBuf,
        /// Version found.
        found: FormatVersion,
    },

    /// `cache.json` or `plan.parquet` is torn, edited, or foreign.
    #[error("`{}`: {problem} (restore the file, or run `extract run` into a new folder)", .path.display())]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },

    /// The cache holds features of another kind.
    #[error("cache `{}`: holds other features: {} (use another --out, or repeat the run with the cache's settings)", .path.display(), listed(.differences))]
    Mismatch {
        /// The cache.
        path: PathBuf,
        /// Every differing field; ours is the cache's value, theirs the run's.
        differences: Vec<Difference>,
    },

    /// A setting that is fixed when a cache is made differs.
    #[error("cache `{}`: was made with {setting} {cache}, not {requested} (leave the option out, or use another --out)", .path.display())]
    Setting {
        /// The cache.
        path: PathBuf,
        /// The option.
        setting: &'static str,
        /// The cache's value.
        cache: String,
        /// The run's value.
        requested: String,
    },

    /// The source is not what it was when the cache was made.
    #[error("cache `{}`: the source has changed: {difference}", .path.display())]
    SourceChanged {
        /// The cache.
        path: PathBuf,
        /// What changed, and the remedy.
        difference: PlanDifference,
    },

    /// A layer that the cache does not hold.
    #[error("cache `{}`: no layer `{layer}` (it holds {}; run `extract run --layer {layer}` into a new folder)", .path.display(), .known.join(", "))]
    UnknownLayer {
        /// The cache.
        path: PathBuf,
        /// The layer asked for.
        layer: String,
        /// The layers that exist.
        known: Vec<String>,
    },

    /// Parts have not been written yet.
    #[error("cache `{}`: {missing} of {parts} parts are missing (resume with the same `extract run` command)", .path.display())]
    Incomplete {
        /// The cache.
        path: PathBuf,
        /// Parts without a valid commit record.
        missing: u32,
        /// All parts.
        parts: u32,
    },

    /// A part's file is missing, torn, or foreign.
    #[error("`{}`: {problem} (find all damage with `extract verify`, then repeat `extract run`)", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },

    /// A feature is NaN or infinite.
    #[error(
        "`{uri}`: layer `{layer}` has the value {value} at position {position} (the weights or the precision are at fault; try `--precision f32`)"
    )]
    NonFinite {
        /// The image.
        uri: String,
        /// The layer.
        layer: String,
        /// Index in the flattened features.
        position: usize,
        /// NaN or an infinity.
        value: f32,
    },

    /// A feature is too large for f16.
    #[error(
        "`{uri}`: layer `{layer}` has the value {value} at position {position}, too large for f16 (store it with `--dtype f32`)"
    )]
    F16Overflow {
        /// The image.
        uri: String,
        /// The layer.
        layer: String,
        /// Index in the flattened features.
        position: usize,
        /// The value.
        value: f32,
    },

    /// The settings contradict each other.
    #[error("cannot make a cache: {0}")]
    InvalidSetup(String),

    /// The caller broke the writer's protocol.
    #[error("part {part}: {problem}")]
    Protocol {
        /// The part.
        part: PartIndex,
        /// What was expected and found.
        problem: String,
    },
}

impl CacheError {
    /// A closure for `map_err` that adds what was tried on which path.
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }

    /// Damage of a part's file.
    pub(super) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    /// Damage of `cache.json` or `plan.parquet`.
    pub(super) fn header(path: &Path, problem: impl Into<String>) -> Self {
        Self::BadHeader {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

/// The system's error inside an Arrow error, so that a full disk stays one.
pub(super) fn arrow_io(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, source) => source,
        other => io::Error::other(other),
    }
}

/// The system's error inside a Parquet error.
pub(super) fn parquet_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

fn listed(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
