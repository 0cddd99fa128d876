//! What a killed training goes on from: one file in the folder of its run.
//!
//! It holds all that later steps depend on, and the best model so far. It is published whole,
//! and its metadata says which run it belongs to and what its tensors hash to.

use std::{fs, io, io::Write, path::Path};

use common::{
    cache::CacheReader,
    digest::sha256_hex,
    exit::Exit,
    head::Head,
    publish::Pending,
    tail::{State, Tensor, Tensors},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    job::Job,
    progress::Progress,
    session::{Session, of_trainer},
};
use crate::{
    failure::{Failure, OrExit},
    plan::recorded_fine_settings,
};

/// Name of the file.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint.safetensors";

const FORMAT_VERSION: u32 = 1;

/// What the names of the tensors of each part begin with.
const PARTS: [&str; 5] = ["tensors/", "first/", "second/", "averages/", "best/"];

/// What a run is told by: a checkpoint of another one is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Fingerprint of the cache.
    pub(crate) fingerprint: String,
    /// Digest of the cache's plan.
    pub(crate) plan_sha256: String,
    /// Where training starts.
    pub(crate) layer: Option<String>,
    /// Digest of the first head's parameters.
    pub(crate) head_sha256: String,
    pub(crate) settings: Value,
}

impl Origin {
    /// What the checkpoints of `job` are told by.
    pub(crate) fn of(job: &Job, reader: &CacheReader) -> Result<Self, Failure> {
        let manifest = reader.manifest();
        Ok(Self {
            fingerprint: manifest.fingerprint.clone(),
            plan_sha256: manifest.plan_sha256.clone(),
            layer: job.start.layer.clone(),
            head_sha256: head_digest(job.head),
            settings: recorded_fine_settings(job.settings)?,
        })
    }
}

/// Digest of the parameters of `head`.
pub(crate) fn head_digest(head: &Head) -> String {
    let layers = head.layers().iter();
    let values = layers.flat_map(|layer| layer.weight.iter().chain(&layer.bias));
    let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
    sha256_hex(&bytes)
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    format_version: u32,
    origin: Origin,
    progress: Progress,
    /// Of all values in the order of their names.
    sha256: String,
}

/// A checkpoint that was read.
pub(crate) struct Checkpoint {
    progress: Progress,
    state: State,
    best: Option<Tensors>,
}

/// Writes where `session` is into `run`.
pub(crate) fn save(session: &Session, origin: &Origin, run: &Path) -> Result<(), Failure> {
    let path = run.join(CHECKPOINT_FILE);
    let state = session.trainer.state().map_err(of_trainer)?;
    let [first, second] = state.moments;
    let parts = [
        Some(state.tensors),
        Some(first),
        Some(second),
        state.averages,
        session.best.clone(),
    ];
    let parts = PARTS.iter().zip(parts);
    let tensors = parts.flat_map(|(prefix, part)| {
        let part: Vec<_> = part.map_or_else(Vec::new, |tensors| tensors.into_iter().collect());
        part.into_iter().map(move |tensor| Tensor {
            name: format!("{prefix}{}", tensor.name),
            ..tensor
        })
    });
    let mut tensors: Vec<Tensor> = tensors.collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let tensors: Tensors = tensors.into_iter().collect();
    let metadata = Metadata {
        format_version: FORMAT_VERSION,
        origin: origin.clone(),
        progress: session.progress.clone(),
        sha256: digest(&tensors),
    };
    let metadata = serde_json::to_string(&metadata).or_exit(Exit::Failure)?;
    let bytes = tensors
        .to_safetensors(&[], &metadata)
        .map_err(|problem| Failure::new(Exit::Failure, problem))?;
    let written = Pending::create(&path).and_then(|mut pending| {
        pending.write_all(&bytes)?;
        pending.publish()
    });
    written.map_err(|error| {
        let message = format!(
            "checkpoint `{}`: cannot be written: {error} (make room, then run the same command again: it goes on from the checkpoint before)",
            path.display()
        );
        Failure::new(Exit::Failure, message)
    })
}

impl Checkpoint {
    /// The one in `run`, if there is one, which must be of `origin`.
    pub(crate) fn load(run: &Path, origin: &Origin) -> Result<Option<Self>, Failure> {
        let path = run.join(CHECKPOINT_FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| damaged(&path, error.to_string()))?,
        };
        let (tensors, metadata) =
            Tensors::from_safetensors(&bytes).map_err(|problem| damaged(&path, problem))?;
        let metadata: Metadata =
            serde_json::from_str(&metadata).map_err(|error| damaged(&path, error.to_string()))?;
        if metadata.format_version != FORMAT_VERSION {
            let problem = format!(
                "format version {}, not {FORMAT_VERSION}",
                metadata.format_version
            );
            return Err(damaged(&path, problem));
        }
        if metadata.sha256 != digest(&tensors) {
            return Err(damaged(&path, "its digest is another".to_owned()));
        }
        let differences = differences(&metadata.origin, origin)?;
        if !differences.is_empty() {
            let message = format!(
                "checkpoint `{}`: of another training: {} (use the same options to go on with it, another --out, or --overwrite to begin anew)",
                path.display(),
                differences.join("; ")
            );
            return Err(Failure::new(Exit::Mismatch, message));
        }
        let part = |prefix: &str| -> Tensors {
            let own = tensors.iter().filter_map(|tensor| {
                let name = tensor.name.strip_prefix(prefix)?.to_owned();
                Some(Tensor {
                    name,
                    ..tensor.clone()
                })
            });
            own.collect()
        };
        let some = |tensors: Tensors| (!tensors.is_empty()).then_some(tensors);
        let [tensors, first, second, averages, best] = PARTS.map(part);
        Ok(Some(Self {
            progress: metadata.progress,
            state: State {
                tensors,
                moments: [first, second],
                averages: some(averages),
            },
            best: some(best),
        }))
    }

    /// How far the training is.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where it goes on.
    pub(crate) fn greeting(&self) -> String {
        format!(
            "goes on from a checkpoint: {} epochs and {} batches of the next are done",
            self.progress.epochs, self.progress.batches
        )
    }

    /// Goes on with `job`.
    pub(crate) fn resume<'a>(self, job: &'a Job<'a>) -> Result<Session<'a>, Failure> {
        let first = job.first_tensors()?;
        let mut session = Session::at(job, &first, self.progress, self.best)?;
        session.trainer.restore(&self.state).map_err(of_trainer)?;
        Ok(session)
    }
}

/// Removes the checkpoint of `run`, if there is one.
pub(crate) fn remove(run: &Path) -> io::Result<()> {
    match fs::remove_file(run.join(CHECKPOINT_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether `run` has a checkpoint.
pub(crate) fn is_in(run: &Path) -> bool {
    run.join(CHECKPOINT_FILE).exists()
}

fn digest(tensors: &Tensors) -> String {
    let values = tensors.iter().flat_map(|tensor| &tensor.values);
    let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
    sha256_hex(&bytes)
}

/// The fields in which two origins differ, with both values.
fn differences(theirs: &Origin, ours: &Origin) -> Result<Vec<String>, Failure> {
    let flat = |origin: &Origin| -> Result<Vec<(String, Value)>, Failure> {
        let value = serde_json::to_value(origin).or_exit(Exit::Failure)?;
        let Value::Object(mut fields) = value else {
            return Ok(Vec::new());
        };
        let settings = fields.remove("settings").unwrap_or_default();
        let settings = settings.as_object().cloned().unwrap_or_default();
        Ok(fields.into_iter().chain(settings).collect())
    };
    let (theirs, ours) = (flat(theirs)?, flat(ours)?);
    let differing = ours.iter().filter_map(|(name, our)| {
        let their = theirs.iter().find(|(known, _)| known == name);
        let their = their.map_or(&Value::Null, |(_, value)| value);
        (their != our).then(|| format!("{name} is {our}, there {their}"))
    });
    Ok(differing.collect())
}

fn damaged(path: &Path, problem: String) -> Failure {
    let message = format!(
        "checkpoint `{}`: damaged: {problem} (remove it, or use --overwrite, to begin anew)",
        path.display()
    );
    Failure::new(Exit::Input, message)
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_in_metadata_come_back_bit_for_bit() {
        // Without the feature `float_roundtrip` of serde_json the last bit of this one is another.
        let rate = 0.000_934_980_093_681_163_3_f64;
        let text = serde_json::to_string(&rate).unwrap();
        let back: f64 = serde_json::from_str(&text).unwrap();
        assert_eq!(back.to_bits(), rate.to_bits());
    }
}
