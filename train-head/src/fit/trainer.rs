//! A head in training: one step at a time.

use common::{
    head::{CrossEntropy, Dropout, Head, LossSum, Pass},
    random,
};
use rand_chacha::ChaCha8Rng;

use crate::{optimizer::Optimizer, plan::Settings};

/// A head, its optimizer, and the buffers of a step.
pub(crate) struct Trainer {
    head: Head,
    optimizer: Optimizer,
    loss: CrossEntropy,
    dropout: f32,
    dropout_stream: ChaCha8Rng,
    pass: Pass,
    gradient: Head,
    logits: Vec<f32>,
}

/// What a step saw before it changed the head.
pub(crate) struct Taken {
    /// The loss that is minimised: with smoothing, class weights, and dropout.
    pub(crate) loss: LossSum,
    /// Rows whose class had the largest logit.
    pub(crate) correct: u64,
}

impl Trainer {
    /// Before the first step of `head`; one weight a class.
    pub(crate) fn new(head: Head, settings: &Settings, class_weights: Vec<f32>) -> Self {
        Self {
            optimizer: Optimizer::new(settings.optimizer, settings.weight_decay, &head),
            loss: CrossEntropy::new(settings.label_smoothing, class_weights),
            dropout: settings.dropout,
            dropout_stream: random::stream(settings.seed, "train/dropout"),
            pass: Pass::new(&head),
            gradient: Head::zeros(head.kind(), head.features(), head.classes()),
            logits: Vec::new(),
            head,
        }
    }

    /// The head as it is now.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// One step on `features` `[B, D]` with `labels` `[B]`. Where the loss is not finite
    /// the head stays as it is.
    pub(crate) fn step(&mut self, features: &[f32], labels: &[u32], learning_rate: f32) -> Taken {
        let dropout = Dropout {
            probability: self.dropout,
            stream: &mut self.dropout_stream,
        };
        self.pass.forward_dropping(&self.head, features, dropout);
        self.logits.clear();
        self.logits.extend_from_slice(self.pass.logits());
        let correct = correct_rows(&self.logits, labels);
        let loss = self.loss.differentiate(&mut self.logits, labels);
        if loss.total.is_finite() {
            self.pass
                .backward(&self.head, &self.logits, &mut self.gradient);
            self.optimizer
                .step(&mut self.head, &self.gradient, learning_rate);
        }
        Taken { loss, correct }
    }
}

fn correct_rows(logits: &[f32], labels: &[u32]) -> u64 {
    let rows = logits.chunks_exact(logits.len() / labels.len());
    let correct = rows.zip(labels).filter(|(row, label)| {
        let own = row[**label as usize];
        let (before, after) = row.split_at(**label as usize);
        before.iter().all(|z| *z < own) && after.iter().all(|z| *z <= own)
    });
    correct.count() as u64
}
