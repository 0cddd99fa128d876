//! An open weight file.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    bytes::Bytes,
    error::WeightError,
    foreign, safetensors_file,
    tensor::{StoredTensor, TensorInfo},
    torch,
};

/// A weight file of any supported container, open for reading.
pub struct WeightFile {
    path: PathBuf,
    bytes: Bytes,
    /// In the file's order.
    names: Vec<String>,
    tensors: HashMap<String, StoredTensor>,
}

impl std::fmt::Debug for WeightFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WeightFile")
            .field("path", &self.path)
            .field("tensors", &self.names.len())
            .finish_non_exhaustive()
    }
}

impl WeightFile {
    /// Maps the file, finds out its container and checks that every tensor
    /// lies within it. No tensor is read yet.
    ///
    /// # Errors
    /// When the file cannot be read, holds no weights, or is damaged.
    pub fn open(path: &Path) -> Result<Self, WeightError> {
        let bytes = Bytes::map(path).map_err(|source| WeightError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::from_content(path.to_owned(), bytes)
    }

    /// As [`WeightFile::open`], for bytes that are part of the program;
    /// `label` stands for the path in messages.
    ///
    /// # Errors
    /// As [`WeightFile::open`].
    pub fn from_bytes(
        bytes: impl Into<Cow<'static, [u8]>>,
        label: &str,
    ) -> Result<Self, WeightError> {
        Self::from_content(PathBuf::from(label), Bytes::Embedded(bytes.into()))
    }

    fn from_content(path: PathBuf, bytes: Bytes) -> Result<Self, WeightError> {
        let content = bytes.as_slice();
        let found = if content.is_empty() {
            return Err(WeightError::Empty { path });
        } else if torch::is_zip(content) {
            torch::zip_tensors(content)
        } else if torch::is_legacy(content) {
            torch::legacy_tensors(content)
        } else if safetensors_file::is_safetensors(content) {
            match safetensors_file::tensors(content) {
                Ok(tensors) => Ok(tensors),
                Err(source) => return Err(WeightError::Safetensors { path, source }),
            }
        } else {
            let found = foreign::describe(content);
            return Err(WeightError::Foreign { path, found });
        };
        let found = match found {
            Ok(found) => found,
            Err(source) => return Err(WeightError::Torch { path, source }),
        };
        Ok(Self {
            path,
            names: found.iter().map(|(name, _)| name.clone()).collect(),
            tensors: found.into_iter().collect(),
            bytes,
        })
    }

    /// Where the weights came from; for embedded ones, their label.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Shape and element type of a tensor, if the file has it.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|tensor| &tensor.info)
    }

    /// The values of a tensor in row-major order; f16, bf16, f64 and i64 are
    /// converted. All values are finite.
    ///
    /// # Errors
    /// When there is no such tensor, its type is not supported, or it holds a
    /// value that is not finite as f32.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(WeightError::NoSuchTensor {
                path: self.path.clone(),
                name: name.to_owned(),
            });
        };
        let Some(values) = tensor.to_f32(self.bytes.as_slice()) else {
            return Err(WeightError::UnsupportedDtype {
                path: self.path.clone(),
                name: name.to_owned(),
                dtype: tensor.info.dtype.clone(),
            });
        };
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(WeightError::NonFinite {
                path: self.path.clone(),
                name: name.to_owned(),
                index,
            }),
        }
    }
}
