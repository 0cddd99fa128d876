//! `train-head finetune` on small caches of activations.

mod bad_input;
mod resume;

use common::{
    backbone::registry,
    cache::FeatureDtype,
    embed::load_weights,
    exit::Exit,
    head::{Bundle, RunRecord},
    tail::Tensors,
};
use serde_json::Value;

use crate::{
    fixture::{Place, Recipe},
    json,
};

/// The embedded backbone's last block and what is behind it.
pub(crate) const LAST: &str = "--unfreeze stage7,head";

/// Activations of the embedded backbone before its last block, of images of 64×64.
pub(crate) fn recipe() -> Recipe {
    let entry = registry::find("efficientnet-lite0").unwrap();
    let weights = load_weights(entry, None).unwrap().parameters;
    let mut preprocessing = serde_json::to_value(entry.preprocess()).unwrap();
    preprocessing["crop"] = 64.into();
    Recipe {
        backbone: "efficientnet-lite0",
        weights: String::leak(weights.digest().to_owned()),
        preprocessing,
        layer: ("stage6", vec![192, 2, 2]),
        dtype: FeatureDtype::F16,
        noise: 0.5,
        ..Recipe::usual()
    }
}

pub(crate) fn record(place: &Place, run: &str) -> RunRecord {
    Bundle::load(&place.path(run)).unwrap().record
}

pub(crate) fn model(place: &Place, run: &str) -> Tensors {
    let bytes = place.read(&format!("{run}/model.safetensors"));
    Tensors::from_safetensors(&bytes).unwrap().0
}

fn lines(place: &Place, run: &str) -> Vec<Value> {
    let text = String::from_utf8(place.read(&format!("{run}/metrics.jsonl"))).unwrap();
    text.lines().map(json).collect()
}

#[test]
fn a_tuned_model_measures_as_it_did_in_training_and_knows_what_it_is() {
    let place = Place::with(&recipe());
    let line = format!(
        "finetune @cache --out @run {LAST} --epochs 6 --batch-size 8 --lr 0.003 --bn train --json"
    );
    let said = place.run(&line, Exit::Success);
    let result = json(&said.stdout);
    assert!(
        result["validation"]["top1"].as_f64().unwrap() > 0.9,
        "{result}"
    );
    for words in [
        "trains 12 tensors",
        "layer `stage6`, 192×2×2",
        "120 training images",
    ] {
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
    let tuned = record(&place, "run");
    let evaluated = place.run("eval @run @cache --split val --json", Exit::Success);
    let trained = serde_json::to_value(&tuned.training.validation.metrics).unwrap();
    assert_eq!(json(&evaluated.stdout)["metrics"], trained);
    assert_ne!(tuned.identity.weights, tuned.tuned.unwrap().base.weights);
    // The line of the best epoch was of the same model.
    let lines = lines(&place, "run");
    let best = lines.iter().rfind(|line| line["best"] == true).unwrap();
    let seen = best["val_loss"].as_f64().unwrap();
    assert!(
        (seen - trained["loss"].as_f64().unwrap()).abs() < 1e-5,
        "{seen} {trained}"
    );
}

#[test]
fn what_is_frozen_stays_and_what_is_unfrozen_moves() {
    let place = Place::with(&recipe());
    let options = "--epochs 2 --freeze-epochs 0 --quiet";
    for (run, bn) in [("frozen", "frozen"), ("train", "train")] {
        let line = format!(
            "finetune @cache --out @{run} --unfreeze _conv_head,_blocks.15._bn1 --bn {bn} {options}"
        );
        place.run(&line, Exit::Success);
        let tuned = model(&place, run);
        let entry = registry::find("efficientnet-lite0").unwrap();
        let before = load_weights(entry, None).unwrap().parameters;
        let moved = |name: &str| tuned.get(name).unwrap().values != before.get(name).unwrap();
        assert!(moved("_conv_head.weight") && moved("_blocks.15._bn1.bias"));
        for name in [
            "_bn1.bias",
            "_bn1.running_mean",
            "_blocks.15._bn0.weight",
            "_blocks.15._bn2.running_mean",
            "_blocks.15._depthwise_conv.weight",
        ] {
            assert!(!moved(name), "{name}");
        }
        assert_eq!(moved("_blocks.15._bn1.running_mean"), bn == "train");
    }
}

#[test]
fn the_head_of_another_run_is_begun_with() {
    let place = Place::with(&recipe());
    // Too small a rate to move anything.
    let still = "--unfreeze fc --epochs 1 --lr 1e-30 --head-lr 1e-30 --quiet";
    let line = format!("finetune @cache --out @first {still} --seed 4");
    place.run(&line, Exit::Success);
    let line = format!("finetune @cache --out @second {still} --seed 5 --init @first");
    place.run(&line, Exit::Success);
    let line = format!("finetune @cache --out @third {still} --seed 5");
    place.run(&line, Exit::Success);
    let head = |run: &str| place.read(&format!("{run}/head.safetensors"));
    assert!(head("first") == head("second") && head("second") != head("third"));

    let line =
        format!("finetune @cache --out @one {LAST} --epochs 2 --head mlp --hidden 8 --quiet");
    place.run(&line, Exit::Success);
    // Its features are those of the tuned backbone, not of the cache's.
    let line = format!("finetune @cache --out @two {LAST} --epochs 2 --init @one --quiet");
    let said = place.run(&line, Exit::Mismatch);
    assert!(said.stderr.contains("weights is"), "{}", said.stderr);
    assert!(place.path("two/run.json").metadata().is_err());
}

#[test]
fn one_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let place = Place::with(&recipe());
    let line = |run: &str| {
        format!(
            "finetune @cache --out @{run} {LAST} --epochs 3 --bn train --mixup 0.3 --dropout 0.2 --ema 0.9 --clip-norm 1 --quiet"
        )
    };
    place.run_on("1", &line("a"));
    place.run_on("3", &line("b"));
    for file in ["model.safetensors", "head.safetensors", "run.json"] {
        assert!(
            place.read(&format!("a/{file}")) == place.read(&format!("b/{file}")),
            "{file}"
        );
    }
    place.run_on("1", &format!("{} --seed 1", line("c")));
    assert!(place.read("a/model.safetensors") != place.read("c/model.safetensors"));
}

#[test]
fn compare_tells_two_tuned_models_apart_on_a_cache_of_activations() {
    let place = Place::with(&recipe());
    for (run, lr) in [("good", "0.001"), ("bad", "0.0000001")] {
        let line = format!(
            "finetune @cache --out @{run} {LAST} --epochs 3 --batch-size 8 --lr {lr} --quiet"
        );
        place.run(&line, Exit::Success);
    }
    let said = place.run(
        "compare @bad @good @cache --split test --json",
        Exit::Success,
    );
    let top1 = &json(&said.stdout)["top1"];
    assert!(top1[1].as_f64() > top1[0].as_f64(), "{top1}");
}

#[test]
fn an_epoch_takes_one_view_of_every_image() {
    let recipe = Recipe {
        views: 4,
        ..recipe()
    };
    let place = Place::with(&recipe);
    let line = format!("finetune @cache --out @run {LAST} --epochs 2 --json");
    let said = place.run(&line, Exit::Success);
    let words = "120 training images in 4 views and 30 for validation";
    assert!(said.stderr.contains(words), "{}", said.stderr);
    assert_eq!(json(&said.stdout)["train"]["rows"], 120);
}
