use std::fs;

use common::{head::Head, progress::Verbosity};
use serde_json::{Value as Json, json};

use super::{
    backbone::Backbone,
    classifier::{Answer, Guess, Value},
    *,
};

/// Takes images of two ASCII digits, which are their features.
struct Digits(Vec<f32>);

impl Backbone for Digits {
    fn add(&mut self, file: &[u8]) -> Result<(), String> {
        let [a @ b'0'..=b'9', b @ b'0'..=b'9'] = file else {
            return Err("not two digits".to_owned());
        };
        self.0.extend([f32::from(a - b'0'), f32::from(b - b'0')]);
        Ok(())
    }

    fn forward(&mut self) -> Result<Vec<f32>, Failure> {
        Ok(std::mem::take(&mut self.0))
    }
}

fn identity(weights: &str) -> Identity {
    let value = json!({
        "backbone": "digits", "weights": weights, "layers": ["avgpool"], "preprocessing": {"crop": 1},
        "exif": "ignore", "decoder": "d", "precision": "f32", "dtype": "f32", "views": 1,
    });
    serde_json::from_value(value).unwrap()
}

/// A head that says which of two numbers is larger.
fn bundle() -> Bundle {
    let split = json!({
        "origin": "source", "class_rows": [1, 1],
        "metrics": {"rows": 2, "loss": 0.0, "top1": 1.0, "top5": 1.0, "balanced_accuracy": 1.0,
            "macro_f1": 1.0, "confusion": [[1, 0], [0, 1]]},
    });
    let identity = identity("one");
    let record = json!({
        "format_version": 1, "program_version": "0", "head": {"head": "linear"},
        "classes": ["left", "right"], "features": 2, "layer": "avgpool",
        "normalise_features": "none", "fingerprint": identity.fingerprint(),
        "identity": identity, "plan_sha256": "", "settings": Json::Null,
        "training": {"epochs": 1, "best_epoch": 1, "ended_by": "epochs", "train": split.clone(),
            "validation": split, "unlabelled_rows": 0},
        "head_sha256": "",
    });
    let record: RunRecord = serde_json::from_value(record).unwrap();
    let mut head = Head::zeros(record.head, 2, 2);
    head.layers_mut()[0].weight = vec![1.0, 0.0, 0.0, 1.0];
    Bundle { head, record }
}

fn plan() -> PredictPlan {
    PredictPlan {
        run: "run".into(),
        images: Vec::new(),
        top: 1,
        weights: None,
        device: common::engine::device::DeviceChoice::Cpu,
        max_pixels: 1,
        threads: 1,
        report: crate::plan::Reporting {
            result: crate::plan::ResultFormat::Nothing,
            verbosity: Verbosity::Quiet,
        },
    }
}

#[test]
fn bad_image_is_skipped_and_the_others_keep_their_places() {
    let directory = tempfile::tempdir().unwrap();
    let files = ["19", "no", "72", "05", ""];
    let paths: Vec<_> = (0..5)
        .map(|i| directory.path().join(format!("{i}.png")))
        .collect();
    for (path, content) in paths.iter().zip(files) {
        fs::write(path, content).unwrap();
    }
    let found = images::find(&[directory.path().to_owned()], &Interrupt::default()).unwrap();
    assert_eq!(found, paths);
    let bundle = bundle();
    let mut classifier = Classifier::new(&bundle, Digits(Vec::new()), 1);
    let mut predictions = classifier.classify(&found[..2]).unwrap();
    predictions.extend(classifier.classify(&found[2..]).unwrap());
    let classes: Vec<_> = predictions
        .iter()
        .map(|prediction| match &prediction.answer {
            Some(Answer::Top(guesses)) => Some(guesses[0].class.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        classes,
        [Some("right"), None, Some("left"), Some("right"), None]
    );
    assert!(predictions[1].error.is_some() && predictions[4].error.is_some());
    let Some(Answer::Top(guesses)) = &predictions[2].answer else {
        panic!("classes");
    };
    let probability = guesses[0].probability;
    assert!((probability - 1.0 / (1.0 + (-5.0_f32).exp())).abs() < 1e-6);
}

/// What the head of [`bundle`] with another task says of the digits 1 and 3.
fn answer(task: Json) -> Answer {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("1.png");
    fs::write(&path, "13").unwrap();
    let mut bundle = bundle();
    bundle.record.task = serde_json::from_value(task).unwrap();
    let mut classifier = Classifier::new(&bundle, Digits(Vec::new()), 1);
    let mut predictions = classifier.classify(&[path]).unwrap();
    predictions.remove(0).answer.unwrap()
}

#[test]
fn classes_are_predicted_from_their_thresholds_on_and_numbers_as_they_are() {
    let sigmoid = |x: f64| (1.0 / (1.0 + (-x).exp())) as f32;
    let guess = |class: &str, logit| Guess {
        class: class.to_owned(),
        probability: sigmoid(logit),
        logit: logit as f32,
    };
    for (thresholds, expected) in [
        ([0.5, 0.5], vec![guess("right", 3.0), guess("left", 1.0)]),
        ([0.5, 0.96], vec![guess("left", 1.0)]),
        ([0.8, 0.96], vec![]),
    ] {
        let found = answer(json!({"kind": "multi-label", "thresholds": thresholds}));
        assert_eq!(found, Answer::Labels(expected));
    }
    let value = |target: &str, value| Value {
        target: target.to_owned(),
        value,
    };
    assert_eq!(
        answer(json!({"kind": "regression"})),
        Answer::Values(vec![value("left", 1.0), value("right", 3.0)])
    );
}

#[test]
fn another_backbone_is_refused_naming_the_fields() {
    let mut bundle = bundle();
    assert!(check_identity(&plan(), &bundle.record, &identity("one")).is_ok());
    bundle.record.identity = identity("two");
    bundle.record.identity.preprocessing = json!({"crop": 2});
    let failure = check_identity(&plan(), &bundle.record, &identity("one")).unwrap_err();
    assert_eq!(failure.exit, Exit::Mismatch);
    let message = failure.to_string();
    assert!(
        message.contains("weights is") && message.contains("preprocessing.crop"),
        "{message}"
    );
}

#[test]
fn folder_without_images_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let failure = images::find(&[directory.path().to_owned()], &Interrupt::default()).unwrap_err();
    assert_eq!(failure.exit, Exit::Input);
    assert!(failure.to_string().contains("no images"));
}
