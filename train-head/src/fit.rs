//! The training loop: epochs of shuffled batches, a look at the validation
//! rows after each, and the best parameters kept.
//!
//! Heads that see the same batches are trained together in one [`Stack`]; a single head
//! is a stack of one. Every random choice comes from a named stream of the seed, sums have
//! a fixed order, and a head's numbers do not depend on its neighbours: the same seed
//! gives the same bytes, in any company and on any number of threads.

mod answers;
mod order;
mod training;

use std::io;

use common::{
    exit::Exit,
    head::{Fitted, Head, HeadKind, Moments, Normalisation, TaskKind},
    interrupt::Interrupt,
};

pub(crate) use training::{Keep, Training};

use crate::{
    dataset::Dataset,
    failure::Failure,
    judge::{EVALUATION_ROWS, Judge},
    monitor::{EpochLine, Monitor},
    plan::{ClassWeights, Settings},
    split::Partition,
};

/// What a head is fitted to, and how.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) partition: &'a Partition,
    pub(crate) classes: usize,
    pub(crate) head: HeadKind,
    pub(crate) settings: &'a Settings,
}

impl Task<'_> {
    /// The training rows that heads are judged on: those that are not augmented.
    pub(crate) fn plain_training_rows(&self) -> Vec<u32> {
        let train = self.partition.train.iter().copied();
        self.dataset.first_views_of(train)
    }

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
    /// The figures of every epoch that came to its end; of a path none.
    pub(crate) lines: Vec<EpochLine>,
}

/// The best head so far.
#[derive(Clone)]
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
    /// Others did better.
    Halved,
    Signal(Exit),
}

/// Fits one head. `monitor` hears of every epoch, `stop` is obeyed between epochs.
pub(crate) fn fit(
    task: &Task,
    monitor: &mut Monitor,
    stop: &Interrupt,
) -> Result<Outcome, Failure> {
    let mut training = Training::new(vec![*task])?;
    while !training.is_over() {
        for (_, line) in training.run_epoch(&Interrupt::default()) {
            monitor.epoch(&line).map_err(cannot_tell)?;
        }
        if let Some(exit) = stop.received() {
            training.end(0, Ending::Signal(exit));
        }
    }
    Ok(training.into_outcomes().remove(0))
}

fn cannot_tell(error: io::Error) -> Failure {
    let message = format!("the figures of an epoch cannot be written: {error}");
    Failure::new(Exit::Failure, message)
}

impl Outcome {
    fn epochs_without_improvement(&self) -> u32 {
        self.epochs - self.best.as_ref().map_or(0, |best| best.epoch)
    }
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

/// What the targets of a regression are standardised with: the training rows'.
pub(crate) fn target_scale(task: &Task) -> Fitted {
    if task.settings.loss.task() != TaskKind::Regression {
        return Fitted::None;
    }
    let (mut moments, mut values) = (Moments::new(task.classes), Vec::new());
    task.dataset
        .gather_targets(&task.partition.train, &mut values);
    moments.add(&values);
    moments.finish()
}

/// One weight a class; balanced ones are rows / (classes · rows of the class), as
/// scikit-learn's. With any number of classes a row, those of the rows with the class:
/// rows without it / rows with it.
pub(crate) fn class_weights(task: &Task) -> Vec<f32> {
    match task.settings.class_weights {
        ClassWeights::None => vec![1.0; task.classes],
        ClassWeights::Balanced => {
            let counts = task.dataset.class_rows(&task.partition.train, task.classes);
            let rows = task.partition.train.len() as f64;
            let several = task.settings.loss.task() == TaskKind::MultiLabel;
            let weight = |count: &u64| {
                let count = *count as f64;
                if several {
                    ((rows - count) / count) as f32
                } else {
                    (rows / (task.classes as f64 * count)) as f32
                }
            };
            counts.iter().map(weight).collect()
        }
    }
}
