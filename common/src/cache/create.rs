//! Making a cache, or finding that it exists already.
//!
//! Any number of shards may do this at once: they write the same bytes, the plan
//! first, and whoever publishes `cache.json` first has made the cache. Appending
//! replaces the plan first too, and the manifest says how many of its rows
//! count, so that a kill between the two changes nothing.

use std::{collections::HashSet, fs, io::Write, path::Path};

use super::{
    Cache, CacheError, DEFAULT_PART_ROWS, FileFormat, FormatVersion, Identity, Layer, Manifest,
    PartIndex, Plan,
    commit::RECORDS_FOLDER,
    manifest::MANIFEST_FILE,
    plan::{self, Comparison},
    plan_file::{self, PLAN_FILE},
};
use crate::{
    publish::{self, Pending, TEMPORARY_SUFFIX},
    source::Listing,
};

/// What a run wants to write.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// What the features are made of.
    pub identity: Identity,
    /// The layers, in the order of `identity.layers`.
    pub layers: Vec<Layer>,
    /// The inputs.
    pub listing: &'a Listing,
    /// Kind of the part files. `None`: the cache's own, or [`FileFormat::Arrow`].
    pub format: Option<FileFormat>,
    /// Plan rows a part. `None`: the cache's own, or
    /// [`DEFAULT_PART_ROWS`](super::DEFAULT_PART_ROWS).
    pub part_rows: Option<u32>,
    /// What new inputs do.
    pub growth: Growth,
}

/// What inputs do that an existing cache does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Growth {
    /// They are refused.
    #[default]
    Forbid,
    /// They are appended to the plan; finished parts stay.
    Append,
}

/// See [`Cache::create_or_resume`].
pub(super) fn create_or_resume(directory: &Path, setup: &Setup<'_>) -> Result<Cache, CacheError> {
    if !directory.join(MANIFEST_FILE).exists() {
        create(directory, setup)?;
    }
    let cache = Cache::open(directory)?;
    compare_settings(&cache, setup)?;
    let manifest = cache.manifest();
    let rejected = rejected(&cache)?;
    let comparison = plan::compare(cache.plan(), &manifest.classes, setup.listing, &rejected);
    let is_same = comparison.difference.is_empty();
    if is_same && comparison.repaired.is_empty() {
        return Ok(cache);
    }
    if is_same || (setup.growth == Growth::Append && comparison.difference.is_growth()) {
        update(&cache, comparison)?;
        return Cache::open(directory);
    }
    Err(CacheError::SourceChanged {
        path: directory.to_owned(),
        difference: comparison.difference,
    })
}

fn create(directory: &Path, setup: &Setup<'_>) -> Result<(), CacheError> {
    let plan = Plan::new(setup.listing.samples.clone());
    let manifest = Manifest {
        format_version: FormatVersion::CURRENT,
        fingerprint: setup.identity.fingerprint(),
        identity: setup.identity.clone(),
        layers: setup.layers.clone(),
        classes: setup.listing.classes.clone(),
        format: setup.format.unwrap_or_default(),
        part_rows: setup.part_rows.unwrap_or(DEFAULT_PART_ROWS),
        rows: plan.len() as u64,
        plan_sha256: plan.digest(),
    };
    manifest.check().map_err(CacheError::InvalidSetup)?;
    fs::create_dir_all(directory).map_err(CacheError::io(directory, "creating"))?;
    if let Some(found) = foreign_entry(directory)? {
        return Err(CacheError::NotACache {
            path: directory.to_owned(),
            found,
        });
    }
    plan_file::write(directory, &plan)?;
    let path = directory.join(MANIFEST_FILE);
    let mut pending = Pending::create(&path).map_err(CacheError::io(&path, "creating"))?;
    pending
        .write_all(&manifest.to_json())
        .map_err(CacheError::io(&path, "writing"))?;
    pending
        .publish_if_absent()
        .map_err(CacheError::io(&path, "publishing"))?;
    Ok(())
}

/// A file that a cache in the making does not have. When another process has
/// just finished making it, nothing is foreign.
fn foreign_entry(directory: &Path) -> Result<Option<String>, CacheError> {
    let failed = || CacheError::io(directory, "listing");
    let mut foreign = None;
    for entry in fs::read_dir(directory).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        let name = name.to_string_lossy();
        let is_temporary = name.ends_with(TEMPORARY_SUFFIX)
            && [PLAN_FILE, MANIFEST_FILE]
                .iter()
                .any(|file| name.starts_with(&publish::temporary_prefix(file)));
        if name != PLAN_FILE && name != MANIFEST_FILE && !is_temporary {
            foreign = Some(name.into_owned());
        }
    }
    Ok(foreign.filter(|_| !directory.join(MANIFEST_FILE).exists()))
}

fn compare_settings(cache: &Cache, setup: &Setup<'_>) -> Result<(), CacheError> {
    let manifest = cache.manifest();
    let differences = manifest.identity.differences(&setup.identity);
    if !differences.is_empty() {
        return Err(CacheError::Mismatch {
            path: cache.directory().to_owned(),
            differences,
        });
    }
    let different = |setting, cached: String, requested: String| {
        (cached != requested).then(|| CacheError::Setting {
            path: cache.directory().to_owned(),
            setting,
            cache: cached,
            requested,
        })
    };
    let format = setup.format.unwrap_or(manifest.format);
    let part_rows = setup.part_rows.unwrap_or(manifest.part_rows);
    let shapes = |layers: &[Layer]| {
        let shapes: Vec<_> = layers
            .iter()
            .map(|layer| format!("{} {:?}", layer.name, layer.shape))
            .collect();
        shapes.join(", ")
    };
    let found = different("--format", manifest.format.to_string(), format.to_string())
        .or_else(|| {
            different(
                "--part-rows",
                manifest.part_rows.to_string(),
                part_rows.to_string(),
            )
        })
        .or_else(|| different("layers", shapes(&manifest.layers), shapes(&setup.layers)));
    found.map_or(Ok(()), Err)
}

/// The uris of all rejects so far.
fn rejected(cache: &Cache) -> Result<HashSet<String>, CacheError> {
    let mut uris = HashSet::new();
    for part in 0..cache.part_count() {
        if let Some(record) = cache.committed(PartIndex(part))? {
            uris.extend(record.rejects.into_iter().map(|reject| reject.uri));
        }
    }
    Ok(uris)
}

/// Rewrites the plan with new sizes of repaired files and new rows at the end.
fn update(cache: &Cache, comparison: Comparison) -> Result<(), CacheError> {
    let mut rows = cache.plan().rows().to_vec();
    for row in &mut rows {
        if let Some(bytes) = comparison.repaired.get(&row.uri) {
            row.bytes = *bytes;
        }
    }
    rows.extend(comparison.added);
    let plan = Plan::new(rows);
    let mut manifest = cache.manifest().clone();
    manifest.classes = comparison.classes;
    manifest.rows = plan.len() as u64;
    manifest.plan_sha256 = plan.digest();
    let path = cache.directory().join(MANIFEST_FILE);
    manifest
        .check()
        .map_err(|problem| CacheError::header(&path, problem))?;
    plan_file::write(cache.directory(), &plan)?;
    publish::write_atomically(&path, &manifest.to_json())
        .map_err(CacheError::io(&path, "publishing"))
}

/// Makes the folders that part files go to.
pub(super) fn create_folders(directory: &Path, manifest: &Manifest) -> Result<(), CacheError> {
    let layers = manifest.layers.iter().map(|layer| layer.name.as_str());
    for folder in layers.chain([RECORDS_FOLDER]) {
        let path = directory.join(folder);
        fs::create_dir_all(&path).map_err(CacheError::io(&path, "creating"))?;
    }
    Ok(())
}
