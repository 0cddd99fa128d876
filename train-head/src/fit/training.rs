//! Trials that are trained together, epoch by epoch.

use std::time::Instant;

use common::{
    engine::cpu::Isa,
    exit::Exit,
    head::{
        Fitted, Head, Normalisation, TaskKind,
        stack::{Common, Member, Seen, Stack},
    },
    interrupt::Interrupt,
};

use super::{
    Best, Ending, Outcome, Task, answers::Answers, class_weights, normalisation, order::epoch_rows,
    target_scale,
};
use crate::{
    failure::{Failure, OrExit},
    monitor::EpochLine,
    schedule::Schedule,
};

/// Rows that a stack judges together, unless it trains on larger batches: many heads
/// take much room for every row.
const JUDGED_ROWS: usize = 256;

/// Trials on their way through the epochs: tasks with the same rows, classes, batch size,
/// epochs, loss, class weights, sampling and seed.
pub(crate) struct Training<'a> {
    trials: Vec<Task<'a>>,
    outcomes: Vec<Outcome>,
    running: Vec<bool>,
    stack: Stack,
    standardise: Fitted,
    /// Of a regression's targets; the heads that are kept predict in their units.
    target_scale: Fitted,
    keep: Keep,
    epoch: u32,
}

/// Which epoch's head is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// That with the smallest validation loss.
    Best,
    /// The last one's.
    Last,
}

/// What every trial saw in an epoch.
struct Epoch {
    training: Vec<Seen>,
    validation: Vec<Seen>,
    /// Rows of the training: one an image.
    trained: usize,
    /// Of its last step.
    learning_rates: Vec<f32>,
}

impl<'a> Training<'a> {
    /// Before the first epoch of `trials`, of which there is at least one.
    pub(crate) fn new(trials: Vec<Task<'a>>) -> Result<Self, Failure> {
        let first = &trials[0];
        let standardises = |trial: &&Task| trial.settings.normalise == Normalisation::Standardise;
        let standardise = trials.iter().find(standardises);
        let standardise = standardise.map_or(Fitted::None, normalisation);
        let shared = Common {
            standardise: standardise.clone(),
            loss: first.settings.loss,
            class_weights: class_weights(first),
            seed: first.settings.seed,
            isa: Isa::from_environment().or_exit(Exit::Device)?,
        };
        let unfinished = || Outcome {
            best: None,
            epochs: 0,
            ending: Ending::Epochs,
            lines: Vec::new(),
        };
        Ok(Self {
            outcomes: trials.iter().map(|_| unfinished()).collect(),
            running: vec![true; trials.len()],
            stack: Stack::new(shared, trials.iter().map(member).collect()),
            standardise,
            target_scale: target_scale(first),
            trials,
            keep: Keep::Best,
            epoch: 0,
        })
    }

    /// The same, keeping the heads of the epochs that `keep` says.
    pub(crate) fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// Whether no trial is left.
    pub(crate) fn is_over(&self) -> bool {
        !self.running.contains(&true)
    }

    /// Whether `trial` is left.
    pub(crate) fn is_running(&self, trial: usize) -> bool {
        self.running[trial]
    }

    /// How far every trial is, or how it ended.
    pub(crate) fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }

    /// Ends `trial`, if it has not ended before.
    pub(crate) fn end(&mut self, trial: usize, ending: Ending) {
        if self.running[trial] {
            self.running[trial] = false;
            self.outcomes[trial].ending = ending;
            self.retire();
        }
    }

    /// Takes every trial that is left through one epoch, and returns the figures of those
    /// that came to its end. Once `stop` has had a signal the epoch is left as soon
    /// as possible, counts for nothing, and is the last one.
    pub(crate) fn run_epoch(&mut self, stop: &Interrupt) -> Vec<(usize, EpochLine)> {
        let start = Instant::now();
        self.epoch += 1;
        // Inside the pool, so that its threads stay awake from step to step.
        let mut epoch = None;
        rayon::scope(|_| epoch = self.see(stop));
        let mut lines = Vec::new();
        for trial in 0..self.trials.len() {
            if !self.running[trial] {
                continue;
            }
            let ending = match (&epoch, stop.received()) {
                (Some(epoch), _) => {
                    let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
                    let line = epoch.line(&self.trials[trial], (trial, self.epoch, elapsed_ms));
                    self.close_epoch(trial, line, &mut lines)
                }
                (None, exit) => Some(Ending::Signal(exit.unwrap_or(Exit::Interrupted))),
            };
            if let Some(ending) = ending {
                self.running[trial] = false;
                self.outcomes[trial].ending = ending;
            }
        }
        self.retire();
        lines
    }

    /// Notes the end of an epoch of `trial`; why the trial ends with it, if it does.
    fn close_epoch(
        &mut self,
        trial: usize,
        mut line: EpochLine,
        lines: &mut Vec<(usize, EpochLine)>,
    ) -> Option<Ending> {
        let settings = self.trials[trial].settings;
        let finite = line.train_loss.is_finite() && line.val_loss.is_finite();
        let head = self.stack.head(trial).filter(Head::is_finite);
        let (Some(head), true) = (head, finite) else {
            return Some(Ending::NonFinite { epoch: self.epoch });
        };
        let outcome = &mut self.outcomes[trial];
        outcome.epochs = self.epoch;
        let best = outcome.best.as_ref();
        line.best =
            self.keep == Keep::Last || best.is_none_or(|best| line.val_loss < best.validation_loss);
        if line.best {
            outcome.best = Some(Best {
                epoch: self.epoch,
                head: self.target_scale.fold_outputs(head),
                fitted: settings.normalise.fitted(&self.standardise),
                validation_loss: line.val_loss,
            });
        }
        outcome.lines.push(line.clone());
        lines.push((trial, line));
        let waited = outcome.epochs_without_improvement();
        if self.epoch >= settings.epochs {
            Some(Ending::Epochs)
        } else if settings.patience.is_some_and(|patience| waited >= patience) {
            Some(Ending::Patience)
        } else {
            None
        }
    }

    /// Forgets the parameters of trials that have ended.
    fn retire(&mut self) {
        let running = &self.running;
        self.stack.retain(|trial| running[trial]);
    }

    /// One pass over the training rows, and one over the validation rows; `None` after a
    /// signal.
    fn see(&mut self, stop: &Interrupt) -> Option<Epoch> {
        let Task {
            partition,
            settings,
            ..
        } = self.trials[0];
        let order = epoch_rows(&self.trials[0], self.epoch);
        let steps = order.len().div_ceil(settings.batch_size) as u64;
        let schedules: Vec<_> = self
            .trials
            .iter()
            .map(|trial| schedule(trial, steps))
            .collect();
        let mut epoch = Epoch {
            training: vec![Seen::default(); self.trials.len()],
            validation: vec![Seen::default(); self.trials.len()],
            trained: order.len(),
            learning_rates: vec![0.0; self.trials.len()],
        };
        let mut answers = Answers::default();
        let batches = order.chunks(settings.batch_size);
        for (step, rows) in (u64::from(self.epoch - 1) * steps..).zip(batches) {
            for (rate, schedule) in epoch.learning_rates.iter_mut().zip(&schedules) {
                *rate = schedule.rate(step);
            }
            let batch = answers.batch(&self.trials[0], &self.target_scale, rows);
            add(
                &mut epoch.training,
                self.stack.step(batch, &epoch.learning_rates),
            );
            if stop.received().is_some() {
                return None;
            }
        }
        for rows in partition
            .validation
            .chunks(settings.batch_size.max(JUDGED_ROWS))
        {
            let batch = answers.batch(&self.trials[0], &self.target_scale, rows);
            add(&mut epoch.validation, self.stack.judge(batch));
            if stop.received().is_some() {
                return None;
            }
        }
        Some(epoch)
    }
}

impl Epoch {
    fn line(&self, task: &Task, (trial, epoch, elapsed_ms): (usize, u32, f64)) -> EpochLine {
        let (training, validation) = (self.training[trial], self.validation[trial]);
        let share = |seen: Seen, rows: usize| {
            let answers = match task.settings.loss.task() {
                TaskKind::SingleLabel => rows,
                TaskKind::MultiLabel => rows * task.classes,
                TaskKind::Regression => return None,
            };
            Some(seen.correct as f64 / answers as f64)
        };
        EpochLine {
            epoch,
            train_loss: training.loss.mean(),
            train_accuracy: share(training, self.trained),
            val_loss: validation.loss.mean(),
            val_accuracy: share(validation, task.partition.validation.len()),
            learning_rate: self.learning_rates[trial],
            elapsed_ms,
            best: false,
        }
    }
}

/// The learning rates of epochs of `steps` steps.
fn schedule(task: &Task, steps: u64) -> Schedule {
    let settings = task.settings;
    Schedule {
        peak: settings.learning_rate,
        decay: settings.schedule,
        warmup_steps: u64::from(settings.warmup_epochs) * steps,
        total_steps: u64::from(settings.epochs) * steps,
    }
}

fn add(sums: &mut [Seen], seen: &[Seen]) {
    for (sum, seen) in sums.iter_mut().zip(seen) {
        sum.loss.add(seen.loss);
        sum.correct += seen.correct;
    }
}

fn member(task: &Task) -> Member {
    let settings = task.settings;
    let width = task.dataset.features.width();
    Member {
        head: Head::random(task.head, width, task.classes, settings.seed),
        normalise: settings.normalise,
        method: settings.optimizer,
        weight_decay: settings.weight_decay,
        label_smoothing: settings.label_smoothing,
        dropout: settings.dropout,
    }
}
