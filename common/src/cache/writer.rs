//! Writing one part.

use std::{fs, io, ops::Range, path::Path};

use half::f16;

use super::{
    Cache, CacheError, CommitRecord, FeatureDtype, Layer, PartIndex, Reject,
    commit::{self, RECORDS_FOLDER},
    create,
    layer_file::LayerFile,
};
use crate::publish::{self, TEMPORARY_SUFFIX};

/// Features of one view of one image.
#[derive(Clone, Copy, Debug)]
pub struct FeatureRow<'a> {
    /// Plan row of the image.
    pub plan_row: u64,
    /// View number, from 0, below [`Manifest::views_of`](super::Manifest::views_of) the
    /// image's split.
    pub view: u8,
    /// One flattened slice a layer (`[dim]`), in the manifest's order.
    pub layers: &'a [&'a [f32]],
}

/// Writes one part over all layers, in plan order. Dropped without
/// [`PartWriter::commit`], nothing of it remains. `Send`.
///
/// Memory: [`BATCH_BYTES`](super::BATCH_BYTES) a layer, and with Parquet one
/// compressed row group.
pub struct PartWriter {
    cache: Cache,
    part: PartIndex,
    rows: Range<u64>,
    next_row: u64,
    next_view: u8,
    files: Vec<LayerFile>,
    rejects: Vec<Reject>,
}

impl PartWriter {
    pub(super) fn start(cache: Cache, part: PartIndex) -> Result<Self, CacheError> {
        let manifest = cache.manifest();
        let rows = cache.rows_of(part);
        if rows.is_empty() {
            let problem = format!("the cache has {} parts", cache.part_count());
            return Err(CacheError::Protocol { part, problem });
        }
        create::create_folders(cache.directory(), manifest)?;
        let record = format!("{RECORDS_FOLDER}/{part}.json");
        remove_leftovers(&cache.directory().join(record))?;
        let mut files = Vec::with_capacity(manifest.layers.len());
        for layer in &manifest.layers {
            let relative = commit::file_path(manifest, &layer.name, part);
            let path = cache.directory().join(&relative);
            remove_leftovers(&path)?;
            let file = LayerFile::create(cache.directory(), relative, layer, manifest.format);
            files.push(file.map_err(CacheError::io(&path, "creating"))?);
        }
        Ok(Self {
            part,
            next_row: rows.start,
            next_view: 0,
            rows,
            files,
            rejects: Vec::new(),
            cache,
        })
    }

    /// Adds the next view: plan rows ascend, the views of a row are 0, 1, ….
    ///
    /// # Errors
    /// When a value is not finite or does not fit f16, the row is not the next
    /// one, or writing fails. Drop the writer then.
    pub fn push(&mut self, row: FeatureRow<'_>) -> Result<(), CacheError> {
        self.expect(row.plan_row, row.view)?;
        let manifest = self.cache.manifest();
        if row.layers.len() != manifest.layers.len() {
            return Err(self.broken(format!(
                "expected {} layers, found {}",
                manifest.layers.len(),
                row.layers.len()
            )));
        }
        let Some(sample) = self.cache.plan().get(row.plan_row) else {
            return Err(self.broken(format!("no plan row {}", row.plan_row)));
        };
        for (layer, values) in manifest.layers.iter().zip(row.layers) {
            if values.len() != layer.dim() {
                return Err(self.broken(format!(
                    "layer `{}`: expected {} values, found {}",
                    layer.name,
                    layer.dim(),
                    values.len()
                )));
            }
            check_values(&sample.uri, layer, values)?;
        }
        let directory = self.cache.directory();
        for ((file, layer), values) in self.files.iter_mut().zip(&manifest.layers).zip(row.layers) {
            file.push(row.plan_row, row.view, sample, values)
                .map_err(CacheError::io(&directory.join(&layer.name), "writing"))?;
        }
        self.next_view += 1;
        if self.next_view == manifest.views_of(sample.split) {
            self.next_view = 0;
            self.next_row += 1;
        }
        Ok(())
    }

    /// Records that the next plan row has no features. Line breaks in `reason`
    /// become spaces.
    ///
    /// # Errors
    /// When the row is not the next one, or some of its views are written.
    pub fn reject(&mut self, plan_row: u64, reason: &str) -> Result<(), CacheError> {
        self.expect(plan_row, 0)?;
        let Some(sample) = self.cache.plan().get(plan_row) else {
            return Err(self.broken(format!("no plan row {plan_row}")));
        };
        self.rejects.push(Reject {
            id: plan_row,
            uri: sample.uri.clone(),
            reason: reason.lines().collect::<Vec<_>>().join(" "),
        });
        self.next_row += 1;
        Ok(())
    }

    /// Publishes the layers' files, then the commit record: only then the part
    /// exists.
    ///
    /// # Errors
    /// When rows are missing, or writing or publishing fails.
    pub fn commit(self) -> Result<CommitRecord, CacheError> {
        if self.next_row != self.rows.end || self.next_view != 0 {
            let (row, end) = (self.next_row, self.rows.end);
            return Err(self.broken(format!(
                "expected rows up to {end}, stopped before row {row}, view {}",
                self.next_view
            )));
        }
        let directory = self.cache.directory();
        let mut finished = Vec::with_capacity(self.files.len());
        for (file, layer) in self.files.into_iter().zip(&self.cache.manifest().layers) {
            let file = file
                .finish()
                .map_err(CacheError::io(&directory.join(&layer.name), "writing"))?;
            finished.push(file);
        }
        let mut files = Vec::with_capacity(finished.len());
        for file in finished {
            let path = directory.join(file.path());
            files.push(
                file.publish()
                    .map_err(CacheError::io(&path, "publishing"))?,
            );
        }
        let record = CommitRecord {
            part: self.part.0,
            rows: self.rows.end - self.rows.start,
            rejects: self.rejects,
            files,
        };
        let path = commit::record_path(directory, self.part);
        publish::write_atomically(&path, &record.to_json())
            .map_err(CacheError::io(&path, "publishing"))?;
        Ok(record)
    }

    fn expect(&self, plan_row: u64, view: u8) -> Result<(), CacheError> {
        if (plan_row, view) == (self.next_row, self.next_view) && self.rows.contains(&plan_row) {
            return Ok(());
        }
        Err(self.broken(format!(
            "expected row {}, view {} of rows {}..{}, found row {plan_row}, view {view}",
            self.next_row, self.next_view, self.rows.start, self.rows.end
        )))
    }

    fn broken(&self, problem: String) -> CacheError {
        let part = self.part;
        CacheError::Protocol { part, problem }
    }
}

fn check_values(uri: &str, layer: &Layer, values: &[f32]) -> Result<(), CacheError> {
    let fits = |value: &f32| match layer.dtype {
        FeatureDtype::F32 => value.is_finite(),
        FeatureDtype::F16 => f16::from_f32(*value).is_finite(),
    };
    let Some(position) = values.iter().position(|value| !fits(value)) else {
        return Ok(());
    };
    let (uri, layer, value) = (uri.to_owned(), layer.name.clone(), values[position]);
    Err(if value.is_finite() {
        CacheError::F16Overflow {
            uri,
            layer,
            position,
            value,
        }
    } else {
        CacheError::NonFinite {
            uri,
            layer,
            position,
            value,
        }
    })
}

/// Removes what a killed run left of the file `path` under temporary names.
fn remove_leftovers(path: &Path) -> Result<(), CacheError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let prefix = publish::temporary_prefix(&name.to_string_lossy());
    for entry in fs::read_dir(folder).map_err(CacheError::io(folder, "listing"))? {
        let entry = entry.map_err(CacheError::io(folder, "listing"))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(&prefix) || !name.ends_with(TEMPORARY_SUFFIX) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CacheError::io(&entry.path(), "removing")(error));
            }
            _ => {}
        }
    }
    Ok(())
}
