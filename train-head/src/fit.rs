//! The training loop: epochs of shuffled batches, a look at the validation
//! rows after each, and the best parameters kept.
//!
//! Every random choice comes from a named stream of the seed and sums have a
//! fixed order, so the same seed gives the same bytes on any number of threads.

mod trainer;

use std::{io, time::Instant};

use common::{
    exit::Exit,
    head::{Fitted, Head, HeadKind, LossSum, Moments, Normalisation},
    interrupt::Interrupt,
    random,
};
use rand::seq::SliceRandom;

pub(crate) use trainer::Trainer;

use crate::{
    dataset::Dataset,
    judge::{EVALUATION_ROWS, Judge},
    monitor::{EpochLine, Monitor},
    plan::{ClassWeights, Settings},
    schedule::Schedule,
    split::Partition,
};

/// What a head is fitted to, and how.
pub(crate) struct Task<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) partition: &'a Partition,
    pub(crate) classes: usize,
    pub(crate) head: HeadKind,
    pub(crate) settings: &'a Settings,
}

impl Task<'_> {
    /// `head` on `rows` of the dataset, normalised by `fitted` first.
    pub(crate) fn judge<'b>(
        &'b self,
        head: &'b Head,
        fitted: &'b Fitted,
        rows: &'b [u32],
    ) -> Judge<'b> {
        Judge {
            dataset: self.dataset,
            head,
            fitted,
            rows,
        }
    }
}

/// A finished training.
pub(crate) struct Outcome {
    /// The head of the best epoch, and what its features are normalised with;
    /// `None` when no epoch came to its end.
    pub(crate) best: Option<Best>,
    pub(crate) epochs: u32,
    pub(crate) ending: Ending,
}

/// The best head so far.
pub(crate) struct Best {
    pub(crate) epoch: u32,
    pub(crate) head: Head,
    pub(crate) fitted: Fitted,
    pub(crate) validation_loss: f64,
}

/// Why a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Epochs,
    Patience,
    /// The loss became NaN or infinite in this epoch.
    NonFinite {
        epoch: u32,
    },
    Signal(Exit),
}

/// Fits a head. `monitor` hears of every epoch, `stop` is obeyed between epochs.
pub(crate) fn fit(task: &Task, monitor: &mut Monitor, stop: &Interrupt) -> io::Result<Outcome> {
    let settings = task.settings;
    let fitted = normalisation(task);
    let width = task.dataset.features.width();
    let head = Head::random(task.head, width, task.classes, settings.seed);
    let mut trainer = Trainer::new(head, settings, class_weights(task));
    let mut outcome = Outcome {
        best: None,
        epochs: 0,
        ending: Ending::Epochs,
    };
    for epoch in 1..=settings.epochs {
        let start = Instant::now();
        let training = run_epoch(task, &mut trainer, &fitted, epoch);
        let validation = task
            .judge(trainer.head(), &fitted, &task.partition.validation)
            .tally();
        let losses = [training.loss.mean(), validation.loss()];
        if !(losses.iter().all(|loss| loss.is_finite()) && trainer.head().is_finite()) {
            outcome.ending = Ending::NonFinite { epoch };
            break;
        }
        let best = outcome.keep_if_better(epoch, validation.loss(), &trainer, &fitted);
        monitor.epoch(&EpochLine {
            epoch,
            train_loss: training.loss.mean(),
            train_accuracy: training.correct as f64 / task.partition.train.len() as f64,
            val_loss: validation.loss(),
            val_accuracy: validation.top1(),
            learning_rate: training.learning_rate,
            elapsed_ms: start.elapsed().as_secs_f64() * 1e3,
            best,
        })?;
        if let Some(exit) = stop.received() {
            outcome.ending = Ending::Signal(exit);
            break;
        }
        let out_of_patience = settings
            .patience
            .is_some_and(|patience| outcome.epochs_without_improvement() >= patience);
        if out_of_patience && epoch < settings.epochs {
            outcome.ending = Ending::Patience;
            break;
        }
    }
    Ok(outcome)
}

impl Outcome {
    /// Notes the end of `epoch`; says whether its head is the best so far.
    fn keep_if_better(
        &mut self,
        epoch: u32,
        validation_loss: f64,
        trainer: &Trainer,
        fitted: &Fitted,
    ) -> bool {
        self.epochs = epoch;
        let better = match &self.best {
            Some(best) => validation_loss < best.validation_loss,
            None => true,
        };
        if better {
            self.best = Some(Best {
                epoch,
                head: trainer.head().clone(),
                fitted: fitted.clone(),
                validation_loss,
            });
        }
        better
    }

    fn epochs_without_improvement(&self) -> u32 {
        self.epochs - self.best.as_ref().map_or(0, |best| best.epoch)
    }
}

/// Sums over the batches of an epoch, each taken before its step.
struct EpochSums {
    loss: LossSum,
    correct: u64,
    learning_rate: f32,
}

fn run_epoch(task: &Task, trainer: &mut Trainer, fitted: &Fitted, epoch: u32) -> EpochSums {
    let settings = task.settings;
    let mut order = task.partition.train.clone();
    order.shuffle(&mut random::stream(
        settings.seed,
        &format!("train/order/{epoch}"),
    ));
    let steps = order.len().div_ceil(settings.batch_size) as u64;
    let schedule = Schedule {
        peak: settings.learning_rate,
        decay: settings.schedule,
        warmup_steps: u64::from(settings.warmup_epochs) * steps,
        total_steps: u64::from(settings.epochs) * steps,
    };
    let mut sums = EpochSums {
        loss: LossSum::default(),
        correct: 0,
        learning_rate: 0.0,
    };
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for (step, rows) in (u64::from(epoch - 1) * steps..).zip(order.chunks(settings.batch_size)) {
        task.dataset.features.gather(rows, &mut features);
        task.dataset.gather_labels(rows, &mut labels);
        fitted.apply(&mut features, task.dataset.features.width());
        sums.learning_rate = schedule.rate(step);
        let taken = trainer.step(&features, &labels, sums.learning_rate);
        sums.loss.add(taken.loss);
        sums.correct += taken.correct;
        if !taken.loss.total.is_finite() {
            break;
        }
    }
    sums
}

/// The normalisation that the settings ask for, fitted on the training rows.
pub(crate) fn normalisation(task: &Task) -> Fitted {
    match task.settings.normalise {
        Normalisation::None => Fitted::None,
        Normalisation::L2 => Fitted::L2,
        Normalisation::Standardise => {
            let features = &task.dataset.features;
            let mut moments = Moments::new(features.width());
            let mut values = Vec::new();
            for rows in task.partition.train.chunks(EVALUATION_ROWS) {
                features.gather(rows, &mut values);
                moments.add(&values);
            }
            moments.finish()
        }
    }
}

/// One weight a class; balanced ones are rows / (classes · rows of the class), as
/// scikit-learn's.
pub(crate) fn class_weights(task: &Task) -> Vec<f32> {
    match task.settings.class_weights {
        ClassWeights::None => vec![1.0; task.classes],
        ClassWeights::Balanced => {
            let counts = task.dataset.class_rows(&task.partition.train, task.classes);
            let rows = task.partition.train.len() as f64;
            let weight = |count: &u64| (rows / (task.classes as f64 * *count as f64)) as f32;
            counts.iter().map(weight).collect()
        }
    }
}

#[cfg(test)]
mod tests;
