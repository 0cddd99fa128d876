//! What is stored of a layer, and in which kind of file.

use std::{fmt, mem::size_of};

use half::f16;
use serde::{Deserialize, Serialize};

use super::commit::RECORDS_FOLDER;

/// Number type that features are stored in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureDtype {
    /// Half precision: half the size; magnitudes up to 65504.
    F16,
    /// Single precision.
    #[default]
    F32,
}

impl FeatureDtype {
    /// `f16` or `f32`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// Bytes of one number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F16 => size_of::<f16>(),
            Self::F32 => size_of::<f32>(),
        }
    }
}

impl fmt::Display for FeatureDtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Kind of file that parts are stored in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Arrow IPC file: training maps it without copying.
    #[default]
    Arrow,
    /// Parquet: smaller, for exchange and object stores.
    Parquet,
}

impl FileFormat {
    /// `arrow` or `parquet`: the name on the command line and the extension.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One cached layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Name of the backbone's stage, and of the folder in the cache.
    pub name: String,
    /// Shape of one image's features: `[512]`, or `[256, 14, 14]` (C, H, W).
    pub shape: Vec<usize>,
    /// Number type in the files.
    pub dtype: FeatureDtype,
}

impl Layer {
    /// Numbers in one row: the product of the shape.
    pub fn dim(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of one row's features.
    pub fn row_bytes(&self) -> usize {
        self.dim() * self.dtype.bytes()
    }
}

/// Largest number of values in one row; caps what a foreign manifest can ask for.
pub(super) const MAX_DIM: usize = 1 << 28;

impl Layer {
    /// Checks the name (it becomes a folder) and the shape.
    pub(super) fn check(&self) -> Result<(), String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if self.name.is_empty()
            || self.name.starts_with('.')
            || self.name == RECORDS_FOLDER
            || !self.name.chars().all(allowed)
        {
            return Err(format!("layer name `{}` cannot be a folder's", self.name));
        }
        let dim = self
            .shape
            .iter()
            .try_fold(1_usize, |product, &length| product.checked_mul(length));
        match dim {
            Some(1..=MAX_DIM) if !self.shape.is_empty() => Ok(()),
            _ => Err(format!(
                "layer `{}` has the shape {:?}",
                self.name, self.shape
            )),
        }
    }
}
