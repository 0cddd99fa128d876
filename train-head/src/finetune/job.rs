//! What is fine-tuned, on what, and how.

use std::sync::Arc;

use common::{
    exit::Exit,
    head::{Head, LossSum, stack::Seen},
    interrupt::Interrupt,
    tail::{Collective, Cut, Selection, Tail, TailOptions, Tensors, Trainer, Trainers},
};
use rand::{Rng, seq::SliceRandom};

use super::{as_head_settings, backbone::Backbone, inputs::Inputs, session::of_trainer};
use crate::{
    dataset::Dataset,
    failure::{Failure, OrExit},
    fit::{self, Task},
    plan::FineSettings,
    split::Partition,
};

/// The part of a training in which the same parameters train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The head alone.
    Head,
    /// All that is unfrozen.
    Whole,
}

/// Everything that a training depends on beside its own state.
pub(crate) struct Job<'a> {
    pub(crate) settings: &'a FineSettings,
    pub(crate) backbone: &'a Backbone,
    pub(crate) selection: &'a Selection,
    pub(crate) start: &'a Cut,
    /// The head before the first step.
    pub(crate) head: &'a Head,
    pub(crate) dataset: &'a Dataset,
    pub(crate) partition: &'a Partition,
    pub(crate) inputs: Inputs<'a>,
    /// One a class.
    pub(crate) class_weights: Vec<f32>,
    pub(crate) trainers: Trainers,
    pub(crate) collective: Arc<dyn Collective>,
    /// The rows of each training image, in the order of the cache.
    pub(crate) images: Vec<&'a [u32]>,
}

/// One weight a class.
pub(crate) fn class_weights(
    settings: &FineSettings,
    dataset: &Dataset,
    partition: &Partition,
) -> Vec<f32> {
    fit::class_weights(&Task {
        dataset,
        partition,
        classes: dataset.names.len(),
        head: settings.head,
        settings: &as_head_settings(settings),
    })
}

impl Job<'_> {
    /// The phase of epoch `epoch`, counted from 1.
    pub(crate) fn phase(&self, epoch: u32) -> Phase {
        if epoch <= self.settings.freeze_epochs {
            Phase::Head
        } else {
            Phase::Whole
        }
    }

    /// What `phase` trains.
    pub(crate) fn tail(&self, phase: Phase) -> Result<Tail, Failure> {
        let selection = match phase {
            Phase::Head => Selection::head_alone(&self.backbone.network),
            Phase::Whole => self.selection.clone(),
        };
        let options = TailOptions {
            input: self.backbone.input,
            norm: self.settings.bn,
            head: self.head.kind(),
            classes: self.dataset.names.len(),
            dropout: self.settings.dropout,
        };
        Tail::new(
            self.backbone.network.clone(),
            self.start.value,
            selection,
            options,
        )
        .or_exit(Exit::Input)
    }

    /// A trainer of `phase` that begins with `tensors`.
    pub(crate) fn trainer(
        &self,
        phase: Phase,
        tensors: &Tensors,
    ) -> Result<Box<dyn Trainer>, Failure> {
        let tail = self.tail(phase)?;
        let collective = Box::new(Arc::clone(&self.collective));
        self.trainers
            .trainer(tail, tensors, collective)
            .map_err(of_trainer)
    }

    /// The tail's tensors before the first step.
    pub(crate) fn first_tensors(&self) -> Result<Tensors, Failure> {
        let tail = self.tail(Phase::Whole)?;
        Ok(tail.tensors(&self.backbone.parameters, self.head))
    }

    /// The batches of an epoch, shuffled: one view of every image.
    pub(crate) fn batches(&self, epoch: u32) -> Vec<Vec<u32>> {
        let stream = |name: &str| {
            let name = format!("finetune/{name}/{epoch}");
            common::random::stream(self.settings.seed, &name)
        };
        let mut views = stream("views");
        let draw = |rows: &&[u32]| rows[views.random_range(0..rows.len())];
        let mut order: Vec<u32> = self.images.iter().map(draw).collect();
        order.shuffle(&mut stream("order"));
        let batches = order.chunks(self.settings.batch_size);
        batches.map(<[u32]>::to_vec).collect()
    }

    /// What all processes have seen, and whether one of them is to stop.
    pub(crate) fn seen_by_all(
        &self,
        seen: Seen,
        stop: &Interrupt,
    ) -> Result<(Seen, Option<Exit>), Failure> {
        let stopped = stop.received();
        if self.collective.size() == 1 {
            return Ok((seen, stopped));
        }
        let flag = f32::from(u8::from(stopped.is_some()));
        let mut sums = [
            seen.loss.total as f32,
            seen.loss.weight as f32,
            seen.correct as f32,
            flag,
        ];
        self.collective.sum(&mut sums).or_exit(Exit::Failure)?;
        let seen = Seen {
            loss: LossSum {
                total: f64::from(sums[0]),
                weight: f64::from(sums[1]),
            },
            correct: sums[2] as u64,
        };
        let of_another = (sums[3] > 0.0).then_some(Exit::Terminated);
        Ok((seen, stopped.or(of_another)))
    }

    /// The first process's `verdicts`.
    pub(crate) fn verdicts_of_first<const N: usize>(
        &self,
        verdicts: [bool; N],
    ) -> Result<[bool; N], Failure> {
        let numbers = verdicts.map(|verdict| f32::from(u8::from(verdict)));
        let numbers = self.numbers_of_first(numbers)?;
        Ok(numbers.map(|number| number > 0.0))
    }

    /// The first process's `numbers`.
    pub(crate) fn numbers_of_first<const N: usize>(
        &self,
        numbers: [f32; N],
    ) -> Result<[f32; N], Failure> {
        let is_first = self.collective.rank() == 0;
        let mut numbers = if is_first { numbers } else { [0.0; N] };
        self.collective.sum(&mut numbers).or_exit(Exit::Failure)?;
        Ok(numbers)
    }

    /// Rows of an epoch's last batch.
    pub(crate) fn last_batch(&self) -> usize {
        let size = self.settings.batch_size;
        match self.images.len() % size {
            0 => size.min(self.images.len()),
            rest => rest,
        }
    }

    /// Values of an activation at the cut.
    pub(crate) fn width(&self) -> usize {
        let [height, width] = self.backbone.input;
        self.backbone.network.shapes(height, width)[self.start.value.0].len()
    }

    /// Steps of an epoch.
    pub(crate) fn steps_an_epoch(&self) -> u64 {
        let batches = self.images.len().div_ceil(self.settings.batch_size);
        batches.div_ceil(self.settings.accumulate) as u64
    }
}
