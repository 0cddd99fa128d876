//! A training under way: its trainer, how far it is, and the best model so far.
//!
//! Every random choice comes from a stream that is named after the seed, the epoch and the batch, so that
//! nothing but [`Progress`] and the trainer's state is needed to go on where a training stopped.

use std::{
    mem::take,
    ops::{ControlFlow, Range},
    time::Instant,
};

use common::{
    head::{Metrics, Tally, stack::Seen},
    interrupt::Interrupt,
    tail::{Batch, Step, Tensors, Trainer, TrainerError},
};

use super::{
    inputs::Purpose,
    job::{Job, Phase},
    progress::{EpochEnd, Progress},
    rates::Rates,
    targets::{Mixing, dropout_key, targets},
};
use crate::{failure::Failure, monitor::EpochLine};

/// A training under way.
pub(crate) struct Session<'a> {
    pub(crate) job: &'a Job<'a>,
    pub(crate) trainer: Box<dyn Trainer>,
    pub(crate) progress: Progress,
    /// The best epoch's tensors.
    pub(crate) best: Option<Tensors>,
    rates: Rates,
    phase: Phase,
    /// What was seen since the last step.
    pending: Seen,
}

impl<'a> Session<'a> {
    /// Before the first step.
    pub(crate) fn begin(job: &'a Job<'a>) -> Result<Self, Failure> {
        Self::at(job, &job.first_tensors()?, Progress::default(), None)
    }

    /// Where `progress` says, with a trainer of `tensors`.
    pub(crate) fn at(
        job: &'a Job<'a>,
        tensors: &Tensors,
        progress: Progress,
        best: Option<Tensors>,
    ) -> Result<Self, Failure> {
        // Of the last step: what a phase's trainer holds is no state of the next one's.
        let phase = match progress.batches {
            0 => job.phase(progress.epochs.max(1)),
            _ => job.phase(progress.epochs + 1),
        };
        Ok(Self {
            trainer: job.trainer(phase, tensors)?,
            rates: Rates::of(job, phase, tensors)?,
            job,
            progress,
            best,
            phase,
            pending: Seen::default(),
        })
    }

    /// Takes the training through the rest of an epoch. `after_step` is called between steps.
    pub(crate) fn run_epoch(
        &mut self,
        stop: &Interrupt,
        mut after_step: impl FnMut(&Self) -> Result<(), Failure>,
    ) -> Result<EpochEnd, Failure> {
        let start = Instant::now();
        let before_ms = self.progress.elapsed_ms;
        let epoch = self.progress.epochs + 1;
        self.enter(self.job.phase(epoch))?;
        let (job, done) = (self.job, self.progress.batches);
        let batches = job.batches(epoch);
        let shares: Vec<_> = batches[done..]
            .iter()
            .map(|rows| self.shown(rows))
            .collect();
        let mut end = None;
        let purpose = Purpose::Training { epoch };
        job.inputs.visit(&shares, purpose, |number, inputs| {
            let number = done + number;
            self.accumulate((epoch, number), &batches, inputs)?;
            let whole_step = (number + 1) % job.settings.accumulate == 0;
            if !whole_step && number + 1 < batches.len() {
                return Ok(ControlFlow::Continue(()));
            }
            end = self.step(stop)?;
            if !matches!(end, Some(EpochEnd::NonFinite)) {
                self.progress.batches = number + 1;
                self.progress.elapsed_ms = before_ms + start.elapsed().as_secs_f64() * 1e3;
                after_step(self)?;
            }
            Ok(match end {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            })
        })?;
        if let Some(end) = end {
            return Ok(end);
        }
        let judged = self.close_epoch()?;
        let elapsed_ms = before_ms + start.elapsed().as_secs_f64() * 1e3;
        Ok(match judged {
            Some(line) => {
                let line = EpochLine { elapsed_ms, ..line };
                self.progress.lines.push(line.clone());
                EpochEnd::Whole(line)
            }
            None => EpochEnd::NonFinite,
        })
    }

    /// Begins `phase` with the tensors as they are, unless it has begun.
    fn enter(&mut self, phase: Phase) -> Result<(), Failure> {
        if self.phase == phase {
            return Ok(());
        }
        let tensors = self.trainer.tensors().map_err(of_trainer)?;
        self.trainer = self.job.trainer(phase, &tensors)?;
        self.rates = Rates::of(self.job, phase, &tensors)?;
        self.phase = phase;
        self.progress.steps = 0;
        Ok(())
    }

    /// The rows of a batch whose activations this process needs: its share, or all of those that are mixed.
    fn shown(&self, rows: &[u32]) -> Vec<u32> {
        if self.job.settings.mixup > 0.0 {
            return rows.to_vec();
        }
        rows[self.share(rows.len())].to_vec()
    }

    /// This process's part of a batch of `rows` rows.
    fn share(&self, rows: usize) -> Range<usize> {
        let (rank, size) = (self.job.collective.rank(), self.job.collective.size());
        rows * rank / size..rows * (rank + 1) / size
    }

    /// Forwards and backwards of a batch.
    fn accumulate(
        &mut self,
        (epoch, number): (u32, usize),
        batches: &[Vec<u32>],
        inputs: &mut [f32],
    ) -> Result<(), Failure> {
        let (job, settings) = (self.job, self.job.settings);
        let rows = &batches[number];
        let step = number / settings.accumulate;
        let first = step * settings.accumulate;
        let of_step = &batches[first..batches.len().min(first + settings.accumulate)];
        let rows_before: usize = batches[first..number].iter().map(Vec::len).sum();
        let rows_of_step: usize = of_step.iter().map(Vec::len).sum();

        let mixing = Mixing::draw(settings.mixup, (settings.seed, epoch, number));
        let mut labels = Vec::new();
        job.dataset.gather_labels(rows, &mut labels);
        let targets = targets(
            &labels,
            &job.class_weights,
            settings.label_smoothing,
            mixing,
        );
        let share = self.share(rows.len());
        let (mut inputs, width) = (inputs, job.width());
        if let Some(mixing) = mixing {
            mixing.apply(inputs, width);
            inputs = &mut inputs[share.start * width..share.end * width];
        }
        let classes = job.class_weights.len();
        let seen = self.trainer.accumulate(&Batch {
            inputs,
            targets: &targets[share.start * classes..share.end * classes],
            scale: 1.0 / rows_of_step as f32,
            first_row: rows_before + share.start,
            dropout_key: dropout_key(settings.seed, (epoch, step)),
        });
        let seen = seen.map_err(of_trainer)?;
        self.pending.loss.add(seen.loss);
        self.pending.correct += seen.correct;
        Ok(())
    }

    /// Moves the parameters, unless the loss is not finite.
    fn step(&mut self, stop: &Interrupt) -> Result<Option<EpochEnd>, Failure> {
        let settings = self.job.settings;
        self.trainer.reduce().map_err(of_trainer)?;
        let seen = take(&mut self.pending);
        let (seen, stopped) = self.job.seen_by_all(seen, stop)?;
        if !seen.loss.total.is_finite() {
            return Ok(Some(EpochEnd::NonFinite));
        }
        self.progress.loss.add(seen.loss);
        self.progress.correct += seen.correct;
        let scale = match settings.clip_norm {
            Some(most) => {
                let norm = self.trainer.gradient_norm().map_err(of_trainer)?;
                // PyTorch's clip_grad_norm_.
                (most / (norm + 1e-6)).min(1.0) as f32
            }
            None => 1.0,
        };
        let groups = self.rates.at(self.progress.steps);
        self.progress.steps += 1;
        let number = i32::try_from(self.progress.steps).unwrap_or(i32::MAX);
        let step = Step {
            number,
            method: settings.optimizer,
            scale,
            groups: &groups,
        };
        self.trainer.step(&step).map_err(of_trainer)?;
        if let Some(decay) = settings.ema {
            self.trainer.average(decay).map_err(of_trainer)?;
        }
        Ok(stopped.map(EpochEnd::Stopped))
    }

    /// Judges the model at the end of an epoch; `None` when it is not finite.
    fn close_epoch(&mut self) -> Result<Option<EpochLine>, Failure> {
        let learning_rate = self.rates.largest(self.progress.steps.saturating_sub(1));
        self.trainer.swap_averages();
        let judged = self.judge();
        let tensors = self.trainer.tensors().map_err(of_trainer);
        self.trainer.swap_averages();
        let (judged, tensors) = (judged?, tensors?);
        let val_loss = judged.loss;
        let finite = val_loss.is_finite() && tensors.are_finite();
        let least = self.progress.best.map(|(_, least)| least);
        let best = least.is_none_or(|least| val_loss < least);
        // Other processors round in other ways; what follows must be the same for all processes.
        let [finite, best] = self.job.verdicts_of_first([finite, best])?;
        if !finite {
            return Ok(None);
        }
        let progress = &mut self.progress;
        progress.epochs += 1;
        progress.batches = 0;
        progress.elapsed_ms = 0.0;
        let (seen, right) = (take(&mut progress.loss), take(&mut progress.correct));
        if best {
            progress.best = Some((progress.epochs, val_loss));
            self.best = Some(tensors);
        }
        Ok(Some(EpochLine {
            epoch: progress.epochs,
            train_loss: seen.mean(),
            train_accuracy: Some(right as f64 / self.job.images.len() as f64),
            val_loss,
            val_accuracy: Some(judged.top1),
            learning_rate,
            elapsed_ms: 0.0,
            best,
        }))
    }

    /// The figures of the validation rows.
    fn judge(&mut self) -> Result<Metrics, Failure> {
        let job = self.job;
        let mut tally = Tally::new(job.class_weights.len());
        let rows = job.partition.validation.chunks(job.settings.batch_size);
        let batches: Vec<_> = rows.map(<[u32]>::to_vec).collect();
        let mut labels = Vec::new();
        job.inputs
            .visit(&batches, Purpose::Judging, |number, inputs| {
                let rows = &batches[number];
                let logits = self
                    .trainer
                    .logits(inputs, rows.len())
                    .map_err(of_trainer)?;
                job.dataset.gather_labels(rows, &mut labels);
                tally.add(&logits, &labels);
                Ok(ControlFlow::Continue(()))
            })?;
        Ok(tally.finish())
    }
}

pub(crate) fn of_trainer(error: TrainerError) -> Failure {
    Failure::of(error)
}
