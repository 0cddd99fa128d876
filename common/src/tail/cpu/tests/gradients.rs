//! Gradients and logits against finite differences in f64.

use super::{Case, PLAIN, Setting, assert_close, gradients, naive, networks};
use crate::{
    backbone::Network,
    engine::cpu::Isa,
    head::HeadKind,
    tail::{NormMode, Trainer},
};

/// Elements of each tensor that are looked at.
const SAMPLES: usize = 5;

/// Central differences of the loss by some elements of `name`, and their places.
fn differences(case: &Case, name: &str, len: usize) -> (Vec<usize>, Vec<f64>) {
    const STEP: f64 = 1e-6;
    let mut values = naive::values(&case.tensors);
    let places: Vec<usize> = (0..len).step_by(len.div_ceil(SAMPLES)).collect();
    let slopes = places.iter().map(|&place| {
        let mut at = |shift: f64| {
            let value = values[name][place];
            values.get_mut(name).unwrap()[place] = value + shift;
            let loss = naive::loss(&case.tail, &values, &case.inputs, &case.targets);
            values.get_mut(name).unwrap()[place] = value;
            loss
        };
        (at(STEP) - at(-STEP)) / (2.0 * STEP) / case.rows as f64
    });
    let slopes = slopes.collect();
    (places, slopes)
}

fn check(network: &Network, cut: (usize, &str), setting: Setting) {
    let case = Case::new(network, cut, setting);
    for isa in Isa::available() {
        let mut trainer = case.trainer(isa);
        let seen = trainer.accumulate(&case.batch(0, case.rows)).unwrap();
        let values = naive::values(&case.tensors);
        let expected = naive::loss(&case.tail, &values, &case.inputs, &case.targets);
        assert!(
            (seen.loss.total - expected).abs() < 1e-5 * expected,
            "{isa}"
        );
        let found = gradients(&mut trainer);
        assert_eq!(found.len(), case.tail.trained().len());
        for (name, gradient) in found {
            let (places, slopes) = differences(&case, &name, gradient.len());
            let gradient: Vec<f32> = places.iter().map(|&place| gradient[place]).collect();
            assert_close(&gradient, &slopes, 2e-4, &format!("{isa}: {name}"));
        }
    }
}

#[test]
fn gradients_of_residual_blocks_are_the_slopes_of_the_loss() {
    for norm in [NormMode::Frozen, NormMode::Train] {
        check(&networks::residual(), (0, "all"), Setting { norm, ..PLAIN });
        let large = Setting {
            norm,
            input: [10, 13],
            rows: 2,
            ..PLAIN
        };
        check(&networks::residual(), (0, "all"), large);
    }
}

#[test]
fn gradients_of_inverted_residual_blocks_are_the_slopes_of_the_loss() {
    for norm in [NormMode::Frozen, NormMode::Train] {
        let setting = Setting {
            norm,
            input: [13, 9],
            ..PLAIN
        };
        check(&networks::inverted(), (0, "all"), setting);
    }
}

#[test]
fn gradients_of_wide_convolutions_are_the_slopes_of_the_loss() {
    for (input, rows) in [([7, 5], 3), ([1, 1], 1), ([4, 9], 1)] {
        check(
            &networks::wide(),
            (0, "all"),
            Setting {
                input,
                rows,
                ..PLAIN
            },
        );
    }
    let setting = Setting {
        norm: NormMode::Train,
        ..PLAIN
    };
    check(&networks::wide(), (1, "c,d"), setting);
}

#[test]
fn parts_of_a_network_train_alone() {
    let mlp = Setting {
        head: HeadKind::Mlp { hidden: 19 },
        ..PLAIN
    };
    for unfreeze in ["b0,b1,b2", "b1_bn.weight", "b1_bn.bias", "b2.weight", "fc"] {
        check(&networks::residual(), (2, unfreeze), mlp);
        check(
            &networks::residual(),
            (2, unfreeze),
            Setting {
                norm: NormMode::Train,
                ..mlp
            },
        );
    }
}

#[test]
fn logits_are_those_of_the_definition() {
    for (network, input) in [
        (networks::residual(), [9, 7]),
        (networks::inverted(), [20, 20]),
        (networks::wide(), [7, 7]),
    ] {
        let setting = Setting {
            input,
            rows: 2,
            norm: NormMode::Train,
            ..PLAIN
        };
        let case = Case::new(&network, (0, "all"), setting);
        let expected = naive::logits(
            &case.tail,
            &naive::values(&case.tensors),
            &case.inputs,
            naive::Norms::Evaluate,
        );
        for isa in Isa::available() {
            let logits = case.trainer(isa).logits(&case.inputs, 2).unwrap();
            assert_close(&logits, &expected, 1e-5, &isa.to_string());
        }
    }
}
