//! Steps of the trainable tail of a backbone: how many images a second, and where memory peaks.
//!
//! ```text
//! cargo run --release -p common --example tail_speed -- [--backbone resnet18] [--unfreeze layer4] [--cut layer3]
//!     [--batch 32] [--side 224] [--classes 10] [--steps 10] [--norm frozen|train] [--device cpu] [--precision f32] [--evaluate]
//! ```
//!
//! Prints one line of JSON: the median and the best step in seconds, and the largest resident set. Weights are random: time does not depend
//! on their values. RAYON_NUM_THREADS and HEADSTART_ISA are heeded.

#![allow(clippy::print_stdout)]

use std::{collections::HashMap, error::Error, time::Instant};

use common::{
    backbone::{Parameters, ValueId, registry},
    engine::cpu::Isa,
    head::{Head, HeadKind, stack::Method},
    tail::{Alone, Batch, GroupStep, NormMode, Selection, Step, Tail, TailOptions, Trainers},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut options: HashMap<String, String> = HashMap::new();
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = if name == "--evaluate" {
            None
        } else {
            words.next()
        };
        options.insert(name, value.unwrap_or_default());
    }
    let text =
        |name: &str, default: &str| options.get(name).map_or(default.to_owned(), String::clone);
    let number = |name: &str, default: &str| text(name, default).parse::<usize>();
    let (batch, side, classes) = (
        number("--batch", "32")?,
        number("--side", "224")?,
        number("--classes", "10")?,
    );
    let steps = number("--steps", "10")?;
    let network = registry::find(&text("--backbone", "resnet18"))?.network();
    let patterns: Vec<String> = text("--unfreeze", "layer4")
        .split(',')
        .map(str::to_owned)
        .collect();
    let selection = Selection::new(&network, &patterns)?;
    let start = match options.get("--cut").map(String::as_str) {
        Some("images") => ValueId(0),
        Some(stage) => network.stage(stage)?.output,
        None => selection.cuts(&network)[0].value,
    };
    let norm = match text("--norm", "frozen").as_str() {
        "train" => NormMode::Train,
        _ => NormMode::Frozen,
    };
    let tail = Tail::new(
        network.clone(),
        start,
        selection,
        TailOptions {
            input: [side, side],
            norm,
            head: HeadKind::Linear,
            classes,
            dropout: 0.0,
        },
    )?;
    let head = Head::random(HeadKind::Linear, tail.features(), classes, 1);
    let tensors = tail.tensors(&Parameters::synthetic(&network), &head);
    let trained = tail.trained().len();
    let len = tail.input_shape().len();
    let (device, precision) = (text("--device", "cpu"), text("--precision", "f32"));
    let trainers = Trainers::on(
        device.parse()?,
        precision.parse()?,
        Isa::from_environment()?,
    )?;
    let mut trainer = trainers.trainer(tail, &tensors, Box::new(Alone))?;
    drop(tensors);
    let inputs: Vec<f32> = (0..batch * len)
        .map(|index| (index % 255) as f32 / 128.0 - 0.5)
        .collect();
    let mut targets = vec![0.0; batch * classes];
    for (row, targets) in targets.chunks_exact_mut(classes).enumerate() {
        targets[row % classes] = 1.0;
    }
    let groups = vec![
        GroupStep {
            learning_rate: 1e-5,
            weight_decay: 1e-2
        };
        trained
    ];
    let mut seconds = Vec::new();
    for number in 1..=steps + 2 {
        let started = Instant::now();
        if options.contains_key("--evaluate") {
            trainer.logits(&inputs, batch)?;
        } else {
            trainer.accumulate(&Batch {
                inputs: &inputs,
                targets: &targets,
                scale: 1.0 / batch as f32,
                first_row: 0,
                dropout_key: 0,
            })?;
            let number = i32::try_from(number)?;
            trainer.step(&Step {
                number,
                method: Method::AdamW,
                scale: 1.0,
                groups: &groups,
            })?;
        }
        seconds.push(started.elapsed().as_secs_f64());
    }
    let mut measured = seconds.split_off(2);
    measured.sort_by(f64::total_cmp);
    let (median, best) = (measured[measured.len() / 2], measured[0]);
    let peak = peak_megabytes().unwrap_or(f64::NAN);
    println!("{{\"median\": {median:.5}, \"best\": {best:.5}, \"peak_mb\": {peak:.1}}}");
    Ok(())
}

/// Largest resident set so far, where the system says so.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}
