//! `train-head probe`: what a cache's features are worth, by classifiers that have
//! nothing to tune: neighbours, centroids, and logistic regression over a few C.
//!
//! All learn from the training rows and are judged on the validation rows. Augmented views take no part.

use std::{fmt::Write as _, time::Instant};

use common::{
    cache::CacheReader,
    exit::Exit,
    head::{
        Block, Centroids, Fitted, HeadKind, Metrics, Neighbours, RowBlocks, Rows, Tally,
        logistic::{Continue, DEFAULT_TOLERANCE},
    },
    interrupt::Interrupt,
    progress::warn,
};
use serde::Serialize;

use crate::{
    convex::{FEW_STRENGTHS, TrainingRows, fit_logistic},
    dataset::{Dataset, Wanted, choose_layer},
    failure::{Failure, OrExit},
    fit::{Task, normalisation},
    plan::ProbePlan,
    report,
    train::divide,
};

/// Validation rows whose neighbours are looked for in one pass over the training rows.
const QUERY_ROWS: usize = 8192;

/// What a classifier achieves.
#[derive(Debug, Serialize)]
struct Answer {
    classifier: String,
    top1: f64,
    top5: f64,
    balanced_accuracy: f64,
    macro_f1: f64,
}

impl Answer {
    fn new(classifier: String, metrics: &Metrics) -> Self {
        Self {
            classifier,
            top1: metrics.top1,
            top5: metrics.top5,
            balanced_accuracy: metrics.balanced_accuracy,
            macro_f1: metrics.macro_f1,
        }
    }
}

/// All that a probe finds.
#[derive(Debug, Serialize)]
struct Findings {
    cache: String,
    layer: String,
    training_rows: usize,
    validation_rows: usize,
    answers: Vec<Answer>,
    seconds: f64,
}

/// Probes the cache and prints the table.
pub(crate) fn run(plan: &ProbePlan) -> Result<Exit, Failure> {
    let start = Instant::now();
    let stop = Interrupt::listen().or_exit(Exit::Failure)?;
    let reader = CacheReader::open(&plan.cache).or_exit(Exit::Input)?;
    let layer = choose_layer(&reader, plan.layer.as_deref())?;
    let dataset = Dataset::load(&reader, layer, Wanted::for_fitting(plan.memory), &stop)?;
    let mut partition = divide(&reader, &dataset, &plan.settings)?;
    partition.train = dataset.first_views_of(partition.train);
    partition.notes.iter().for_each(|note| warn(note));
    let task = Task {
        dataset: &dataset,
        partition: &partition,
        classes: reader.manifest().classes.len(),
        head: HeadKind::Linear,
        settings: &plan.settings,
    };
    let mut answers = neighbours(&task, plan, &stop)?;
    answers.push(centroid(&task, &stop)?);
    answers.push(linear(&task, &stop)?);
    let findings = Findings {
        cache: plan.cache.to_string_lossy().into_owned(),
        layer: layer.name.clone(),
        training_rows: partition.train.len(),
        validation_rows: partition.validation.len(),
        answers,
        seconds: start.elapsed().as_secs_f64(),
    };
    report::result(plan.report.result, &table(&findings), &findings)?;
    Ok(Exit::Success)
}

fn neighbours(task: &Task, plan: &ProbePlan, stop: &Interrupt) -> Result<Vec<Answer>, Failure> {
    let most = plan.neighbours.iter().copied().max().unwrap_or(1);
    let most = most.min(task.partition.train.len());
    let features = task.dataset.features.width();
    let mut tallies: Vec<_> = plan
        .neighbours
        .iter()
        .map(|_| Tally::new(task.classes))
        .collect();
    let mut labels = Vec::new();
    for rows in task.partition.validation.chunks(QUERY_ROWS) {
        let mut queries = Vec::new();
        task.dataset.features.gather(rows, &mut queries);
        Fitted::L2.apply(&mut queries, features);
        let mut search = Neighbours::new(queries, features, most);
        visit(task, stop, |block| search.add(block))?;
        let votes = search.finish();
        task.dataset.gather_labels(rows, &mut labels);
        for (&count, tally) in plan.neighbours.iter().zip(&mut tallies) {
            tally.add(
                &votes.scores(count, plan.temperature, task.classes),
                &labels,
            );
        }
    }
    let answers =
        plan.neighbours.iter().zip(tallies).map(|(count, tally)| {
            Answer::new(format!("{count} nearest neighbours"), &tally.finish())
        });
    Ok(answers.collect())
}

fn centroid(task: &Task, stop: &Interrupt) -> Result<Answer, Failure> {
    let mut centroids = Centroids::new(task.dataset.features.width(), task.classes);
    visit(task, stop, |block| centroids.add(block))?;
    let head = centroids.head();
    let judge = task.judge(&head, &Fitted::L2, &task.partition.validation);
    Ok(Answer::new(
        "nearest centroid".to_owned(),
        &judge.tally().finish(),
    ))
}

/// The C that is best on the validation rows; of equals the first, the strongest.
fn linear(task: &Task, stop: &Interrupt) -> Result<Answer, Failure> {
    let fitted = normalisation(task);
    let mut best: Option<(f64, Metrics)> = None;
    fit_logistic((task, &fitted), &FEW_STRENGTHS, DEFAULT_TOLERANCE, |fit| {
        let judge = task.judge(&fit.head, &fitted, &task.partition.validation);
        let metrics = judge.tally().finish();
        if best
            .as_ref()
            .is_none_or(|(_, best)| metrics.top1 > best.top1)
        {
            best = Some((fit.strength, metrics));
        }
        match stop.received() {
            Some(_) => Continue::No,
            None => Continue::Yes,
        }
    })
    .or_exit(Exit::Failure)?;
    stop.check().map_err(Failure::of)?;
    let Some((strength, metrics)) = best else {
        let message = "logistic regression found nothing (train a head with `train-head linear`)";
        return Err(Failure::new(Exit::Failure, message));
    };
    Ok(Answer::new(
        format!("logistic regression, C = {strength}"),
        &metrics,
    ))
}

/// Shows `each` the training rows, divided by their norms, block by block.
fn visit(task: &Task, stop: &Interrupt, mut each: impl FnMut(Rows)) -> Result<(), Failure> {
    let rows = TrainingRows {
        task,
        fitted: &Fitted::L2,
    };
    let mut scratch = Block::default();
    for index in 0..rows.blocks() {
        stop.check().map_err(Failure::of)?;
        each(rows.read(index, &mut scratch).or_exit(Exit::Input)?);
    }
    Ok(())
}

fn table(findings: &Findings) -> String {
    let mut text = format!(
        "layer `{}`, {} training rows, judged on {} validation rows\n{:<32} {:>8} {:>8} {:>9} {:>9}\n",
        findings.layer,
        findings.training_rows,
        findings.validation_rows,
        "classifier",
        "top-1",
        "top-5",
        "balanced",
        "macro F1",
    );
    for answer in &findings.answers {
        let _ = writeln!(
            text,
            "{:<32} {:>7.2}% {:>7.2}% {:>8.2}% {:>9.4}",
            answer.classifier,
            answer.top1 * 100.0,
            answer.top5 * 100.0,
            answer.balanced_accuracy * 100.0,
            answer.macro_f1,
        );
    }
    text
}
