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
pub(crate) mod checkpoint;
mod checks;
mod folder;
pub(crate) mod head;
pub(crate) mod inputs;
mod introduction;
pub(crate) mod job;
pub(crate) mod progress;
mod rates;
pub(crate) mod result;
pub(crate) mod session;
mod targets;
mod together;
pub(crate) mod training;
pub(crate) mod tuned;

use std::{
    io,
    time::{Duration, Instant},
};

use common::{
    cache::CacheReader,
    engine::cpu::Isa,
    exit::Exit,
    head::{Head, Loss},
    interrupt::Interrupt,
    progress::{Verbosity, warn},
    tail::{Cut, Selection, Trainers},
};

use self::{
    backbone::{Backbone, cache_place, cached_start, deepest_cut},
    checkpoint::{Checkpoint, Origin},
    head::{head_of, new_head},
    inputs::{ImageInputs, Inputs},
    job::Job,
    session::Session,
    together::Together,
    training::Keeping,
};
use crate::{
    dataset::{Dataset, Wanted},
    failure::{Failure, OrExit},
    features::Allowance,
    fit::Ending,
    monitor::{EpochLine, Monitor},
    plan::{FineSettings, FinetunePlan, Settings},
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
    together.all_or_none("have a GPU", trainers.are_on_gpu())?;
    let _claim = together.first(|| folder::prepare(&plan.out, plan.existing))?;

    let dataset = load(&reader, &start, plan.memory, &stop)?;
    let partition = divide(&reader, &dataset, &as_head_settings(&plan.settings))?;
    let head = first_head(plan, &reader, &dataset, &backbone)?;
    let settings = FineSettings {
        head: head.kind(),
        ..plan.settings.clone()
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
        class_weights: job::class_weights(&settings, &dataset, &partition),
        trainers,
        collective: together.collective(),
        images: dataset.by_image(&partition.train).collect(),
    };
    checks::last_batch(&job)?;
    let mut monitor = if together.is_first() {
        Monitor::new(&plan.out, plan.report.verbosity)
            .map_err(|error| cannot_write(&plan.out, &error))?
    } else {
        Monitor::silent(Verbosity::Quiet)
    };
    if together.is_first() {
        introduction::introduce(&monitor, &job, &reader)?;
    }
    let origin = Origin::of(&job, &reader)?;
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
    checks::place(job, &session.progress)?;
    for line in &session.progress.lines {
        monitor.replay(line).map_err(cannot_tell)?;
    }
    let keeping = Keeping {
        run: &plan.out,
        origin,
        interval: plan.checkpoint_interval,
    };
    let tell = |line: &EpochLine| monitor.epoch(line).map_err(cannot_tell);
    let bounds = (job.settings.epochs, stop);
    let ending = training::train(&mut session, &keeping, bounds, tell)?;
    Ok((session, ending))
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
            "stopped by a signal in epoch {}: run the same command again{} to go on from the checkpoint in `{}`",
            session.progress.epochs + 1,
            plan.existing.proviso(),
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
pub(crate) fn load(
    reader: &CacheReader,
    start: &Cut,
    allowance: Allowance,
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
            format!("cache `{}`: holds no layer", reader.directory().display()),
        )
    })?;
    Dataset::load(reader, layer, Wanted::for_fitting(allowance), stop)
}

/// The settings of a head's training that have a say in what rows are trained on.
pub(crate) fn as_head_settings(settings: &FineSettings) -> Settings {
    Settings {
        class_weights: settings.class_weights,
        val_fraction: settings.val_fraction,
        seed: settings.seed,
        loss: Loss::CrossEntropy,
        ..Settings::default()
    }
}

/// The head before the first step.
fn first_head(
    plan: &FinetunePlan,
    reader: &CacheReader,
    dataset: &Dataset,
    backbone: &Backbone,
) -> Result<Head, Failure> {
    let settings = &plan.settings;
    match &plan.init {
        Some(run) => head_of(run, reader, &dataset.names),
        None => {
            let classes = dataset.names.len();
            Ok(new_head(backbone, settings.head, classes, settings.seed))
        }
    }
}

fn cannot_tell(error: io::Error) -> Failure {
    let message = format!("the figures of an epoch cannot be written: {error}");
    Failure::new(Exit::Failure, message)
}
