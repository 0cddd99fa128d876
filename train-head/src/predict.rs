//! `train-head predict`: the whole path on new images.
//!
//! The backbone must be the one that the head's features came from; anything
//! else is refused. A bad image is reported, skipped, and shows in the exit code.

mod backbone;
mod images;

use std::path::PathBuf;

use common::{
    cache::Identity,
    exit::Exit,
    head::{Bundle, Head, RunRecord, top_classes},
    source::read_regular_file,
};
use serde::Serialize;

use backbone::Backbone;

use crate::{
    eval::{comparable, leftover},
    failure::{Failure, OrExit},
    monitor,
    plan::PredictPlan,
    report,
};

/// What is said of an image.
#[derive(Debug, PartialEq, Serialize)]
struct Prediction {
    image: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top: Vec<Guess>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Guess {
    class: String,
    probability: f32,
}

/// Classifies the plan's images.
pub(crate) fn run(plan: &PredictPlan) -> Result<Exit, Failure> {
    let bundle = Bundle::load(&plan.run).or_exit(Exit::Input)?;
    let images = images::find(&plan.images)?;
    let embedder = backbone::load(&bundle.record, plan)?;
    let identity = embedder.identity(bundle.record.identity.dtype);
    check_identity(plan, &bundle.record, &identity)?;
    let mut worker = embedder.worker().map_err(Failure::of)?;
    let predictions = predict(&bundle, &mut worker, &images, plan.top)?;
    let mut failed = 0;
    for prediction in &predictions {
        if let Some(error) = &prediction.error {
            monitor::warn(&format!("`{}`: {error}", prediction.image));
            failed += 1;
        }
    }
    report::result(plan.report.result, &table(&predictions), &predictions);
    Ok(if failed == 0 {
        Exit::Success
    } else {
        Exit::Input
    })
}

fn check_identity(
    plan: &PredictPlan,
    record: &RunRecord,
    backbone: &Identity,
) -> Result<(), Failure> {
    let ours = comparable(backbone, &record.layer);
    let differences = ours.differences(&comparable(&record.identity, &record.layer));
    if differences.is_empty() {
        return Ok(());
    }
    let listed: Vec<_> = differences.iter().map(ToString::to_string).collect();
    let message = format!(
        "run `{}`: the backbone is not the one that the head was trained on: {} (name the right weights with --weights)",
        plan.run.display(),
        listed.join("; ")
    );
    Err(Failure::new(Exit::Mismatch, message))
}

/// One prediction an image, in order.
fn predict(
    bundle: &Bundle,
    backbone: &mut dyn Backbone,
    images: &[PathBuf],
    top: usize,
) -> Result<Vec<Prediction>, Failure> {
    let mut predictions = Vec::with_capacity(images.len());
    let mut file = Vec::new();
    for images in images.chunks(backbone.preferred_batch().max(1)) {
        let mut waiting = Vec::new();
        for image in images {
            let added = read_regular_file(image, &mut file)
                .map_err(|error| error.to_string())
                .and_then(|()| backbone.add(&file));
            if added.is_ok() {
                waiting.push(predictions.len());
            }
            predictions.push(Prediction {
                image: image.to_string_lossy().into_owned(),
                top: Vec::new(),
                error: added.err(),
            });
        }
        let features = backbone.forward()?;
        for (index, features) in waiting
            .into_iter()
            .zip(features.chunks_exact(bundle.record.features))
        {
            let prediction = &mut predictions[index];
            match classify(&bundle.head, &bundle.record, features, top) {
                Some(guesses) => prediction.top = guesses,
                None => prediction.error = Some("its features are NaN or infinite".to_owned()),
            }
        }
    }
    Ok(predictions)
}

/// The most probable classes, best first; `None` for features that are not finite.
fn classify(head: &Head, record: &RunRecord, features: &[f32], top: usize) -> Option<Vec<Guess>> {
    if !features.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut features = features.to_vec();
    let width = features.len();
    leftover(record.normalise_features).apply(&mut features, width);
    let logits = head.logits(&features);
    let maximum = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|z| (z - maximum).exp()).collect();
    let partition: f32 = powers.iter().sum();
    let guesses = top_classes(&logits, top).into_iter().map(|class| Guess {
        class: record.classes[class].clone(),
        probability: powers[class] / partition,
    });
    Some(guesses.collect())
}

fn table(predictions: &[Prediction]) -> String {
    let mut text = String::new();
    for prediction in predictions.iter().filter(|p| p.error.is_none()) {
        let guesses: Vec<_> = prediction
            .top
            .iter()
            .map(|guess| format!("{} {:.1}%", guess.class, guess.probability * 100.0))
            .collect();
        text.push_str(&format!("{}: {}\n", prediction.image, guesses.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests;
