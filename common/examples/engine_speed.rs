//! Images a second of the frozen CPU engine on one thread, beside the peak of
//! the machine's FMA units, and where the time goes.
//!
//! ```text
//! cargo run --release -p common --example engine_speed -- [BACKBONE…] [--int8] [--profile]
//! ```
//!
//! Weights are random: time does not depend on their values.

#![allow(clippy::print_stdout)]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use common::{
    backbone::{Parameters, registry},
    engine::{
        cpu::{BLOCK_IMAGES, CpuEngine, Isa, RangeFinder, Settings, StepProfile},
        device::Precision,
    },
};

const SIDE: usize = 224;
const ROUNDS: usize = 15;
const DEFAULT_BACKBONES: [&str; 4] = ["resnet18", "resnet50", "efficientnet-lite0", "mobilenet-v2"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut profile = false;
    let mut int8 = false;
    let mut names = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--profile" => profile = true,
            "--int8" => int8 = true,
            _ => names.push(argument),
        }
    }
    if names.is_empty() {
        names.extend(DEFAULT_BACKBONES.map(str::to_owned));
    }
    let isa = Isa::from_environment()?;
    let precision = if int8 {
        Precision::Int8
    } else {
        Precision::F32
    };
    println!("{precision}, {isa}, one thread, {SIDE}×{SIDE}, batches of {BLOCK_IMAGES}");
    for name in names {
        measure(&name, (isa, precision), profile)?;
    }
    Ok(())
}

fn measure(
    name: &str,
    (isa, precision): (Isa, Precision),
    profile: bool,
) -> Result<(), Box<dyn Error>> {
    let network = registry::find(name)?.network();
    let parameters = Parameters::synthetic(&network);
    let settings = Settings {
        input: [SIDE, SIDE],
        isa,
    };
    let pixels: Vec<_> = (0..BLOCK_IMAGES * 3 * SIDE * SIDE)
        .map(|index| (index % 255) as f32 / 128.0 - 1.0)
        .collect();
    let layers = ["avgpool".to_owned()];
    let engine = if precision == Precision::Int8 {
        let finder = RangeFinder::new(&network, &parameters, &layers, settings)?;
        let (ranges, _) = finder.observe(&pixels, BLOCK_IMAGES)?;
        CpuEngine::in_int8(&network, &parameters, &layers, (settings, &ranges))?
    } else {
        CpuEngine::new(&network, &parameters, &layers, settings)?
    };
    let mut times: Vec<Duration> = Vec::new();
    let mut fastest = engine.profile(&pixels, BLOCK_IMAGES)?;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let steps = engine.profile(&pixels, BLOCK_IMAGES)?;
        times.push(started.elapsed());
        for (fastest, step) in fastest.iter_mut().zip(steps) {
            fastest.elapsed = fastest.elapsed.min(step.elapsed);
        }
    }
    times.sort();
    let flops: usize = fastest.iter().map(|step| step.flops).sum();
    let steps: Duration = fastest.iter().map(|step| step.elapsed).sum();
    let rate = |time: Duration| BLOCK_IMAGES as f64 / time.as_secs_f64();
    println!(
        "{name}: {:.1} images/s (best round {:.1}, best of every step {:.1}, {:.1} GFLOP/s by the definition)",
        rate(times[ROUNDS / 2]),
        rate(times[0]),
        rate(steps),
        flops as f64 / steps.as_secs_f64() / 1e9,
    );
    if profile {
        print_profile(&fastest, steps);
    }
    Ok(())
}

fn print_profile(steps: &[StepProfile], total: Duration) {
    println!(
        "  {:>6} {:>6} {:>9}  {:<13} {:<18} name",
        "share", "ms", "GFLOP/s", "step", "output"
    );
    for step in steps {
        let seconds = step.elapsed.as_secs_f64();
        println!(
            "  {:>5.1}% {:>6.2} {:>9.1}  {:<13} {:<18} {}",
            100.0 * seconds / total.as_secs_f64(),
            seconds * 1e3,
            step.flops as f64 / seconds / 1e9,
            format!("{}/{}", step.kind, step.chunk_images),
            step.output.map(|size| size.to_string()).join("×"),
            step.name,
        );
    }
}
