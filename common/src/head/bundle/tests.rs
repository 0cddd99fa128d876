use serde_json::json;

use super::*;
use crate::{
    cache::{FeatureDtype, Identity},
    head::{HeadKind, Metrics, Normalisation, TaskMetrics, TaskRecord},
};

fn bundle(kind: HeadKind) -> Bundle {
    let identity = Identity {
        backbone: "resnet18".to_owned(),
        weights: "abc".to_owned(),
        layers: vec!["avgpool".to_owned()],
        preprocessing: json!({"crop": 224}),
        exif: "ignore".to_owned(),
        decoder: "d1".to_owned(),
        decode: None,
        precision: "f32".to_owned(),
        dtype: FeatureDtype::F32,
        views: 1,
        augment: None,
        seed: None,
        calibration: None,
    };
    let split = SplitRecord {
        origin: "source".to_owned(),
        class_rows: vec![2, 1],
        metrics: TaskMetrics::SingleLabel(Metrics {
            rows: 3,
            loss: 0.1,
            top1: 1.0,
            top5: 1.0,
            balanced_accuracy: 1.0,
            macro_f1: 1.0,
            confusion: vec![vec![2, 0], vec![0, 1]],
        }),
    };
    let record = RunRecord {
        format_version: 1,
        program_version: "0.1.0".to_owned(),
        head: kind,
        task: TaskRecord::SingleLabel,
        labels: None,
        classes: vec!["cat".to_owned(), "dog".to_owned()],
        features: 3,
        layer: "avgpool".to_owned(),
        normalise_features: Normalisation::L2,
        fingerprint: identity.fingerprint(),
        identity,
        plan_sha256: String::new(),
        tuned: None,
        settings: json!({"seed": 1}),
        temperature: 1.5,
        training: TrainingRecord {
            epochs: 2,
            best_epoch: 1,
            ended_by: "epochs".to_owned(),
            train: split.clone(),
            validation: split,
            unlabelled_rows: 0,
            path: None,
        },
        head_sha256: String::new(),
    };
    Bundle {
        head: Head::random(kind, 3, 2, 1),
        record,
    }
}

fn saved(kind: HeadKind) -> (tempfile::TempDir, Bundle) {
    let directory = tempfile::tempdir().unwrap();
    let mut bundle = bundle(kind);
    bundle.save(directory.path()).unwrap();
    (directory, bundle)
}

fn problem_of(directory: &Path) -> String {
    Bundle::load(directory).unwrap_err().to_string()
}

/// Replaces the tensors and makes the record agree with them.
fn plant(directory: &Path, bytes: &[u8]) {
    fs::write(directory.join(HEAD_FILE), bytes).unwrap();
    let run = directory.join(RUN_FILE);
    let mut record: RunRecord = serde_json::from_slice(&fs::read(&run).unwrap()).unwrap();
    record.head_sha256 = sha256_hex(bytes);
    fs::write(run, serde_json::to_vec(&record).unwrap()).unwrap();
}

#[test]
fn saved_bundle_loads_as_it_was_and_has_the_same_bytes_again() {
    for kind in [HeadKind::Linear, HeadKind::Mlp { hidden: 4 }] {
        let (directory, bundle) = saved(kind);
        let loaded = Bundle::load(directory.path()).unwrap();
        assert_eq!(loaded.head, bundle.head);
        assert_eq!(loaded.record, bundle.record);
        let (again, _) = saved(kind);
        for file in [HEAD_FILE, RUN_FILE] {
            assert_eq!(
                fs::read(directory.path().join(file)).unwrap(),
                fs::read(again.path().join(file)).unwrap(),
                "{file}"
            );
        }
    }
}

#[test]
fn tensors_have_the_names_and_shapes_of_torchvision() {
    let (directory, _) = saved(HeadKind::Mlp { hidden: 4 });
    let bytes = fs::read(directory.path().join(HEAD_FILE)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    assert_eq!(file.len(), 4);
    assert_eq!(shape("fc.0.weight"), [4, 3]);
    assert_eq!(shape("fc.0.bias"), [4]);
    assert_eq!(shape("fc.2.weight"), [2, 4]);
    assert_eq!(shape("fc.2.bias"), [2]);
}

#[test]
fn folder_without_a_run_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = Bundle::load(directory.path()).unwrap_err();
    assert!(matches!(error, BundleError::NotFound(_)), "{error}");
}

#[test]
fn damaged_tensors_are_noticed() {
    let (directory, _) = saved(HeadKind::Linear);
    let path = directory.path().join(HEAD_FILE);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(problem_of(directory.path()).contains("SHA-256 is"));
}

#[test]
fn foreign_tensors_are_named() {
    let (directory, mut bundle) = saved(HeadKind::Linear);
    plant(directory.path(), b"not a safetensors file");
    assert!(problem_of(directory.path()).contains("not a safetensors file"));

    let other = Head::random(HeadKind::Mlp { hidden: 4 }, 3, 2, 1);
    plant(
        directory.path(),
        &tensors::to_bytes(&other, &bundle.record).unwrap(),
    );
    assert!(problem_of(directory.path()).contains("unexpected tensor `fc."));

    let other = Head::random(HeadKind::Linear, 5, 2, 1);
    plant(
        directory.path(),
        &tensors::to_bytes(&other, &bundle.record).unwrap(),
    );
    assert!(
        problem_of(directory.path())
            .contains("tensor `fc.weight` is F32 [2, 5], expected F32 [2, 3]")
    );

    bundle.head.layers_mut()[0].bias[1] = f32::NAN;
    plant(
        directory.path(),
        &tensors::to_bytes(&bundle.head, &bundle.record).unwrap(),
    );
    assert!(problem_of(directory.path()).contains("NaN"));
}

#[test]
fn newer_version_is_refused() {
    let (directory, _) = saved(HeadKind::Linear);
    let run = directory.path().join(RUN_FILE);
    fs::write(run, r#"{"format_version": 99, "news": true}"#).unwrap();
    let error = Bundle::load(directory.path()).unwrap_err();
    assert!(
        matches!(error, BundleError::NewerFormat { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn edited_fingerprint_is_noticed() {
    let (directory, _) = saved(HeadKind::Linear);
    let run = directory.path().join(RUN_FILE);
    let text = fs::read_to_string(&run).unwrap();
    fs::write(&run, text.replace("resnet18", "resnet34")).unwrap();
    assert!(problem_of(directory.path()).contains("fingerprint is"));
}
