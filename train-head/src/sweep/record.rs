//! `sweep.json`: what a sweep is, so that one that goes on is the one that was begun.

use std::{fs, io, path::Path};

use common::{exit::Exit, publish::write_atomically, read::read_at_most};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{table::TABLE_FILE, tails::forget_trials};
use crate::failure::{Failure, OrExit};

/// Name of the file in the sweep's folder.
pub(crate) const SWEEP_FILE: &str = "sweep.json";

/// Version of the folder that this program writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Largest `sweep.json` that is read.
const MAX_SWEEP_BYTES: u64 = 16 << 20;

/// What the result of a sweep depends on, but for the number of trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SweepRecord {
    pub(crate) format_version: u32,
    /// What features are read from, in the order of the command line.
    pub(crate) sources: Vec<SourceRecord>,
    /// Everything else, by name.
    pub(crate) settings: serde_json::Map<String, Value>,
}

/// A cache and a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceRecord {
    pub(crate) fingerprint: String,
    pub(crate) plan_sha256: String,
    pub(crate) layer: String,
}

impl SweepRecord {
    /// Begins the sweep in `directory`, or finds that it is the one that was begun there.
    pub(crate) fn claim(&self, directory: &Path) -> Result<(), Failure> {
        let path = directory.join(SWEEP_FILE);
        let begun = match read_at_most(&path, MAX_SWEEP_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.begin(directory);
            }
            other => other.map_err(|error| unreadable(&path, &error))?,
        };
        let begun: Self =
            serde_json::from_slice(&begun).map_err(|error| unreadable(&path, &error))?;
        self.compare(&begun, directory)
    }

    fn begin(&self, directory: &Path) -> Result<(), Failure> {
        let mut json = serde_json::to_vec_pretty(self).or_exit(Exit::Failure)?;
        json.push(b'\n');
        let path = directory.join(SWEEP_FILE);
        write_atomically(&path, &json).map_err(|error| {
            Failure::new(
                Exit::Failure,
                format!("`{}`: cannot be written: {error}", path.display()),
            )
        })
    }

    fn compare(&self, begun: &Self, directory: &Path) -> Result<(), Failure> {
        let remedy = "name another folder, or begin again with --overwrite";
        let refuse = |exit, problem: String| {
            Err(Failure::new(
                exit,
                format!("sweep `{}`: {problem} ({remedy})", directory.display()),
            ))
        };
        if begun.format_version != self.format_version {
            return refuse(
                Exit::Input,
                format!(
                    "format version {}, this program has {FORMAT_VERSION}",
                    begun.format_version
                ),
            );
        }
        if begun.sources != self.sources {
            return refuse(
                Exit::Mismatch,
                "was begun on another cache, or on other layers of it".to_owned(),
            );
        }
        let differs = |name: &&String| self.settings.get(*name) != begun.settings.get(*name);
        let names = self.settings.keys().chain(begun.settings.keys());
        match names.into_iter().find(differs) {
            None => Ok(()),
            Some(name) => {
                let shown = |record: &Self| {
                    record
                        .settings
                        .get(name)
                        .map_or("nothing".to_owned(), Value::to_string)
                };
                refuse(
                    Exit::Usage,
                    format!(
                        "was begun with {name} = {}, not {}",
                        shown(begun),
                        shown(self)
                    ),
                )
            }
        }
    }
}

/// Forgets the sweep in `directory`, but not its winner, which the new one will replace.
pub(crate) fn forget(directory: &Path) -> Result<(), Failure> {
    for name in [SWEEP_FILE, TABLE_FILE] {
        let path = directory.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let message = format!("`{}`: cannot be removed: {error}", path.display());
                return Err(Failure::new(Exit::Failure, message));
            }
            _ => {}
        }
    }
    forget_trials(directory)
}

fn unreadable(path: &Path, problem: &dyn std::fmt::Display) -> Failure {
    let message = format!(
        "`{}`: {problem} (restore the file, or begin the sweep again with --overwrite)",
        path.display()
    );
    Failure::new(Exit::Input, message)
}
