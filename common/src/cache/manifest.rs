//! `cache.json`: what a cache holds and how it is laid out.

use std::{fmt, fs, io, ops::Range, path::Path};

use serde::{Deserialize, Serialize};

use super::{CacheError, FileFormat, Identity, Layer, PartIndex};
use crate::source::Split;

/// Name of the manifest in the cache's folder.
pub(super) const MANIFEST_FILE: &str = "cache.json";

/// Version of the folder's layout and of every file in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FormatVersion(pub u32);

impl FormatVersion {
    /// The version this program writes.
    pub const CURRENT: Self = Self(1);
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Content of `cache.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the cache's format.
    pub format_version: FormatVersion,
    /// [`Identity::fingerprint`] of `identity`.
    pub fingerprint: String,
    /// What the features are made of.
    pub identity: Identity,
    /// The cached layers, in the order of `identity.layers`.
    pub layers: Vec<Layer>,
    /// Class names; labels are indices into them.
    pub classes: Vec<String>,
    /// Kind of the part files.
    pub format: FileFormat,
    /// Plan rows of a part; the last part may have fewer.
    pub part_rows: u32,
    /// Rows of the plan.
    pub rows: u64,
    /// [`Plan::digest`](super::Plan::digest) of the plan's rows.
    pub plan_sha256: String,
}

impl Manifest {
    /// The layer called `name`.
    pub fn layer(&self, name: &str) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// Feature rows of an image of `split`: all views, but of an image that heads are
    /// only judged on, the plain view alone.
    pub fn views_of(&self, split: Split) -> u8 {
        match split {
            Split::Train | Split::None => self.identity.views,
            Split::Val | Split::Test => 1,
        }
    }

    /// Plan rows of a part; empty behind the last one.
    pub fn rows_of(&self, part: PartIndex) -> Range<u64> {
        let start = u64::from(part.0) * u64::from(self.part_rows);
        start.min(self.rows)..(start + u64::from(self.part_rows)).min(self.rows)
    }

    /// Number of parts: `rows / part_rows`, rounded up.
    pub fn part_count(&self) -> u32 {
        // `load` and `create_or_resume` refuse plans of more than u32::MAX parts.
        u32::try_from(self.rows.div_ceil(u64::from(self.part_rows.max(1)))).unwrap_or(u32::MAX)
    }

    /// Reads and checks the manifest of the cache in `directory`.
    pub(super) fn load(directory: &Path) -> Result<Self, CacheError> {
        let path = directory.join(MANIFEST_FILE);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CacheError::NotFound(directory.to_owned()),
            _ => CacheError::io(&path, "reading")(error),
        })?;
        let foreign = |error: serde_json::Error| {
            CacheError::header(&path, format!("not a cache manifest: {error}"))
        };
        let probe: VersionProbe = serde_json::from_slice(&bytes).map_err(foreign)?;
        if probe.format_version > FormatVersion::CURRENT {
            return Err(CacheError::NewerFormat {
                path: directory.to_owned(),
                found: probe.format_version,
            });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(foreign)?;
        manifest
            .check()
            .map_err(|problem| CacheError::header(&path, problem))?;
        Ok(manifest)
    }

    /// The bytes of `cache.json`.
    pub(super) fn to_json(&self) -> Vec<u8> {
        // Cannot fail: every map has string keys.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Checks everything that can be checked without looking at other files.
    pub(super) fn check(&self) -> Result<(), String> {
        self.identity.check_fingerprint(&self.fingerprint)?;
        if self.part_rows == 0
            || self.rows.div_ceil(u64::from(self.part_rows)) > u64::from(u32::MAX)
        {
            return Err(format!(
                "{} rows in parts of {} rows",
                self.rows, self.part_rows
            ));
        }
        let names: Vec<_> = self
            .layers
            .iter()
            .map(|layer| layer.name.as_str())
            .collect();
        if names.is_empty() || names != self.identity.layers {
            return Err(format!(
                "layers {names:?} are not the identity's {:?}",
                self.identity.layers
            ));
        }
        if self.identity.views == 0 {
            return Err("0 views of each image".to_owned());
        }
        if let Some(layer) = self
            .layers
            .iter()
            .find(|layer| layer.dtype != self.identity.dtype)
        {
            return Err(format!(
                "layer `{}` is {}, the identity's dtype {}",
                layer.name, layer.dtype, self.identity.dtype
            ));
        }
        self.layers.iter().try_for_each(Layer::check)
    }
}

#[derive(Deserialize)]
struct VersionProbe {
    format_version: FormatVersion,
}
