//! Heads against other implementations: golden values from PyTorch and
//! scikit-learn (`data/golden/make_head_golden.py`), gradients from candle's autograd.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use candle_core::{Device, Tensor, Var};
use candle_nn::{loss::cross_entropy, ops::dropout};
use common::{
    head::{CrossEntropy, Dropout, Head, HeadKind, Metrics, Pass, Tally},
    random,
};
use serde::Deserialize;

fn golden<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let path = format!("{}/../data/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance,
            "{what}[{index}]: {a}, expected {b}"
        );
    }
}

#[derive(Deserialize)]
struct Losses {
    logits: Vec<f32>,
    labels: Vec<u32>,
    cases: Vec<LossCase>,
}

#[derive(Deserialize)]
struct LossCase {
    smoothing: f32,
    class_weights: Vec<f32>,
    loss: f64,
    gradient: Vec<f32>,
}

#[test]
fn smoothed_and_weighted_loss_and_its_gradient_are_pytorchs() {
    let golden: Losses = golden("head_loss.json");
    for case in golden.cases {
        let loss = CrossEntropy::new(case.smoothing, case.class_weights);
        let mut logits = golden.logits.clone();
        let value = loss.evaluate(&logits, &golden.labels).mean();
        assert!((value - case.loss).abs() < 1e-6, "{value} {}", case.loss);
        assert_eq!(
            value,
            loss.differentiate(&mut logits, &golden.labels).mean()
        );
        assert_close(&logits, &case.gradient, 1e-7, "gradient");
    }
}

#[derive(Deserialize)]
struct MetricCase {
    classes: usize,
    logits: Vec<f32>,
    labels: Vec<u32>,
    expected: ExpectedMetrics,
}

#[derive(Deserialize)]
struct ExpectedMetrics {
    loss: f64,
    top1: f64,
    top5: f64,
    balanced_accuracy: f64,
    macro_f1: f64,
    confusion: Vec<Vec<u64>>,
}

#[test]
fn metrics_with_absent_classes_are_scikit_learns() {
    let MetricCase {
        classes,
        logits,
        labels,
        expected,
    } = golden("head_metrics.json");
    let mut tally = Tally::new(classes);
    tally.add(&logits, &labels);
    let Metrics {
        rows,
        loss,
        top1,
        top5,
        balanced_accuracy,
        macro_f1,
        confusion,
    } = tally.finish();
    assert_eq!(rows, labels.len() as u64);
    assert_eq!(confusion, expected.confusion);
    for (found, expected, tolerance) in [
        (loss, expected.loss, 1e-6),
        (top1, expected.top1, 1e-12),
        (top5, expected.top5, 1e-12),
        (balanced_accuracy, expected.balanced_accuracy, 1e-12),
        (macro_f1, expected.macro_f1, 1e-12),
    ] {
        assert!((found - expected).abs() < tolerance, "{found} {expected}");
    }
}

/// Gradients of all parameters by candle, for the plain cross-entropy.
fn autograd(head: &Head, features: &Tensor, labels: &[u32]) -> Vec<Vec<f32>> {
    let device = Device::Cpu;
    let mut variables = Vec::new();
    let mut output = features.clone();
    for (index, layer) in head.layers().iter().enumerate() {
        let shape = (layer.outputs, layer.inputs);
        let weight = Tensor::from_slice(&layer.weight, shape, &device).unwrap();
        let bias = Tensor::from_slice(&layer.bias, layer.outputs, &device).unwrap();
        let (weight, bias) = (
            Var::from_tensor(&weight).unwrap(),
            Var::from_tensor(&bias).unwrap(),
        );
        if index > 0 {
            output = output.relu().unwrap();
        }
        output = output.matmul(&weight.t().unwrap()).unwrap();
        output = output.broadcast_add(&bias).unwrap();
        variables.extend([weight, bias]);
    }
    let labels = Tensor::new(labels, &device).unwrap();
    let gradients = cross_entropy(&output, &labels).unwrap().backward().unwrap();
    let values = |variable: &Var| {
        let gradient = gradients.get(variable).unwrap().flatten_all().unwrap();
        gradient.to_vec1().unwrap()
    };
    variables.iter().map(values).collect()
}

#[test]
fn gradients_are_those_of_candles_autograd() {
    let (rows, features, classes) = (33, 17, 6);
    let noise = Tensor::randn(0.0_f32, 1.0, (rows, features), &Device::Cpu).unwrap();
    let values: Vec<f32> = noise.flatten_all().unwrap().to_vec1().unwrap();
    let labels: Vec<u32> = (0..rows as u32).map(|row| row % classes as u32).collect();
    for kind in [HeadKind::Linear, HeadKind::Mlp { hidden: 9 }] {
        let head = Head::random(kind, features, classes, 5);
        let mut pass = Pass::new(&head);
        pass.forward(&head, &values);
        let mut logits = pass.logits().to_vec();
        CrossEntropy::plain(classes).differentiate(&mut logits, &labels);
        let mut gradient = Head::zeros(kind, features, classes);
        pass.backward(&head, &logits, &mut gradient);
        let found = gradient.layers().iter();
        let found = found.flat_map(|layer| [&layer.weight, &layer.bias]);
        for (found, expected) in found.zip(autograd(&head, &noise, &labels)) {
            assert_close(found, &expected, 1e-6, "gradient");
        }
    }
}

/// The loss of a head under the dropout that `seed` draws.
fn dropped_loss(head: &Head, features: &[f32], labels: &[u32], gradient: Option<&mut Head>) -> f64 {
    let mut pass = Pass::new(head);
    let dropout = Dropout {
        probability: 0.4,
        stream: &mut random::stream(1, "dropout"),
    };
    pass.forward_dropping(head, features, dropout);
    let mut logits = pass.logits().to_vec();
    let loss = CrossEntropy::plain(head.classes()).differentiate(&mut logits, labels);
    if let Some(gradient) = gradient {
        pass.backward(head, &logits, gradient);
    }
    loss.mean()
}

#[test]
fn gradients_go_through_dropout() {
    let kind = HeadKind::Mlp { hidden: 8 };
    let mut head = Head::random(kind, 5, 3, 2);
    let features: Vec<f32> = (0..60).map(|i| (i as f32 * 0.7).sin()).collect();
    let labels: Vec<u32> = (0..12).map(|row| row % 3).collect();
    let mut gradient = Head::zeros(kind, 5, 3);
    dropped_loss(&head, &features, &labels, Some(&mut gradient));
    for (layer, index) in [(0, 3), (0, 17), (1, 2), (1, 20)] {
        let step = 1e-3;
        let value = head.layers()[layer].weight[index];
        let mut loss_at = |shift: f32| {
            head.layers_mut()[layer].weight[index] = value + shift;
            dropped_loss(&head, &features, &labels, None)
        };
        let slope = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
        loss_at(0.0);
        let found = f64::from(gradient.layers()[layer].weight[index]);
        assert!(
            (found - slope).abs() < 2e-4,
            "{layer} {index}: {found} {slope}"
        );
    }
}

#[test]
fn dropout_drops_its_share_and_keeps_the_expectation() {
    // A head that adds its inputs up shows what dropout left of them.
    let inputs = 100_000;
    let mut head = Head::zeros(HeadKind::Linear, inputs, 1);
    head.layers_mut()[0].weight.fill(1.0);
    let mut pass = Pass::new(&head);
    let stream = &mut random::stream(3, "dropout");
    let probability = 0.3;
    pass.forward_dropping(
        &head,
        &vec![1.0; inputs],
        Dropout {
            probability,
            stream,
        },
    );
    let ours = pass.logits()[0] / inputs as f32;
    let ones = Tensor::ones(inputs, candle_core::DType::F32, &Device::Cpu).unwrap();
    let dropped = dropout(&ones, probability).unwrap();
    let candles: f32 = dropped.mean_all().unwrap().to_scalar().unwrap();
    assert!(
        (ours - 1.0).abs() < 0.01 && (candles - 1.0).abs() < 0.01,
        "{ours} {candles}"
    );
}
