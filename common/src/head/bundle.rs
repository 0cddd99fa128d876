//! The folder a trained head is kept in: `head.safetensors` and `run.json`, and of a fine-tuned
//! backbone `model.safetensors`.
//!
//! The tensors carry torchvision's names and what a foreign reader must know
//! as metadata; `run.json` has everything that is needed to repeat the run. It is written
//! last and carries the digest of the tensors, so that a bundle is whole or absent.

mod record;
mod tensors;

use std::{
    fmt::Display,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use record::{
    FORMAT_VERSION, PathPoint, PathRecord, RunRecord, SplitRecord, TrainingRecord, TunedRecord,
};

use super::Head;
use crate::{digest::sha256_hex, embed::MODEL_FILE, publish::Pending, read::read_at_most};

/// Name of the file with the parameters.
pub const HEAD_FILE: &str = "head.safetensors";

/// Name of the file with everything else.
pub const RUN_FILE: &str = "run.json";

/// Largest `run.json` that is read; a confusion matrix of 1,000 classes takes about 3 MB.
const MAX_RUN_BYTES: u64 = 256 << 20;

/// Largest `head.safetensors` that is read.
const MAX_HEAD_BYTES: u64 = 4 << 30;

/// A trained head and its record.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The head, on features normalised as the record says.
    pub head: Head,
    /// How it came to be.
    pub record: RunRecord,
}

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no finished run in the folder.
    #[error("run `{}`: no `{RUN_FILE}` here (the run was not finished; train it with `train-head linear CACHE --out RUN`)", .0.display())]
    NotFound(PathBuf),

    /// The system refused to read or write.
    #[error("`{}`: {action} failed", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// The run was written by a newer version of this program.
    #[error("`{}`: format version {found}, this program reads up to {FORMAT_VERSION} (update the program)", .path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: u32,
    },

    /// `run.json` is torn, edited, or foreign.
    #[error("`{}`: {problem} (restore the file, or train again with --overwrite)", .path.display())]
    BadRecord {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },

    /// `head.safetensors` is torn, edited, or foreign.
    #[error("`{}`: {problem} (restore the file, or train again with --overwrite)", .path.display())]
    BadTensors {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },
}

impl Bundle {
    /// Writes both files into `directory`, which must exist, replacing a bundle
    /// that is there. `record.head_sha256` is filled in.
    ///
    /// # Errors
    /// When a file cannot be written; a bundle that was there before then stays.
    /// Where only the renaming fails, that one is gone.
    pub fn save(&mut self, directory: &Path) -> Result<(), BundleError> {
        self.save_files(directory, None)
    }

    /// As [`Bundle::save`], with the bytes of a fine-tuned model, whose digest is filled in too.
    ///
    /// # Errors
    /// As [`Bundle::save`].
    pub fn save_with_model(&mut self, directory: &Path, model: &[u8]) -> Result<(), BundleError> {
        if let Some(tuned) = &mut self.record.tuned {
            tuned.model_sha256 = sha256_hex(model);
        }
        self.save_files(directory, Some(model))
    }

    fn save_files(&mut self, directory: &Path, model: Option<&[u8]>) -> Result<(), BundleError> {
        let model_path = directory.join(MODEL_FILE);
        let tensor_path = directory.join(HEAD_FILE);
        let run_path = directory.join(RUN_FILE);
        let bytes = tensors::to_bytes(&self.head, &self.record)
            .map_err(|problem| bad_tensors(&tensor_path, problem))?;
        self.record.head_sha256 = sha256_hex(&bytes);
        let mut json = serde_json::to_vec_pretty(&self.record)
            .map_err(|error| bad_record(&run_path, error))?;
        json.push(b'\n');
        let head = written(&tensor_path, &bytes)?;
        let run = written(&run_path, &json)?;
        let model = model.map(|bytes| written(&model_path, bytes)).transpose()?;
        remove(&run_path)?;
        match model {
            Some(model) => model.publish().map_err(failed(&model_path, "publishing"))?,
            // One of an earlier run would be taken for this one's.
            None => remove(&model_path)?,
        }
        head.publish().map_err(failed(&tensor_path, "publishing"))?;
        run.publish().map_err(failed(&run_path, "publishing"))
    }

    /// Reads the bundle in `directory`.
    ///
    /// # Errors
    /// When there is none, a file cannot be read, is of a newer version, or the two do not fit together.
    pub fn load(directory: &Path) -> Result<Self, BundleError> {
        let run_path = directory.join(RUN_FILE);
        let json = match read_capped(&run_path, MAX_RUN_BYTES) {
            Err(BundleError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(BundleError::NotFound(directory.to_owned()));
            }
            other => other?,
        };
        let probe: VersionProbe =
            serde_json::from_slice(&json).map_err(|error| bad_record(&run_path, error))?;
        if probe.format_version > FORMAT_VERSION {
            return Err(BundleError::NewerFormat {
                path: run_path,
                found: probe.format_version,
            });
        }
        let record: RunRecord =
            serde_json::from_slice(&json).map_err(|error| bad_record(&run_path, error))?;
        record
            .check()
            .map_err(|problem| bad_record(&run_path, problem))?;

        let tensor_path = directory.join(HEAD_FILE);
        let bytes = read_capped(&tensor_path, MAX_HEAD_BYTES)?;
        let found = sha256_hex(&bytes);
        if found != record.head_sha256 {
            let problem = format!(
                "SHA-256 is {found}, `{RUN_FILE}` expects {}",
                record.head_sha256
            );
            return Err(bad_tensors(&tensor_path, problem));
        }
        let head = tensors::from_bytes(&bytes, &record)
            .map_err(|problem| bad_tensors(&tensor_path, problem))?;
        Ok(Self { head, record })
    }
}

#[derive(Deserialize)]
struct VersionProbe {
    format_version: u32,
}

/// `bytes` beside `path`, where nobody reads them yet.
fn written(path: &Path, bytes: &[u8]) -> Result<Pending, BundleError> {
    let mut pending = Pending::create(path).map_err(failed(path, "creating"))?;
    let written = pending.write_all(bytes).and_then(|()| pending.flush());
    written.map_err(failed(path, "writing"))?;
    Ok(pending)
}

/// Removes `path`, if it is there.
fn remove(path: &Path) -> Result<(), BundleError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(path, "removing")(error))
        }
        _ => Ok(()),
    }
}

fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>, BundleError> {
    read_at_most(path, cap).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => bad_record(path, error),
        _ => failed(path, "reading")(error),
    })
}

fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> BundleError {
    let path = path.to_owned();
    move |source| BundleError::Io {
        path,
        action,
        source,
    }
}

fn bad_record(path: &Path, problem: impl Display) -> BundleError {
    BundleError::BadRecord {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

fn bad_tensors(path: &Path, problem: impl Display) -> BundleError {
    BundleError::BadTensors {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests;
