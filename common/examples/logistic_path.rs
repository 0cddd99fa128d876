//! Logistic regression over 45 values of C on the training rows of a cache.
//!
//! ```text
//! cargo run --release --example logistic_path -- CACHE [--tolerance T] [--c C,C,…] [--weights FILE]
//! ```
//!
//! Features are standardised as scikit-learn's `StandardScaler` does it. Prints one JSON
//! object a C and one for the whole; `--weights` writes the heads' parameters, which
//! `benches/logistic.py` compares with scikit-learn's.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{collections::HashMap, error::Error, path::PathBuf, time::Instant};

use common::{
    cache::CacheReader,
    head::{
        Block, InMemory, Moments,
        logistic::{Continue, DEFAULT_MAX_STEPS, Fit, Settings, fit_path},
    },
    source::Split,
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

/// The layer that is fitted.
const LAYER: &str = "avgpool";

struct Options {
    cache: PathBuf,
    tolerance: f64,
    strengths: Vec<f64>,
    weights: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let rows = load(&options)?;
    let settings = Settings {
        strengths: options.strengths,
        class_weights: vec![1.0; common::head::RowBlocks::classes(&rows)],
        tolerance: options.tolerance,
        max_steps: DEFAULT_MAX_STEPS,
    };
    let start = Instant::now();
    let mut fits = Vec::new();
    fit_path(&rows, &settings, |fit| {
        let line = json!({
            "c": fit.strength, "objective": fit.objective, "gradient": fit.gradient,
            "steps": fit.steps, "passes": fit.passes, "ending": format!("{:?}", fit.ending),
            "seconds": start.elapsed().as_secs_f64(),
        });
        println!("{line}");
        fits.push(fit);
        Continue::Yes
    })?;
    let passes: usize = fits.iter().map(|fit| fit.passes).sum();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"total_seconds": seconds, "total_passes": passes})
    );
    match options.weights {
        Some(path) => save(&fits, path),
        None => Ok(()),
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options {
        cache: arguments.next().ok_or("name a cache")?.into(),
        tolerance: common::head::logistic::DEFAULT_TOLERANCE,
        strengths: (0..45)
            .map(|i| 10_f64.powf(f64::from(i) / 4.0 - 6.0))
            .collect(),
        weights: None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("an option needs a value")?;
        match name.as_str() {
            "--tolerance" => options.tolerance = value.parse()?,
            "--weights" => options.weights = Some(value.into()),
            "--c" => {
                let numbers: Result<_, _> = value.split(',').map(str::parse).collect();
                options.strengths = numbers?;
            }
            _ => return Err(format!("unknown option `{name}`").into()),
        }
    }
    Ok(options)
}

fn load(options: &Options) -> Result<InMemory, Box<dyn Error>> {
    let reader = CacheReader::open(&options.cache)?;
    let mut rows = Block::default();
    for batch in reader.batches(LAYER)? {
        let batch = batch?;
        for row in 0..batch.rows() {
            let Ok(label) = u32::try_from(batch.labels()[row]) else {
                continue;
            };
            if batch.split(row) == Split::Train {
                let start = rows.features.len();
                rows.features.resize(start + batch.dim(), 0.0);
                batch.copy_row(row, &mut rows.features[start..]);
                rows.labels.push(label);
            }
        }
    }
    let width = rows.features.len() / rows.labels.len().max(1);
    let mut moments = Moments::new(width);
    moments.add(&rows.features);
    moments.finish().apply(&mut rows.features, width);
    Ok(InMemory::new(rows, reader.manifest().classes.len()))
}

/// Weight and bias of each C, named by its position.
fn save(fits: &[Fit], path: PathBuf) -> Result<(), Box<dyn Error>> {
    let bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let mut tensors = Vec::new();
    for (index, fit) in fits.iter().enumerate() {
        let layer = &fit.head.layers()[0];
        let shape = vec![layer.outputs, layer.inputs];
        tensors.push((format!("{index}.weight"), shape, bytes(&layer.weight)));
        tensors.push((
            format!("{index}.bias"),
            vec![layer.outputs],
            bytes(&layer.bias),
        ));
    }
    let mut views = HashMap::new();
    for (name, shape, bytes) in &tensors {
        views.insert(name, TensorView::new(Dtype::F32, shape.clone(), bytes)?);
    }
    std::fs::write(path, safetensors::serialize(views, None)?)?;
    Ok(())
}
