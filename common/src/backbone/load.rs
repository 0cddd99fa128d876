//! Filling a registered backbone with weights.

use std::path::Path;

use super::{
    Parameters,
    registry::Entry,
    weights::{Expected, Parameter, WeightError, WeightFile, bind},
};

/// Weights that do not fit a backbone.
#[derive(Debug, thiserror::Error)]
#[error("backbone `{backbone}` cannot use these weights")]
pub struct LoadError {
    backbone: &'static str,
    source: Box<WeightError>,
}

/// A backbone's tensors, and what the file has before each of their names.
pub struct Loaded {
    /// The tensors.
    pub parameters: Parameters,
    /// For instance `module.`; usually empty.
    pub prefix: String,
}

impl Entry {
    /// Reads a weight file.
    ///
    /// # Errors
    /// A file that is damaged, foreign, or of another network.
    pub fn load_file(&self, path: &Path) -> Result<Loaded, LoadError> {
        WeightFile::open(path)
            .and_then(|file| self.load(&file))
            .map_err(|source| self.error(source))
    }

    /// Reads weights that are part of the program.
    ///
    /// # Errors
    /// As [`Entry::load_file`].
    pub fn load_embedded(&self, bytes: &'static [u8]) -> Result<Loaded, LoadError> {
        WeightFile::from_bytes(bytes, &format!("{} (embedded)", self.name))
            .and_then(|file| self.load(&file))
            .map_err(|source| self.error(source))
    }

    /// Binds the file's tensors under the network's own names, or else under
    /// the names that older files have for them.
    fn load(&self, file: &WeightFile) -> Result<Loaded, WeightError> {
        let network = self.network();
        let classifier = format!("{}.", network.classifier());
        let required = network.parameters();
        let bind_as = |name: fn(&str) -> String| {
            let renamed: Vec<Parameter> = required
                .iter()
                .map(|parameter| Parameter {
                    name: name(&parameter.name),
                    shape: parameter.shape.clone(),
                })
                .collect();
            let expected = Expected {
                required: &renamed,
                optional: &[&classifier],
            };
            bind(file, &expected)
        };
        let (binding, name) = match bind_as(str::to_owned) {
            Ok(binding) => (binding, str::to_owned as fn(&str) -> String),
            Err(error) => match bind_as(self.older_name) {
                Ok(binding) => (binding, self.older_name),
                Err(_) => return Err(error),
            },
        };
        let parameters = Parameters::collect(&network, |parameter| {
            binding.read_f32(&name(&parameter.name))
        })?;
        Ok(Loaded {
            parameters,
            prefix: binding.prefix().to_owned(),
        })
    }

    fn error(&self, source: WeightError) -> LoadError {
        LoadError {
            backbone: self.name,
            source: Box::new(source),
        }
    }
}
