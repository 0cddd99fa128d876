//! A cache as its readers see it: complete, checked, in plan order.

use std::{path::Path, vec};

use super::{
    Cache, CacheError, CommitRecord, FeatureBatch, Manifest, PartIndex, Plan, Reject,
    commit::PartState, part_rows::PartRows,
};

/// A cache opened for reading. What it reads is what was committed when it was
/// opened.
pub struct CacheReader {
    cache: Cache,
    records: Vec<CommitRecord>,
}

impl CacheReader {
    /// Opens a complete cache.
    ///
    /// # Errors
    /// As [`Cache::open`]; and when parts are missing or visibly damaged.
    pub fn open(directory: &Path) -> Result<Self, CacheError> {
        let cache = Cache::open(directory)?;
        let parts = cache.part_count();
        let mut records = Vec::new();
        for part in 0..parts {
            match cache.state(PartIndex(part))? {
                PartState::Absent => {}
                PartState::Damaged { path, problem } => {
                    return Err(CacheError::damaged(&path, problem));
                }
                PartState::Committed(record) => records.push(record),
            }
        }
        let missing = parts - u32::try_from(records.len()).unwrap_or(parts);
        if missing > 0 {
            let path = directory.to_owned();
            return Err(CacheError::Incomplete {
                path,
                missing,
                parts,
            });
        }
        Ok(Self { cache, records })
    }

    /// The cache's folder.
    pub fn directory(&self) -> &Path {
        self.cache.directory()
    }

    /// What the cache holds.
    pub fn manifest(&self) -> &Manifest {
        self.cache.manifest()
    }

    /// The inputs, rejects included.
    pub fn plan(&self) -> &Plan {
        self.cache.plan()
    }

    /// Inputs without features, by id.
    pub fn rejects(&self) -> impl Iterator<Item = &Reject> {
        self.records.iter().flat_map(|record| &record.rejects)
    }

    /// The features of a layer: batches in plan order, the views of an image in
    /// a row. Files are opened one after the other.
    ///
    /// # Errors
    /// When the cache does not hold the layer.
    pub fn batches(&self, layer: &str) -> Result<Batches, CacheError> {
        let layers = &self.manifest().layers;
        let Some(position) = layers.iter().position(|known| known.name == layer) else {
            return Err(CacheError::UnknownLayer {
                path: self.directory().to_owned(),
                layer: layer.to_owned(),
                known: layers.iter().map(|layer| layer.name.clone()).collect(),
            });
        };
        Ok(Batches {
            cache: self.cache.clone(),
            records: self.records.clone().into_iter(),
            layer: position,
            current: None,
        })
    }
}

/// Iterator over a layer's batches; ends after the first error. `Send`.
pub struct Batches {
    cache: Cache,
    records: vec::IntoIter<CommitRecord>,
    layer: usize,
    current: Option<PartRows>,
}

impl Batches {
    fn advance(&mut self) -> Result<Option<FeatureBatch>, CacheError> {
        loop {
            if let Some(batch) = self.current.as_mut().and_then(Iterator::next) {
                return batch.map(Some);
            }
            let Some(record) = self.records.next() else {
                return Ok(None);
            };
            self.current = Some(PartRows::open(&self.cache, &record, self.layer)?);
        }
    }
}

impl Iterator for Batches {
    type Item = Result<FeatureBatch, CacheError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.advance();
        if batch.is_err() {
            self.records = Vec::new().into_iter();
            self.current = None;
        }
        batch.transpose()
    }
}
