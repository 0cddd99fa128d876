//! Which file a backbone's weights come from.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use super::EmbedderError;
use crate::backbone::{
    Loaded, Parameters,
    registry::Entry,
    weights::hub::{HubError, HubFile, Progress},
};

/// A whole network's weights in the folder of a run that has trained them.
pub const MODEL_FILE: &str = "model.safetensors";

/// Where a backbone's weights are: a file, a run's folder, or `hf:OWNER/NAME/FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightSource {
    /// A safetensors or torch file, or a folder that holds [`MODEL_FILE`].
    File(PathBuf),
    /// A file on the Hugging Face Hub.
    Hub(HubFile),
    /// Made up, for measurements of speed: features mean nothing.
    Random,
}

impl FromStr for WeightSource {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        if text.starts_with("hf:") {
            text.parse().map(Self::Hub)
        } else {
            Ok(Self::File(PathBuf::from(text)))
        }
    }
}

/// The weights of `entry` from `source`; `None`: those that are embedded.
///
/// # Errors
/// When they cannot be had, or are of another network.
pub fn load_weights(entry: &Entry, source: Option<&WeightSource>) -> Result<Loaded, EmbedderError> {
    match (source, entry.embedded) {
        (Some(WeightSource::File(path)), _) => Ok(entry.load_file(&file_of(path)?)?),
        (Some(WeightSource::Hub(file)), _) => Ok(entry.load_file(&file.fetch(Progress::Bar)?)?),
        (Some(WeightSource::Random), _) => Ok(Loaded {
            parameters: Parameters::synthetic(&entry.network()),
            prefix: String::new(),
        }),
        (None, Some(bytes)) => Ok(entry.load_embedded(bytes)?),
        (None, None) => Err(EmbedderError::WeightsNeeded {
            name: entry.name,
            origin: entry.origin,
        }),
    }
}

/// `path` itself, or the weights in the folder of a run.
fn file_of(path: &Path) -> Result<PathBuf, EmbedderError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join(MODEL_FILE);
    if file.is_file() {
        Ok(file)
    } else {
        Err(EmbedderError::NoModel(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_model_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let error = file_of(path).unwrap_err().to_string();
        assert!(error.contains("holds no `model.safetensors`"), "{error}");
        std::fs::write(path.join(MODEL_FILE), b"").unwrap();
        assert_eq!(file_of(path).unwrap(), path.join(MODEL_FILE));
        let file = path.join(MODEL_FILE);
        assert_eq!(file_of(&file).unwrap(), file);
        assert_eq!(file_of(&path.join("none")).unwrap(), path.join("none"));
    }
}
