//! `extract bench`: images a second of each stage on this machine.
//!
//! Every thread works on its own images, as in `extract run`, until the time is
//! over; files come from memory and features are dropped.

mod pictures;

use std::{
    io::{self, Write},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub(super) use pictures::NoImages;

use anyhow::{Result, anyhow};
use common::{
    embed::{Calibrator, DEFAULT_CALIBRATION_SEED, Embedder, EmbedderOptions, Worker},
    engine::device::Precision,
    exit::Exit,
    interrupt::Interrupt,
    output::{print, print_json},
};
use serde::Serialize;
use serde_json::json;

use crate::plan::{BenchPlan, Stage, Summary};

/// One measurement.
#[derive(Serialize)]
struct Measured {
    stage: &'static str,
    /// Of the backbone; decoding has none.
    precision: Option<&'static str>,
    images_per_second: f64,
}

pub(super) fn run(plan: &BenchPlan) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let files = pictures::files(plan, &interrupt)?;
    let mut measured = Vec::new();
    let mut device = String::new();
    for (round, precision) in plan.precisions.iter().enumerate() {
        let embedder = load(plan, *precision, &files)?;
        device = embedder.device_name();
        for stage in &plan.stages {
            // Decoding is the same for every precision.
            if *stage == Stage::Decode && round > 0 {
                continue;
            }
            interrupt.check()?;
            let bench = Bench {
                embedder: &embedder,
                files: &files,
                stage: *stage,
                duration: plan.duration,
            };
            measured.push(Measured {
                stage: stage.as_str(),
                precision: (*stage != Stage::Decode).then_some(precision.as_str()),
                images_per_second: bench.measure(plan.threads)?,
            });
        }
    }
    show(plan, &device, &measured)?;
    Ok(Exit::Success)
}

fn load(plan: &BenchPlan, precision: Precision, files: &[Vec<u8>]) -> Result<Embedder> {
    let mut options = EmbedderOptions {
        precision,
        ..plan.embedder.clone()
    };
    if precision == Precision::Int8 {
        let mut calibrator = Calibrator::new(options.clone())?;
        for file in files {
            drop(calibrator.add(file));
        }
        let sample = (files.len() as u32, DEFAULT_CALIBRATION_SEED);
        options.calibration = Some(calibrator.finish(sample, plan.threads)?.calibration);
    }
    Ok(Embedder::load(options)?)
}

/// One measurement to make.
struct Bench<'a> {
    embedder: &'a Embedder,
    files: &'a [Vec<u8>],
    stage: Stage,
    duration: Duration,
}

impl Bench<'_> {
    /// Images a second of `threads` threads.
    fn measure(&self, threads: usize) -> Result<f64> {
        let (images, ready) = (AtomicUsize::new(0), Barrier::new(threads + 1));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|first| {
                    scope.spawn({
                        let (images, ready) = (&images, &ready);
                        move || self.work(first, images, ready)
                    })
                })
                .collect();
            ready.wait();
            let started = Instant::now();
            for worker in workers {
                worker
                    .join()
                    .map_err(|_| anyhow!("a worker has panicked"))??;
            }
            Ok(images.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
        })
    }

    /// One thread's share, from file number `first` on. Waits at `ready` once it
    /// is warm, whether or not that went well: nobody waits for it in vain.
    fn work(&self, first: usize, images: &AtomicUsize, ready: &Barrier) -> Result<()> {
        let mut next = first;
        let warm = self.embedder.worker().map_err(anyhow::Error::from);
        let warm = warm.and_then(|mut worker| {
            self.fill(&mut worker, &mut next)?;
            self.step(&mut worker, &mut next)?;
            Ok(worker)
        });
        ready.wait();
        let mut worker = warm?;
        let batch = self.embedder.preferred_batch();
        let started = Instant::now();
        while started.elapsed() < self.duration {
            self.step(&mut worker, &mut next)?;
            images.fetch_add(batch, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What is measured, on a batch.
    fn step(&self, worker: &mut Worker<'_>, next: &mut usize) -> Result<()> {
        if self.stage != Stage::Backbone {
            worker.clear();
            self.fill(worker, next)?;
        }
        if self.stage != Stage::Decode {
            worker.run()?;
        }
        Ok(())
    }

    /// Decodes a batch.
    fn fill(&self, worker: &mut Worker<'_>, next: &mut usize) -> Result<()> {
        for _ in 0..self.embedder.preferred_batch() {
            worker.add(&self.files[*next % self.files.len()])?;
            *next += 1;
        }
        Ok(())
    }
}

fn show(plan: &BenchPlan, device: &str, measured: &[Measured]) -> Result<()> {
    if plan.summary == Summary::Text {
        print(|output| write_table(output, plan, (device, measured)))?;
        return Ok(());
    }
    let mut result = json!({
        "backbone": plan.embedder.entry.name,
        "device": device,
        "threads": plan.threads,
        "results": measured,
    });
    // One measurement is the result itself.
    if let [only] = measured {
        result["images_per_second"] = json!(only.images_per_second);
    }
    print_json(&result)?;
    Ok(())
}

fn write_table(
    output: &mut dyn Write,
    plan: &BenchPlan,
    (device, measured): (&str, &[Measured]),
) -> io::Result<()> {
    let [width, height] = pictures::SIZE;
    let images = plan.source.as_ref().map_or_else(
        || format!("JPEGs of {width}×{height}"),
        |source| source.display().to_string(),
    );
    writeln!(
        output,
        "{} on {device}, {} threads, {images}",
        plan.embedder.entry.name, plan.threads
    )?;
    writeln!(
        output,
        "{:10} {:10} {:>10}",
        "stage", "precision", "images/s"
    )?;
    for row in measured {
        let precision = row.precision.unwrap_or("-");
        writeln!(
            output,
            "{:10} {precision:10} {:>10.1}",
            row.stage, row.images_per_second
        )?;
    }
    Ok(())
}
