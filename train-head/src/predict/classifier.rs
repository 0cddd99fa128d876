//! From image files to their most probable classes, or to numbers.

use std::path::PathBuf;

use common::{
    head::{Bundle, TaskRecord, statistics::sigmoid, top_classes},
    source::read_regular_file,
};
use serde::Serialize;

use super::backbone::Backbone;
use crate::{failure::Failure, head_input::preparation};

/// What is said of an image.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Prediction {
    pub(super) image: String,
    /// `None` where there is an error.
    #[serde(flatten)]
    pub(super) answer: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// What a head says of an image.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// Of one label: the most probable classes, best first.
    Top(Vec<Guess>),
    /// Of any number: the classes that reach their threshold, best first; maybe none.
    Labels(Vec<Guess>),
    /// Of a regression.
    Values(Vec<Value>),
}

/// A predicted number, in the unit that it was trained in.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Value {
    pub(super) target: String,
    pub(super) value: f32,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Guess {
    pub(super) class: String,
    pub(super) probability: f32,
    /// Before the temperature.
    pub(super) logit: f32,
}

/// A backbone with a head on it, for one thread.
pub(super) struct Classifier<'a, B> {
    bundle: &'a Bundle,
    backbone: B,
    top: usize,
    file: Vec<u8>,
}

impl<'a, B: Backbone> Classifier<'a, B> {
    /// Names the `top` most probable classes of each image.
    pub(super) fn new(bundle: &'a Bundle, backbone: B, top: usize) -> Self {
        Self {
            bundle,
            backbone,
            top,
            file: Vec::new(),
        }
    }

    /// One prediction an image, in order; the images are one batch.
    pub(super) fn classify(&mut self, images: &[PathBuf]) -> Result<Vec<Prediction>, Failure> {
        let mut predictions = Vec::with_capacity(images.len());
        let mut waiting = Vec::new();
        for (index, image) in images.iter().enumerate() {
            let added = read_regular_file(image, &mut self.file)
                .map_err(|error| format!("cannot be read: {error}"))
                .and_then(|()| self.backbone.add(&self.file));
            if added.is_ok() {
                waiting.push(index);
            }
            predictions.push(Prediction {
                image: image.to_string_lossy().into_owned(),
                answer: None,
                error: added.err(),
            });
        }
        let features = self.backbone.forward()?;
        let rows = features.chunks_exact(self.bundle.record.features);
        for (index, features) in waiting.into_iter().zip(rows) {
            let prediction = &mut predictions[index];
            match self.answer(features) {
                Some(answer) => prediction.answer = Some(answer),
                None => prediction.error = Some("its features are NaN or infinite".to_owned()),
            }
        }
        Ok(predictions)
    }

    /// `None` for features that are not finite.
    fn answer(&self, features: &[f32]) -> Option<Answer> {
        if !features.iter().all(|value| value.is_finite()) {
            return None;
        }
        let Bundle { head, record } = self.bundle;
        let mut features = features.to_vec();
        let width = features.len();
        preparation(record).apply(&mut features, width);
        let outputs = head.logits(&features);
        Some(match &record.task {
            TaskRecord::SingleLabel => Answer::Top(self.guesses(&outputs)),
            TaskRecord::MultiLabel { thresholds } => {
                Answer::Labels(self.labels(&outputs, thresholds))
            }
            TaskRecord::Regression => {
                let values = record.classes.iter().zip(outputs);
                let value = |(target, value): (&String, f32)| Value {
                    target: target.clone(),
                    value,
                };
                Answer::Values(values.map(value).collect())
            }
        })
    }

    fn labels(&self, logits: &[f32], thresholds: &[f64]) -> Vec<Guess> {
        let order = top_classes(logits, logits.len()).into_iter();
        let reached = order.filter(|&class| sigmoid(logits[class]) >= thresholds[class]);
        let guess = |class: usize| Guess {
            class: self.bundle.record.classes[class].clone(),
            probability: sigmoid(logits[class]) as f32,
            logit: logits[class],
        };
        reached.map(guess).collect()
    }

    fn guesses(&self, logits: &[f32]) -> Vec<Guess> {
        let record = &self.bundle.record;
        let maximum = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = (1.0 / record.temperature) as f32;
        let powers: Vec<f32> = logits
            .iter()
            .map(|z| ((z - maximum) * scale).exp())
            .collect();
        let partition: f32 = powers.iter().sum();
        let classes = top_classes(logits, self.top).into_iter();
        let guesses = classes.map(|class| Guess {
            class: record.classes[class].clone(),
            probability: powers[class] / partition,
            logit: logits[class],
        });
        guesses.collect()
    }
}
