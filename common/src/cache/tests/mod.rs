//! Tests of the cache as a whole, by what a user fears.

mod create;
mod damage;
mod parts;
mod round_trip;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::json;

use super::*;
use crate::source::{Listing, Sample, Split};

/// `count` samples of three classes, every split, some of them odd.
fn listing(count: usize) -> Listing {
    let sample = |i: usize| Sample {
        uri: format!("class {}/{i:06}.jpg", i % 3),
        label: (i % 3) as i32 - i32::from(i.is_multiple_of(7)) * (i % 3 + 1) as i32,
        split: Split::ALL[i % 4],
        group: i.is_multiple_of(2).then(|| format!("group {}", i / 4)),
        bytes: 1000 + i as u64,
        problem: (i == 5).then(|| "the name is odd".to_owned()),
    };
    Listing {
        classes: ["ant", "bee", "cow"].map(str::to_owned).to_vec(),
        samples: (0..count).map(sample).collect(),
    }
}

fn layers(dtype: FeatureDtype) -> Vec<Layer> {
    let layer = |name: &str, shape: &[usize]| Layer {
        name: name.to_owned(),
        shape: shape.to_vec(),
        dtype,
    };
    vec![layer("avgpool", &[5]), layer("layer3", &[2, 3, 4])]
}

fn setup(listing: &Listing) -> Setup<'_> {
    Setup {
        identity: Identity {
            backbone: "resnet18".to_owned(),
            weights: "ab".repeat(32),
            layers: vec!["avgpool".to_owned(), "layer3".to_owned()],
            preprocessing: json!({"resize": 256, "crop": 224, "std": [0.229_f32, 0.1_f32]}),
            exif: "ignore".to_owned(),
            decoder: "test 1".to_owned(),
            decode: None,
            precision: "f32".to_owned(),
            dtype: FeatureDtype::F32,
            views: 1,
            augment: None,
            seed: None,
            calibration: None,
        },
        layers: layers(FeatureDtype::F32),
        listing,
        format: None,
        part_rows: Some(4),
        growth: Growth::Forbid,
    }
}

fn with_dtype(mut setup: Setup<'_>, dtype: FeatureDtype) -> Setup<'_> {
    setup.identity.dtype = dtype;
    setup.layers = layers(dtype);
    setup
}

/// The feature `position` of a row, exact in f16.
fn value(id: u64, view: u8, position: usize) -> f32 {
    (id * 8 + u64::from(view) * 4) as f32 + position as f32 / 8.0 - 50.0
}

/// Rows that the tests reject.
fn is_reject(id: u64) -> bool {
    id % 5 == 3
}

/// Writes rows of a part up to `end`, without committing.
fn fill(cache: &Cache, part: PartIndex, end: u64) -> PartWriter {
    let mut writer = cache.write_part(part).unwrap();
    for id in cache.rows_of(part).start..end {
        if is_reject(id) {
            writer.reject(id, "truncated\nfile").unwrap();
            continue;
        }
        let split = cache.plan().get(id).unwrap().split;
        for view in 0..cache.manifest().views_of(split) {
            let rows: Vec<Vec<f32>> = cache
                .manifest()
                .layers
                .iter()
                .map(|layer| {
                    (0..layer.dim())
                        .map(|position| value(id, view, position))
                        .collect()
                })
                .collect();
            let layers: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let plan_row = id;
            writer
                .push(FeatureRow {
                    plan_row,
                    view,
                    layers: &layers,
                })
                .unwrap();
        }
    }
    writer
}

fn write(cache: &Cache, part: PartIndex) -> CommitRecord {
    fill(cache, part, cache.rows_of(part).end).commit().unwrap()
}

/// Parts of a shard without a valid commit record.
fn pending(cache: &Cache, shard: Shard) -> Vec<PartIndex> {
    let parts = cache.parts_of(shard);
    parts
        .filter(|&part| cache.committed(part).unwrap().is_none())
        .collect()
}

fn write_all(cache: &Cache) {
    for part in pending(cache, Shard::WHOLE) {
        write(cache, part);
    }
}

/// Every file below `directory` with its bytes.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Asserts that a layer gives exactly what `fill` wrote.
fn assert_rows(reader: &CacheReader, layer: &str) {
    let plan = reader.plan();
    let views = |id| reader.manifest().views_of(plan.get(id).unwrap().split);
    let mut expected = (0..plan.len() as u64)
        .filter(|&id| !is_reject(id))
        .flat_map(|id| (0..views(id)).map(move |view| (id, view)));
    for batch in reader.batches(layer).unwrap() {
        let batch = batch.unwrap();
        let mut row_values = vec![0.0; batch.dim()];
        for row in 0..batch.rows() {
            let (id, view) = expected.next().unwrap();
            let sample = plan.get(id).unwrap();
            assert_eq!((batch.ids()[row], batch.views()[row]), (id, view));
            assert_eq!(batch.uri(row), sample.uri);
            assert_eq!(batch.labels()[row], sample.label);
            assert_eq!(batch.split(row), sample.split);
            batch.copy_row(row, &mut row_values);
            for (position, &found) in row_values.iter().enumerate() {
                assert_eq!(found, value(id, view, position));
            }
        }
    }
    assert_eq!(expected.next(), None);
}
