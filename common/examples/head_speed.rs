//! Seconds that heads take to train on 50,000 × 512 features in memory, batch 256, 10
//! epochs, Adam; `benches/heads.py` compares them with PyTorch's.
//!
//! ```text
//! cargo run --release --workspace --example head_speed -- [--hidden H] [--classes C] [--heads N] [--epochs E]
//! ```

#![allow(
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]

use std::{error::Error, time::Instant};

use common::{
    engine::cpu::Isa,
    head::{
        Fitted, Head, HeadKind, Loss, Normalisation,
        stack::{Batch, Common, InMemory, Member, Method, Stack, Targets},
    },
    random,
};
use rand::{Rng, seq::SliceRandom};

const ROWS: usize = 50_000;
const FEATURES: usize = 512;
const BATCH_ROWS: usize = 256;

struct Options {
    hidden: usize,
    classes: usize,
    heads: usize,
    epochs: usize,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        hidden: 0,
        classes: 10,
        heads: 1,
        epochs: 10,
    };
    let mut words = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let value = value.parse()?;
        match name.as_str() {
            "--hidden" => options.hidden = value,
            "--classes" => options.classes = value,
            "--heads" => options.heads = value,
            "--epochs" => options.epochs = value,
            other => return Err(format!("{other}: no such option").into()),
        }
    }
    Ok(options)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let mut stream = random::stream(1, "features");
    let values: Vec<f32> = (0..ROWS * FEATURES)
        .map(|_| stream.random_range(-1.0..1.0))
        .collect();
    let labels: Vec<u32> = (0..ROWS)
        .map(|_| stream.random_range(0..options.classes as u32))
        .collect();
    let kind = match options.hidden {
        0 => HeadKind::Linear,
        hidden => HeadKind::Mlp { hidden },
    };
    let members = (0..options.heads).map(|number| Member {
        head: Head::random(kind, FEATURES, options.classes, number as u64),
        normalise: Normalisation::None,
        method: Method::Adam,
        weight_decay: 0.0,
        label_smoothing: 0.0,
        dropout: 0.0,
    });
    let common = Common {
        standardise: Fitted::None,
        loss: Loss::CrossEntropy,
        class_weights: vec![1.0; options.classes],
        seed: 1,
        isa: Isa::from_environment()?,
    };
    let mut stack = Stack::new(common, members.collect());
    let rates = vec![1e-3; options.heads];
    let features = InMemory {
        values: &values,
        width: FEATURES,
    };
    let start = Instant::now();
    rayon::scope(|_| {
        let mut order: Vec<u32> = (0..ROWS as u32).collect();
        let mut batch_labels = Vec::new();
        for _ in 0..options.epochs {
            order.shuffle(&mut stream);
            for rows in order.chunks(BATCH_ROWS) {
                batch_labels.clear();
                batch_labels.extend(rows.iter().map(|&row| labels[row as usize]));
                let batch = Batch {
                    features: &features,
                    rows,
                    targets: Targets::Classes(&batch_labels),
                };
                stack.step(batch, &rates);
            }
        }
    });
    println!("{:.4}", start.elapsed().as_secs_f64());
    Ok(())
}
