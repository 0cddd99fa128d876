//! `train-head finetune`: a head together with the last part of the backbone.
//!
//! ```text
//! cache ─┬─ labels, splits ─► partition ─► batches (one view an image) ─┐
//!        └─ activations ────► inputs ───────────────────────────────────┴─► session ─► result ─► run
//! weights, --unfreeze ──────► backbone, tail ──────────────────────────────► │
//!                                                     checkpoint ◄───────────┘ (and back)
//! ```
//!
//! `session` takes the steps, `job` is all that it depends on, `checkpoint` is what a killed one goes on from,
//! and `result` the run that it leaves. `tuned` is also how `eval` and `compare` see a cache of activations.

pub(crate) mod backbone;
mod checkpoint;
mod folder;
mod inputs;
mod introduction;
mod job;
mod rates;
mod result;
mod session;
mod targets;
mod together;
pub(crate) mod tuned;

use std::{
    io,
    time::{Duration, Instant},
};

use common::{
    cache::CacheReader,
    digest::sha256_hex,
    engine::cpu::Isa,
    exit::Exit,
    head::{Bundle, Head, Loss},
    interrupt::Interrupt,
    progress::{Verbosity, warn},
    tail::{Cut, Selection, Trainers},
};

use self::{
    backbone::{Backbone, cache_place, cached_start, deepest_cut},
    checkpoint::{Checkpoint, Origin},
    inputs::{ImageInputs, Inputs},
    job::Job,
    session::{EpochEnd, Session},
    together::Together,
};
use crate::{
    dataset::{Dataset, Wanted},
    failure::{Failure, OrExit},
    fit::{Ending, Task, class_weights},
    head_input::difference,
    monitor::Monitor,
    plan::{FineSettings, FinetunePlan, Settings, recorded_fine_settings},
    report, test_reads,
    train::{cannot_write, diverged, divide},
};

/// Fine-tunes, and leaves the run in the plan's folder.
pub(crate) fn run(plan: &FinetunePlan) -> Result<Exit, Failure> {
    let together = Together::join()?;
    let result = tune(plan, &together);
    together.leave(result)
}

fn tune(plan: &FinetunePlan, together: &Together) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let stop = Interrupt::listen().or_exit(Exit::Failure)?;
    let reader = CacheReader::open(&plan.cache).or_exit(Exit::Input)?;
    let place = cache_place(&plan.cache);
    let backbone = Backbone::load(&reader.manifest().identity, plan.weights.as_ref(), &place)?;
    let selection =
        Selection::new(&backbone.network, &plan.settings.unfreeze).or_exit(Exit::Usage)?;
    let start = start(plan, &reader, &backbone, &selection)?;
    let isa = Isa::from_environment().or_exit(Exit::Device)?;
    let trainers = Trainers::on(plan.device, plan.precision, isa).map_err(Failure::of)?;
    let _claim = together.first(|| folder::prepare(&plan.out, plan.existing))?;

    let dataset = load(plan, &reader, &start, &stop)?;
    let plain = as_head_settings(&plan.settings);
    let partition = divide(&reader, &dataset, &plain)?;
    let head = first_head(plan, &reader, &dataset, &backbone)?;
    let settings = FineSettings {
        head: head.kind(),
        ..plan.settings.clone()
    };
    let task = Task {
        dataset: &dataset,
        partition: &partition,
        classes: dataset.names.len(),
        head: head.kind(),
        settings: &plain,
    };
    let job = Job {
        settings: &settings,
        backbone: &backbone,
        selection: &selection,
        start: &start,
        head: &head,
        dataset: &dataset,
        partition: &partition,
        inputs: inputs(plan, &reader, &start, &dataset)?,
        class_weights: class_weights(&task),
        trainers,
        collective: together.collective(),
        images: dataset.by_image(&partition.train).collect(),
    };
    let mut monitor = if together.is_first() {
        Monitor::new(&plan.out, plan.report.verbosity)
            .map_err(|error| cannot_write(&plan.out, &error))?
    } else {
        Monitor::silent(Verbosity::Quiet)
    };
    if together.is_first() {
        introduction::introduce(&monitor, &job, &reader)?;
    }
    let origin = origin(&job, &reader)?;
    let (session, ending) = train(plan, &job, (&origin, &mut monitor), &stop)?;
    let finish = || finish(plan, &session, &reader, (ending, monitor), begun.elapsed());
    let exit = together.first(finish)?;
    Ok(exit.unwrap_or(Exit::Success))
}

/// Trains to the end, from the checkpoint on if there is one.
fn train<'a>(
    plan: &FinetunePlan,
    job: &'a Job<'a>,
    (origin, monitor): (&Origin, &mut Monitor),
    stop: &Interrupt,
) -> Result<(Session<'a>, Ending), Failure> {
    let mut session = match Checkpoint::load(&plan.out, origin)? {
        Some(checkpoint) => {
            monitor.say(&checkpoint.greeting());
            checkpoint.resume(job)?
        }
        None => Session::begin(job)?,
    };
    for line in &session.progress.lines {
        monitor.replay(line).map_err(cannot_tell)?;
    }
    let mut saved = Instant::now();
    let ending = loop {
        if let Some(ending) = over(&session) {
            break ending;
        }
        let save = |session: &Session| match job.collective.rank() {
            0 => checkpoint::save(session, origin, &plan.out),
            _ => Ok(()),
        };
        let end = session.run_epoch(stop, |session| {
            save_after(plan.checkpoint_interval, &mut saved, || save(session))
        })?;
        match end {
            EpochEnd::Whole(line) => monitor.epoch(&line).map_err(cannot_tell)?,
            EpochEnd::NonFinite => {
                let epoch = session.progress.epochs + 1;
                break Ending::NonFinite { epoch };
            }
            EpochEnd::Stopped(exit) => {
                save(&session)?;
                break Ending::Signal(exit);
            }
        }
        save_after(plan.checkpoint_interval, &mut saved, || save(&session))?;
    };
    Ok((session, ending))
}

/// Calls `save` if the last time is long enough ago.
fn save_after(
    interval: Duration,
    saved: &mut Instant,
    save: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    if saved.elapsed() >= interval {
        save()?;
        *saved = Instant::now();
    }
    Ok(())
}

/// Why no further epoch is run, if none is.
fn over(session: &Session) -> Option<Ending> {
    let (progress, settings) = (&session.progress, session.job.settings);
    if progress.epochs >= settings.epochs {
        return Some(Ending::Epochs);
    }
    let best_epoch = progress.best.map_or(0, |(epoch, _)| epoch);
    let waited = progress.epochs - best_epoch.max(settings.freeze_epochs).min(progress.epochs);
    let is_over = settings.patience.is_some_and(|patience| waited >= patience);
    is_over.then_some(Ending::Patience)
}

/// Exports the best model and says how it went.
fn finish(
    plan: &FinetunePlan,
    session: &Session,
    reader: &CacheReader,
    (ending, mut monitor): (Ending, Monitor),
    elapsed: Duration,
) -> Result<Exit, Failure> {
    if let Ending::Signal(exit) = ending {
        warn(&format!(
            "stopped by a signal in epoch {}: run the same command again to go on from the checkpoint in `{}`",
            session.progress.epochs + 1,
            plan.out.display()
        ));
        return Ok(exit);
    }
    let failed = |error: io::Error| cannot_write(&plan.out, &error);
    let Some(mut tuned) = result::tuned(session, reader, ending)? else {
        checkpoint::remove(&plan.out).map_err(failed)?;
        return Err(not_finite(plan, ending, None));
    };
    test_reads::forget(&plan.out).map_err(failed)?;
    tuned
        .bundle
        .save_with_model(&plan.out, &tuned.model)
        .or_exit(Exit::Failure)?;
    monitor.publish().map_err(failed)?;
    checkpoint::remove(&plan.out).map_err(failed)?;
    let record = &tuned.bundle.record;
    report::training((&*plan.out, plan.report.result), record, elapsed)?;
    if matches!(ending, Ending::NonFinite { .. }) {
        return Err(not_finite(plan, ending, Some(record.training.best_epoch)));
    }
    Ok(Exit::Success)
}

fn not_finite(plan: &FinetunePlan, ending: Ending, kept: Option<u32>) -> Failure {
    let remedy = format!(
        "lower --learning-rate from {}, or use --clip-norm 1",
        plan.settings.learning_rate
    );
    diverged(("model", &plan.out), (ending, kept), &remedy)
}

/// Where training starts.
fn start(
    plan: &FinetunePlan,
    reader: &CacheReader,
    backbone: &Backbone,
    selection: &Selection,
) -> Result<Cut, Failure> {
    if plan.source.is_some() {
        return Ok(deepest_cut(&backbone.network, selection));
    }
    let wanted = (selection, &plan.settings.unfreeze[..]);
    cached_start(reader, &backbone.network, wanted, plan.layer.as_deref())
}

/// Where activations come from.
fn inputs<'a>(
    plan: &FinetunePlan,
    reader: &'a CacheReader,
    start: &Cut,
    dataset: &'a Dataset,
) -> Result<Inputs<'a>, Failure> {
    let Some(source) = &plan.source else {
        return Ok(Inputs::Cached(dataset));
    };
    let images = ImageInputs::open((plan, source), reader, start, &dataset.rows)?;
    Ok(Inputs::Images(Box::new(images)))
}

/// The rows of the cache that are trained on and judged by.
fn load(
    plan: &FinetunePlan,
    reader: &CacheReader,
    start: &Cut,
    stop: &Interrupt,
) -> Result<Dataset, Failure> {
    let layers = &reader.manifest().layers;
    let at_start = layers
        .iter()
        .find(|layer| Some(&layer.name) == start.layer.as_ref());
    // With images of one's own any layer tells what rows there are; the smallest does soonest.
    let smallest = || layers.iter().min_by_key(|layer| layer.dim());
    let layer = at_start.or_else(smallest).ok_or_else(|| {
        Failure::new(
            Exit::Input,
            format!("cache `{}`: holds no layer", plan.cache.display()),
        )
    })?;
    Dataset::load(reader, layer, Wanted::for_fitting(plan.memory), stop)
}

/// The settings of a head's training that have a say in what rows are trained on.
fn as_head_settings(settings: &FineSettings) -> Settings {
    Settings {
        class_weights: settings.class_weights,
        val_fraction: settings.val_fraction,
        seed: settings.seed,
        loss: Loss::CrossEntropy,
        ..Settings::default()
    }
}

/// The head before the first step: a new one, or that of a run on features of the same backbone.
fn first_head(
    plan: &FinetunePlan,
    reader: &CacheReader,
    dataset: &Dataset,
    backbone: &Backbone,
) -> Result<Head, Failure> {
    let classes = dataset.names.len();
    let [height, width] = backbone.input;
    let shapes = backbone.network.shapes(height, width);
    let features = shapes[shapes.len() - 1].channels;
    let Some(run) = &plan.init else {
        let (kind, seed) = (plan.settings.head, plan.settings.seed);
        return Ok(Head::random(kind, features, classes, seed));
    };
    let bundle = Bundle::load(run).or_exit(Exit::Input)?;
    let record = &bundle.record;
    let refuse = |problem: String| {
        let message = format!("run `{}`: {problem}", run.display());
        Err(Failure::new(Exit::Mismatch, message))
    };
    if !record.task.is_single_label() {
        return refuse(format!(
            "a {} head, fine-tuning is of one label",
            record.task.kind()
        ));
    }
    if record.layer != result::FEATURES {
        return refuse(format!(
            "a head on `{}`, not on `{}`",
            record.layer,
            result::FEATURES
        ));
    }
    if record.classes != dataset.names {
        return refuse("its classes are not those of the cache".to_owned());
    }
    let identity = common::cache::Identity {
        dtype: record.identity.dtype,
        ..reader.manifest().identity.clone()
    };
    if let Some(difference) = difference(&identity, record) {
        return refuse(format!("trained on other features: {difference}"));
    }
    if record.normalise_features != common::head::Normalisation::None {
        return refuse(
            "a head on L2-normalised features, which a network does not have (train it with --normalise none or standardise)"
                .to_owned(),
        );
    }
    Ok(bundle.head)
}

/// What the run's checkpoints are told by.
fn origin(job: &Job, reader: &CacheReader) -> Result<Origin, Failure> {
    let manifest = reader.manifest();
    let layers = job.head.layers().iter();
    let values = layers.flat_map(|layer| layer.weight.iter().chain(&layer.bias));
    let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
    Ok(Origin {
        fingerprint: manifest.fingerprint.clone(),
        plan_sha256: manifest.plan_sha256.clone(),
        layer: job.start.layer.clone(),
        head_sha256: sha256_hex(&bytes),
        settings: recorded_fine_settings(job.settings)?,
    })
}

fn cannot_tell(error: io::Error) -> Failure {
    let message = format!("the figures of an epoch cannot be written: {error}");
    Failure::new(Exit::Failure, message)
}
