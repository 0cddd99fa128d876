//! Writes a cache of made-up features, for benchmarks and judges: `synthetic_cache DIR ROWS FEATURES CLASSES arrow|parquet`.
//!
//! Every class is a cloud around a centre of its own. Of twenty rows of a class one has the next class's label, one
//! validates and one tests; of the first class, the test rows are copies of the row before them.

use std::{env, error::Error, path::PathBuf};

use common::{
    cache::{
        Cache, FeatureDtype, FeatureRow, FileFormat, Growth, Identity, Layer, PartIndex, Setup,
    },
    random,
    source::{Listing, Sample, Split},
};
use rand::Rng;
use serde_json::json;

const LAYER: &str = "avgpool";
const PART_ROWS: u32 = 4096;
const NOISE: f32 = 3.0;

/// Which of twenty rows of a class have another label, validate, and test.
const WRONG: u64 = 7;
const VAL: u64 = 11;
const TEST: u64 = 19;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, rows, features, classes, format] = &arguments[..] else {
        return Err("synthetic_cache DIR ROWS FEATURES CLASSES arrow|parquet".into());
    };
    let (rows, features, classes) = (
        rows.parse::<u64>()?,
        features.parse()?,
        classes.parse::<u64>()?,
    );
    let identity = json!({
        "backbone": "resnet18", "weights": "synthetic", "layers": [LAYER], "preprocessing": {},
        "exif": "ignore", "decoder": "none", "precision": "f32", "dtype": "f32", "views": 1,
    });
    let identity: Identity = serde_json::from_value(identity)?;
    let listing = Listing {
        classes: (0..classes)
            .map(|class| format!("class{class:04}"))
            .collect(),
        samples: (0..rows).map(|row| sample(row, classes)).collect(),
    };
    let setup = Setup {
        identity,
        layers: vec![Layer {
            name: LAYER.to_owned(),
            shape: vec![features],
            dtype: FeatureDtype::F32,
        }],
        listing: &listing,
        format: Some(if format == "parquet" {
            FileFormat::Parquet
        } else {
            FileFormat::Arrow
        }),
        part_rows: Some(PART_ROWS),
        growth: Growth::Forbid,
    };
    let cache = Cache::create_or_resume(&PathBuf::from(folder), &setup)?;
    let centres: Vec<Vec<f32>> = (0..classes)
        .map(|class| uniform(&format!("centre/{class}"), features))
        .collect();
    let mut values = Vec::new();
    for part in 0..cache.part_count() {
        let mut writer = cache.write_part(PartIndex(part))?;
        for row in cache.rows_of(PartIndex(part)) {
            let is_copy = row % classes == 0 && row / classes % 20 == TEST;
            if !is_copy || values.is_empty() {
                let noise = uniform(&format!("noise/{row}"), features);
                let pairs = centres[(row % classes) as usize].iter().zip(noise);
                values = pairs
                    .map(|(centre, noise)| centre + NOISE * noise)
                    .collect();
            }
            let layers = &[&values[..]];
            writer.push(FeatureRow {
                plan_row: row,
                view: 0,
                layers,
            })?;
        }
        writer.commit()?;
    }
    Ok(())
}

fn sample(row: u64, classes: u64) -> Sample {
    let number = row / classes % 20;
    let wrong = u64::from(number == WRONG);
    Sample {
        uri: format!("{row:08}.jpg"),
        label: ((row + wrong) % classes) as i32,
        split: match number {
            VAL => Split::Val,
            TEST => Split::Test,
            _ => Split::Train,
        },
        group: None,
        bytes: 1,
        problem: None,
    }
}

/// Numbers in ±1.
fn uniform(name: &str, count: usize) -> Vec<f32> {
    let mut stream = random::stream(1, name);
    (0..count).map(|_| stream.random_range(-1.0..1.0)).collect()
}
