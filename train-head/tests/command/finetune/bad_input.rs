//! What fine-tuning refuses, and what is left then.

use std::fs;

use common::exit::Exit;

use super::{LAST, recipe};
use crate::fixture::{Place, Recipe};

#[test]
fn patterns_and_layers_that_do_not_fit_are_refused_with_the_remedy() {
    let place = Place::with(&recipe());
    for (options, exit, words) in [
        (
            "--unfreeze layer4",
            Exit::Usage,
            &["layer4", "stage7", "_blocks.15"][..],
        ),
        (
            "--unfreeze stage6",
            Exit::Input,
            &["`stage5`", "extract run", "--source"],
        ),
        ("--unfreeze all", Exit::Input, &["pixels", "--source"]),
        (
            "--unfreeze stage7 --layer stage3",
            Exit::Input,
            &["stage3", "holds stage6"],
        ),
        ("--unfreeze stage7 --epochs 0", Exit::Usage, &["--epochs"]),
        (
            "--unfreeze stage7 --layer-decay 2",
            Exit::Usage,
            &["--layer-decay"],
        ),
        (
            "--unfreeze stage7 --augment crop-flip",
            Exit::Usage,
            &["--source"],
        ),
        (
            "--unfreeze stage7 --weights @none.pth",
            Exit::Input,
            &["none.pth"],
        ),
    ] {
        let said = place.run(&format!("finetune @cache --out @run {options}"), exit);
        for word in words {
            assert!(said.stderr.contains(word), "{options}: {}", said.stderr);
        }
        assert!(place.path("run/run.json").metadata().is_err());
    }
}

#[test]
fn a_cache_of_other_weights_is_refused() {
    let recipe = Recipe {
        weights: "other",
        ..recipe()
    };
    let place = Place::with(&recipe);
    let said = place.run(
        &format!("finetune @cache --out @run {LAST}"),
        Exit::Mismatch,
    );
    assert!(said.stderr.contains("--weights"), "{}", said.stderr);
}

#[test]
fn a_diverging_loss_ends_the_run_and_the_best_model_stays() {
    let place = Place::with(&recipe());
    let line = format!("finetune @cache --out @run {LAST} --epochs 3 --freeze-epochs 1");
    let said = place.run(
        &format!("{line} --optimizer sgd --head-lr 0.01 --warmup-epochs 0 --lr 1e30"),
        Exit::Failure,
    );
    for word in ["epoch 2", "the model of epoch 1 is kept", "--learning-rate"] {
        assert!(said.stderr.contains(word), "{}", said.stderr);
    }
    place.run("eval @run @cache --split val", Exit::Success);
}

/// A run that was stopped after an epoch.
fn stopped() -> (Place, String) {
    let place = Place::with(&recipe());
    let line = format!("finetune @cache --out @run {LAST} --epochs 50 --patience 0");
    place.interrupt(&line, "  2 ", ("-TERM", Exit::Terminated));
    (place, line)
}

#[test]
fn a_checkpoint_of_other_options_is_refused_and_stays() {
    let (place, line) = stopped();
    let before = place.read("run/checkpoint.safetensors");
    let said = place.run(&format!("{line} --lr 0.5"), Exit::Mismatch);
    for word in ["learning_rate is 0.5, there 0.0001", "--overwrite"] {
        assert!(said.stderr.contains(word), "{}", said.stderr);
    }
    assert!(before == place.read("run/checkpoint.safetensors"));
    let anew = format!("finetune @cache --out @run {LAST} --epochs 2 --overwrite");
    let said = place.run(&anew, Exit::Success);
    assert!(!said.stderr.contains("goes on"), "{}", said.stderr);
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let (place, line) = stopped();
    let path = place.path("run/checkpoint.safetensors");
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    let last = flipped.len() - 3;
    flipped[last] ^= 1;
    for bytes in [&whole[..whole.len() / 2], &flipped, b"{}"] {
        fs::write(&path, bytes).unwrap();
        let said = place.run(&line, Exit::Input);
        for word in ["checkpoint.safetensors", "damaged", "--overwrite"] {
            assert!(said.stderr.contains(word), "{}", said.stderr);
        }
    }
}

#[test]
fn a_finished_run_is_kept_unless_overwritten() {
    let place = Place::with(&recipe());
    let line = format!("finetune @cache --out @run {LAST} --epochs 2 --quiet");
    place.run(&line, Exit::Success);
    let before = place.read("run/model.safetensors");
    let said = place.run(&line, Exit::Usage);
    assert!(said.stderr.contains("--overwrite"), "{}", said.stderr);
    place.run(&format!("{line} --overwrite --seed 3"), Exit::Success);
    assert!(before != place.read("run/model.safetensors"));
}

#[test]
fn a_cache_from_other_activations_is_refused_by_eval() {
    let place = Place::with(&recipe());
    place.run(
        &format!("finetune @cache --out @run {LAST} --epochs 2 --quiet"),
        Exit::Success,
    );
    let other = Recipe {
        layer: ("stage5", vec![112, 4, 4]),
        ..recipe()
    };
    other.write(&place.path("other"));
    let said = place.run("eval @run @other --split val", Exit::Mismatch);
    for word in ["no layer `stage6`", "extract run", "--weights"] {
        assert!(said.stderr.contains(word), "{}", said.stderr);
    }
}

#[test]
fn a_last_batch_of_one_row_has_no_variance_where_maps_are_single_values() {
    let mut recipe = Recipe {
        layer: ("stage6", vec![192, 1, 1]),
        ..recipe()
    };
    recipe.preprocessing["crop"] = 32.into();
    let place = Place::with(&recipe);
    let line = format!("finetune @cache --out @run {LAST} --epochs 1 --batch-size 7");
    let said = place.run(&format!("{line} --bn train"), Exit::Usage);
    for word in ["120 training images", "the last one has 1", "--batch-size"] {
        assert!(said.stderr.contains(word), "{}", said.stderr);
    }
    place.run(&line, Exit::Success);
}
