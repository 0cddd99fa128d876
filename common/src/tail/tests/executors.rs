//! The CPU's trainer, with every instruction set, against the reference: losses, every gradient, running statistics, features and logits.

use candle_core::DType;

use super::{super::Tensor, *};

/// Most that a tensor may differ, relative to its largest value.
const TOLERANCE: f64 = 5e-5;

/// Share of the largest gradient below which one is rounding: that of a bias whose shift a normalisation by
/// batch behind it takes away again is zero.
const NOISE: f32 = 1e-3;

/// Whether all of `expected` are zero but for rounding, beside `largest`.
fn is_noise(expected: &[f32], largest: f32) -> bool {
    expected.iter().all(|value| value.abs() < NOISE * largest)
}

fn largest_of(tensors: &Tensors) -> f32 {
    let values = tensors.iter().flat_map(|tensor| &tensor.values);
    values.fold(0.0, |most, value| most.max(value.abs()))
}

fn assert_gradients_alike(found: &Tensors, expected: &Tensors, what: &str) {
    let largest = largest_of(expected);
    let (kept, noise): (Vec<_>, Vec<_>) = found
        .iter()
        .zip(expected)
        .partition(|(_, expected)| !is_noise(&expected.values, largest));
    for (found, _) in noise {
        assert!(is_noise(&found.values, largest), "{what} {}", found.name);
    }
    let (found, expected): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
    let tensors = |tensors: Vec<&Tensor>| tensors.into_iter().cloned().collect();
    assert_alike(&tensors(found), &tensors(expected), what);
}

fn assert_alike(found: &Tensors, expected: &Tensors, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.name, expected.name, "{what}");
        let difference = difference(&found.values, &expected.values);
        let name = &found.name;
        assert!(difference < TOLERANCE, "{what} {name}: {difference:e}");
    }
}

fn assert_agree(problem: &Problem, what: &str) {
    let mut reference = problem.trainer(Executor::Reference, Box::new(Alone));
    let batch = problem.batch(0, problem.rows);
    let expected = reference.accumulate(&batch).unwrap();
    let norm = reference.gradient_norm().unwrap();
    let expected_gradients = gradients(&mut *reference, problem);
    let expected_tensors = reference.tensors().unwrap();
    let (inputs, rows) = (&problem.inputs, problem.rows);
    for isa in Isa::available() {
        let what = format!("{what} {isa}");
        let tail = problem.tail.clone();
        let mut trainer = CpuTrainer::new(tail, &problem.tensors, isa, Box::new(Alone)).unwrap();
        let seen = trainer.accumulate(&batch).unwrap();
        let ratio = seen.loss.mean() / expected.loss.mean();
        assert!((ratio - 1.0).abs() < 1e-5, "{what}: loss {ratio}");
        assert_eq!(seen.correct, expected.correct, "{what}");
        let ratio = trainer.gradient_norm().unwrap() / norm;
        assert!((ratio - 1.0).abs() < 1e-5, "{what}: norm {ratio}");
        assert_gradients_alike(
            &gradients(&mut trainer, problem),
            &expected_gradients,
            &what,
        );
        // The running statistics have moved.
        assert_alike(&trainer.tensors().unwrap(), &expected_tensors, &what);
        let pairs = [
            (
                trainer.features(inputs, rows),
                reference.features(inputs, rows),
            ),
            (trainer.logits(inputs, rows), reference.logits(inputs, rows)),
        ];
        for (found, expected) in pairs {
            let difference = difference(&found.unwrap(), &expected.unwrap());
            assert!(difference < TOLERANCE, "{what}: {difference:e}");
        }
    }
}

const HEADS: [HeadKind; 2] = [HeadKind::Linear, HeadKind::Mlp { hidden: 20 }];

fn assert_agree_on(backbone: &str, layer: &str, patterns: &[&str]) {
    for (norm, head) in [NormMode::Frozen, NormMode::Train].into_iter().zip(HEADS) {
        let options = TailOptions {
            dropout: 0.3,
            // Maps of 6×5 at a stride of 16, and of 3×3 behind.
            ..options([90, 75], norm, head)
        };
        let network = registry::find(backbone).unwrap().network();
        let problem = Problem::new(network, Some(layer), patterns, options);
        assert_agree(&problem, &format!("{backbone} {norm:?} {head}"));
    }
}

#[test]
fn trainers_agree_on_resnets_last_blocks() {
    assert_agree_on("resnet18", "layer3", &["layer4"]);
    // What trains is behind some of what runs.
    assert_agree_on("resnet18", "layer3", &["layer4.1.conv2", "layer4.1.bn2"]);
}

#[test]
fn trainers_agree_on_efficientnets_last_blocks() {
    assert_agree_on(
        "efficientnet-lite0",
        "stage5",
        &["stage6", "stage7", "head"],
    );
}

#[test]
fn trainers_agree_on_mobilenets_last_blocks() {
    assert_agree_on("mobilenet-v2", "stage5", &["stage6", "stage7", "head"]);
}

#[test]
fn trainers_agree_on_every_operation() {
    for norm in [NormMode::Frozen, NormMode::Train] {
        for padding in [symmetric, same] {
            for input in [[23, 29], [32, 21]] {
                let options = options(input, norm, HeadKind::Linear);
                let problem = Problem::new(every_operation(padding), None, &["all"], options);
                assert_agree(&problem, &format!("{norm:?} {input:?} {:?}", padding(3)));
            }
        }
    }
}

#[test]
fn trainers_agree_on_a_head_alone() {
    for head in HEADS {
        let options = options([64, 64], NormMode::Train, head);
        let network = registry::find("mobilenet-v2").unwrap().network();
        let problem = Problem::new(network, Some("avgpool"), &["fc"], options);
        assert_agree(&problem, &head.to_string());
    }
}

/// Candle's CPU backend has convolutions in f16, so that what a GPU is to do can be tried here. Rounding moves some
/// activations across a bend.
#[test]
fn convolutions_in_f16_change_gradients_little() {
    for norm in [NormMode::Frozen, NormMode::Train] {
        let options = options([64, 48], norm, HeadKind::Linear);
        let network = registry::find("mobilenet-v2").unwrap().network();
        let problem = Problem::new(network, Some("stage6"), &["stage7", "head"], options);
        let batch = problem.batch(0, problem.rows);
        let of = |mut trainer: ReferenceTrainer| {
            trainer.accumulate(&batch).unwrap();
            gradients(&mut trainer, &problem)
        };
        let made = || problem.try_reference(Box::new(Alone)).unwrap();
        let (exact, rounded) = (of(made()), of(made().with_dtype(DType::F16)));
        let largest = largest_of(&exact);
        for (found, expected) in rounded.iter().zip(&exact) {
            let name = &found.name;
            if is_noise(&expected.values, largest) {
                continue;
            }
            let pairs = found.values.iter().zip(&expected.values);
            let differences: Vec<f32> = pairs.map(|(a, b)| a - b).collect();
            let ratio = length(&differences) / length(&expected.values);
            assert!(ratio < 0.15, "{norm:?} {name}: {ratio:e}");
            assert_ne!(found.values, expected.values, "{norm:?} {name}");
        }
    }
}
