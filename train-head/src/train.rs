//! `train-head linear` and `train-head mlp`.

use std::{
    fs::{self, DirEntry},
    io,
    path::Path,
    time::Instant,
};

use common::{
    cache::{CacheReader, Layer},
    exit::Exit,
    head::{
        Bundle, Fitted, Normalisation, RunRecord, SplitRecord, TaskKind, TaskMetrics,
        TrainingRecord,
    },
    interrupt::Interrupt,
    progress::warn,
};

use crate::{
    convex,
    dataset::{Dataset, Wanted, choose_layer},
    failure::{Failure, OrExit},
    fit::{Best, Ending, Outcome, Task, fit},
    folder::{self, Claim, claim, exists_already},
    history::History,
    judge::Judge,
    labels::Labelling,
    measure::measure,
    monitor::Monitor,
    plan::{Existing, Settings, TrainPlan, recorded_settings},
    report,
    split::{Draw, Origin, Partition, partition},
    test_reads,
};

/// Trains a head and leaves it in the plan's folder.
pub(crate) fn run(plan: &TrainPlan) -> Result<Exit, Failure> {
    let start = Instant::now();
    let stop = Interrupt::listen().or_exit(Exit::Failure)?;
    let reader = CacheReader::open(&plan.cache).or_exit(Exit::Input)?;
    let layer = choose_layer(&reader, plan.layer.as_deref())?;
    let task = plan.settings.loss.task();
    let labelling = Labelling::read(&reader, plan.labels.as_ref(), task, &stop)?;
    let _claim = make_folder(&plan.out, plan.existing)?;
    let rows = (Wanted::for_fitting(plan.memory), &labelling);
    let dataset = Dataset::load_labelled(&reader, layer, rows, &stop)?;
    let partition = divide(&reader, &dataset, &plan.settings)?;
    let mut monitor = Monitor::new(&plan.out, plan.report.verbosity)
        .map_err(|error| cannot_write(&plan.out, &error))?;
    introduce(&monitor, &dataset, &partition, layer);

    let task = Task {
        dataset: &dataset,
        partition: &partition,
        classes: dataset.names.len(),
        head: plan.head,
        settings: &plan.settings,
    };
    let (outcome, path) = match &plan.convex {
        Some(solver) => {
            let (outcome, path) = convex::fit(&task, solver, &mut monitor, &stop)?;
            (outcome, Some(path))
        }
        None => {
            let outcome = fit(&task, &mut monitor, &stop)?;
            (outcome, None)
        }
    };
    let Some(best) = &outcome.best else {
        return Err(not_finite(plan, outcome.ending, None));
    };
    let mut bundle = bundle(&task, &reader, layer, (&outcome, best))?;
    bundle.record.settings =
        recorded_settings(&plan.settings, plan.convex.as_ref()).or_exit(Exit::Failure)?;
    bundle.record.training.path = path;
    test_reads::forget(&plan.out).map_err(|error| cannot_write(&plan.out, &error))?;
    bundle.save(&plan.out).or_exit(Exit::Failure)?;
    monitor
        .publish()
        .map_err(|error| cannot_write(&plan.out, &error))?;
    let told = (&*plan.out, plan.report.result);
    report::training(told, &bundle.record, start.elapsed())?;
    if bundle.record.normalise_features == Normalisation::L2 {
        monitor.say("note: the head expects L2-normalised features; `eval` and `predict` see to it, other programs must divide each feature vector by its norm");
    }
    if let Some(note) = convex::edge_note(&bundle.record.training) {
        monitor.say(&note);
    }
    conclude(plan, &monitor, outcome.ending, best.epoch)
}

/// Makes the folder of the run, or checks that it may be written to. What a
/// killed training left behind is removed.
fn make_folder(out: &Path, existing: Existing) -> Result<Claim, Failure> {
    let claim = claim(out, "run")?;
    let is_used = clear_leftovers(out).map_err(|error| cannot_write(out, &error))?;
    if is_used && existing == Existing::Refuse {
        return Err(exists_already("run", out));
    }
    Ok(claim)
}

/// Removes what a killed training left in `out`. Whether anything else is in it.
pub(crate) fn clear_leftovers(out: &Path) -> io::Result<bool> {
    let entries: Vec<DirEntry> = fs::read_dir(out)?.collect::<io::Result<_>>()?;
    let (leftovers, others): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| History::is_leftover(&entry.file_name()));
    for leftover in leftovers {
        fs::remove_file(leftover.path())?;
    }
    Ok(!others.is_empty())
}

pub(crate) fn cannot_write(out: &Path, error: &io::Error) -> Failure {
    folder::cannot_write("run", out, error)
}

/// The rows that are trained on, and those that judge.
pub(crate) fn divide(
    reader: &CacheReader,
    dataset: &Dataset,
    settings: &Settings,
) -> Result<Partition, Failure> {
    let draw = Draw::new(reader, dataset, settings);
    partition(&draw, &dataset.names)
        .map_err(|failure| failure.within(&format!("cache `{}`", reader.directory().display())))
}

fn introduce(monitor: &Monitor, dataset: &Dataset, partition: &Partition, layer: &Layer) {
    let origin = match partition.origin {
        Origin::Source => "the source's own split",
        Origin::Drawn => "drawn from the training rows",
    };
    monitor.say(&format!(
        "layer `{}`: {} features; {} training and {} validation rows ({origin})",
        layer.name,
        dataset.features.width(),
        partition.train.len(),
        partition.validation.len(),
    ));
    let images = dataset.by_image(&partition.train).count();
    if images < partition.train.len() {
        monitor.say(&format!(
            "the training rows are augmented views of {images} images: an epoch sees one view of each, a convex solver all"
        ));
    }
    if dataset.unlabelled > 0 {
        monitor.say(&format!(
            "{} rows without a label are left out",
            dataset.unlabelled
        ));
    }
    for note in &partition.notes {
        warn(note);
    }
}

/// The best head as it is exported, measured as it is exported.
pub(crate) fn bundle(
    task: &Task,
    reader: &CacheReader,
    layer: &Layer,
    (outcome, best): (&Outcome, &Best),
) -> Result<Bundle, Failure> {
    let manifest = reader.manifest();
    let (head, rest) = best.fitted.fold(&best.head);
    if !head.is_finite() {
        let message = "the head is not finite once the standardisation is folded in (use another --normalise)";
        return Err(Failure::new(Exit::Failure, message));
    }
    let trained = task.plain_training_rows();
    let on_training = task.judge(&head, &rest, &trained);
    let on_validation = task.judge(&head, &rest, &task.partition.validation);
    let origin = match task.partition.origin {
        Origin::Source => "source",
        Origin::Drawn => "drawn",
    };
    let kind = task.settings.loss.task();
    let measured = measure(kind, &on_training, &on_validation).or_exit(Exit::Failure)?;
    let mut record = RunRecord {
        format_version: 0,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        head: task.head,
        task: measured.task,
        labels: task.dataset.label_record.clone(),
        classes: task.dataset.names.clone(),
        features: layer.dim(),
        layer: layer.name.clone(),
        normalise_features: match rest {
            Fitted::L2 => Normalisation::L2,
            Fitted::None | Fitted::Standardise { .. } => Normalisation::None,
        },
        fingerprint: manifest.fingerprint.clone(),
        identity: manifest.identity.clone(),
        plan_sha256: manifest.plan_sha256.clone(),
        settings: serde_json::Value::Null,
        tuned: None,
        temperature: measured.temperature,
        training: TrainingRecord {
            epochs: outcome.epochs,
            best_epoch: best.epoch,
            ended_by: ended_by(outcome.ending).to_owned(),
            train: split_record(&on_training, (kind, "source"), measured.train),
            validation: split_record(&on_validation, (kind, origin), measured.validation),
            unlabelled_rows: task.dataset.unlabelled,
            path: None,
        },
        head_sha256: String::new(),
    };
    record.format_version = record.needed_version();
    Ok(Bundle { head, record })
}

fn split_record(
    judge: &Judge,
    (task, origin): (TaskKind, &str),
    metrics: TaskMetrics,
) -> SplitRecord {
    let classes = judge.head.classes();
    SplitRecord {
        origin: origin.to_owned(),
        class_rows: match task {
            TaskKind::Regression => Vec::new(),
            _ => judge.dataset.class_rows(judge.rows, classes),
        },
        metrics,
    }
}

/// How a run or a trial says why it ended.
pub(crate) fn ended_by(ending: Ending) -> &'static str {
    match ending {
        Ending::Epochs => "epochs",
        Ending::Patience => "patience",
        Ending::NonFinite { .. } => "non-finite",
        Ending::Halved => "halved",
        Ending::Signal(_) => "signal",
    }
}

/// Says what the user must know beyond the figures.
fn conclude(
    plan: &TrainPlan,
    monitor: &Monitor,
    ending: Ending,
    best_epoch: u32,
) -> Result<Exit, Failure> {
    match ending {
        Ending::NonFinite { .. } => Err(not_finite(plan, ending, Some(best_epoch))),
        Ending::Signal(exit) => {
            warn(&format!(
                "stopped by a signal: the head of {} {best_epoch}, the best so far, is in `{}`",
                if plan.convex.is_some() {
                    "point"
                } else {
                    "epoch"
                },
                plan.out.display()
            ));
            Ok(exit)
        }
        Ending::Epochs
            if plan.convex.is_none()
                && best_epoch == plan.settings.epochs
                && plan.settings.patience.is_some() =>
        {
            monitor.say("the last epoch is the best: more --epochs or a higher --learning-rate may do better");
            Ok(Exit::Success)
        }
        Ending::Epochs | Ending::Patience | Ending::Halved => Ok(Exit::Success),
    }
}

/// Of a training whose loss became NaN or infinite: `kept` is the epoch whose `what` is in `out`.
pub(crate) fn diverged(
    (what, out): (&str, &Path),
    (ending, kept): (Ending, Option<u32>),
    remedy: &str,
) -> Failure {
    let epoch = match ending {
        Ending::NonFinite { epoch } => epoch,
        _ => 0,
    };
    let kept = match kept {
        Some(epoch) => format!("the {what} of epoch {epoch} is kept in `{}`", out.display()),
        None => "nothing is kept".to_owned(),
    };
    let message = format!("the loss became NaN or infinite in epoch {epoch}: {kept} ({remedy})");
    Failure::new(Exit::Failure, message)
}

fn not_finite(plan: &TrainPlan, ending: Ending, kept: Option<u32>) -> Failure {
    let remedy = format!(
        "lower --learning-rate from {}, or try --normalise standardise",
        plan.settings.learning_rate
    );
    diverged(("head", &plan.out), (ending, kept), &remedy)
}
