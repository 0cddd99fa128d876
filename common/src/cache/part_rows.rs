//! Reading one part's rows of one layer, in order and completely.

use std::{iter::Peekable, ops::Range, path::Path, sync::Arc, vec};

use super::{
    Cache, CacheError, CommitRecord, FeatureBatch, FileFormat, Layer, PartIndex, Place,
    arrow_file::ArrowFile, parquet_file::ParquetFile,
};

/// Batches of one file. That its ids are exactly the part's plan rows without
/// the rejects, each with its views, is checked on the way: a file can then
/// be neither short nor another part's.
pub(super) struct PartRows {
    path: Arc<Path>,
    layer: Layer,
    file: Rows,
    expected: ExpectedIds,
    failed: bool,
}

enum Rows {
    Arrow(ArrowFile),
    Parquet(ParquetFile),
}

impl PartRows {
    /// Opens the file of the manifest's layer number `layer`.
    pub(super) fn open(
        cache: &Cache,
        record: &CommitRecord,
        layer: usize,
    ) -> Result<Self, CacheError> {
        let manifest = cache.manifest();
        // A valid record has a file for every layer.
        let (file, layer) = (&record.files[layer], manifest.layers[layer].clone());
        let path = cache.directory().join(&file.path);
        let rows = match manifest.format {
            FileFormat::Arrow => Rows::Arrow(ArrowFile::open(&path, file.bytes, &layer)?),
            FileFormat::Parquet => Rows::Parquet(ParquetFile::open(&path, file.bytes, &layer)?),
        };
        Ok(Self {
            path: path.into(),
            layer,
            file: rows,
            expected: ExpectedIds::new(cache, record),
            failed: false,
        })
    }

    fn check(&mut self, batch: arrow::array::RecordBatch) -> Result<FeatureBatch, String> {
        let batch = FeatureBatch::try_new(batch, &self.layer)?;
        for (&id, &view) in batch.ids().iter().zip(batch.views()) {
            match self.expected.next() {
                Some(expected) if expected == (id, view) => {}
                Some((row, expected)) => {
                    return Err(format!(
                        "expected plan row {row}, view {expected}, found {id}, view {view}"
                    ));
                }
                None => return Err(format!("plan row {id}, view {view} is one too many")),
            }
        }
        let place = match &self.file {
            Rows::Arrow(file) => file.offset_of(batch.values().address()),
            Rows::Parquet(_) => None,
        };
        let path = || Arc::clone(&self.path);
        Ok(batch.placed(place.map(|offset| Place {
            path: path(),
            offset,
        })))
    }
}

impl Iterator for PartRows {
    type Item = Result<FeatureBatch, CacheError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = match &mut self.file {
            Rows::Arrow(file) => file.next(),
            Rows::Parquet(file) => file.next(),
        };
        let checked = match batch {
            Some(batch) => batch.and_then(|batch| self.check(batch)),
            None => match self.expected.next() {
                Some((row, view)) => Err(format!("ends before plan row {row}, view {view}")),
                None => return None,
            },
        };
        Some(checked.map_err(|problem| {
            self.failed = true;
            CacheError::damaged(&self.path, problem)
        }))
    }
}

/// Every (plan row, view) that a part's files hold, in order.
struct ExpectedIds {
    cache: Cache,
    rows: Range<u64>,
    rejects: Peekable<vec::IntoIter<u64>>,
    /// Views that are left of the row before `rows`.
    views: Range<u8>,
}

impl ExpectedIds {
    fn new(cache: &Cache, record: &CommitRecord) -> Self {
        let rejects: Vec<u64> = record.rejects.iter().map(|reject| reject.id).collect();
        Self {
            cache: cache.clone(),
            rows: cache.rows_of(PartIndex(record.part)),
            rejects: rejects.into_iter().peekable(),
            views: 0..0,
        }
    }

    fn views_of(&self, row: u64) -> u8 {
        let sample = self.cache.plan().get(row);
        sample.map_or(0, |sample| self.cache.manifest().views_of(sample.split))
    }
}

impl Iterator for ExpectedIds {
    type Item = (u64, u8);

    fn next(&mut self) -> Option<(u64, u8)> {
        loop {
            if let Some(view) = self.views.next() {
                return Some((self.rows.start - 1, view));
            }
            let row = self.rows.next()?;
            if self.rejects.next_if_eq(&row).is_none() {
                self.views = 0..self.views_of(row);
            }
        }
    }
}
