//! `train-head` as its users run it, on small caches.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod audit;
mod finetune;
mod fixture;
mod history;
mod judging;
mod memory;
mod probe;
mod solvers;
mod sweep;
mod tasks;

use common::{
    cache::{FeatureDtype, FileFormat},
    exit::Exit,
    source::Split,
};
use fixture::{Place, Recipe};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn heads_learn_and_are_evaluated_from_both_formats_and_dtypes() {
    for (format, dtype) in [
        (FileFormat::Arrow, FeatureDtype::F32),
        (FileFormat::Arrow, FeatureDtype::F16),
        (FileFormat::Parquet, FeatureDtype::F16),
    ] {
        let recipe = Recipe {
            format,
            dtype,
            ..Recipe::usual()
        };
        let place = Place::with(&recipe);
        for head in ["linear", "mlp --hidden 12"] {
            let line = format!("{head} @cache --out @run --overwrite --lr 0.01 --json");
            let result = json(&place.run(&line, Exit::Success).stdout);
            assert!(
                result["validation"]["top1"].as_f64().unwrap() > 0.9,
                "{result}"
            );
            let said = place.run("eval @run @cache --split test --json", Exit::Success);
            let metrics = &json(&said.stdout)["metrics"];
            assert_eq!(metrics["rows"], 30);
            assert!(metrics["top1"].as_f64().unwrap() > 0.9, "{metrics}");
        }
    }
}

#[test]
fn same_seed_gives_the_same_bytes_with_any_number_of_threads() {
    let place = Place::with(&Recipe::usual());
    let options = "--epochs 5 --dropout 0.2 --normalise standardise --quiet";
    for (out, threads) in [("a", "1"), ("b", "1"), ("c", "3")] {
        place.run_on(threads, &format!("mlp @cache --out @{out} {options}"));
    }
    let first = place.read("a/head.safetensors");
    assert!(first == place.read("b/head.safetensors"));
    assert!(first == place.read("c/head.safetensors"));
    let line = format!("mlp @cache --out @d --seed 1 {options}");
    place.run(&line, Exit::Success);
    assert!(first != place.read("d/head.safetensors"));
}

#[test]
fn arrow_and_parquet_train_the_same_head() {
    let parquet = Recipe {
        format: FileFormat::Parquet,
        ..Recipe::usual()
    };
    let weights = |recipe: &Recipe| {
        let place = Place::with(recipe);
        place.run("linear @cache --out @run --epochs 3", Exit::Success);
        place.read("run/head.safetensors")
    };
    assert!(weights(&Recipe::usual()) == weights(&parquet));
}

#[test]
fn exported_head_measures_as_it_did_in_training_whatever_the_normalisation() {
    let place = Place::with(&Recipe::usual());
    for normalise in ["none", "l2", "standardise"] {
        let line = format!("linear @cache --out @run --overwrite --normalise {normalise}");
        let said = place.run(&line, Exit::Success);
        assert_eq!(said.stderr.contains("L2-normalised"), normalise == "l2");
        let run = json(&String::from_utf8(place.read("run/run.json")).unwrap());
        let trained = &run["training"]["validation"]["metrics"];
        let said = place.run("eval @run @cache --split val --json", Exit::Success);
        assert_eq!(&json(&said.stdout)["metrics"], trained, "{normalise}");

        // The last epoch marked as best saw the head before it was folded.
        let lines = String::from_utf8(place.read("run/metrics.jsonl")).unwrap();
        let best = lines
            .lines()
            .map(json)
            .rfind(|line| line["best"] == true)
            .unwrap();
        assert_eq!(best["epoch"], run["training"]["best_epoch"]);
        let (seen, exported) = (best["val_loss"].as_f64(), trained["loss"].as_f64());
        assert!(
            (seen.unwrap() - exported.unwrap()).abs() < 1e-5,
            "{seen:?} {exported:?}"
        );
    }
}

#[test]
fn existing_run_is_kept_unless_overwritten() {
    let place = Place::with(&Recipe::usual());
    place.run("linear @cache --out @run --epochs 2", Exit::Success);
    let before = place.read("run/head.safetensors");
    let said = place.run("linear @cache --out @run --epochs 3", Exit::Usage);
    assert!(said.stderr.contains("--overwrite"), "{}", said.stderr);
    assert!(before == place.read("run/head.safetensors"));
    place.run(
        "linear @cache --out @run --epochs 3 --overwrite",
        Exit::Success,
    );
    assert!(before != place.read("run/head.safetensors"));
}

#[test]
fn quiet_is_quiet_and_json_is_alone_on_standard_output() {
    let place = Place::with(&Recipe::usual());
    let said = place.run("linear @cache --out @a --epochs 2 --quiet", Exit::Success);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    let said = place.run("linear @cache --out @b --epochs 2 --json", Exit::Success);
    assert_eq!(json(&said.stdout)["epochs"], 2);
    assert!(said.stderr.contains("epoch  train loss"), "{}", said.stderr);
}

#[test]
fn source_without_validation_gets_a_drawn_split_and_unlabelled_rows_are_said() {
    let mut recipe = Recipe::usual();
    for row in &mut recipe.rows {
        row.1 = Split::None;
    }
    recipe.rows.extend([(-1, Split::None); 7]);
    let place = Place::with(&recipe);
    let said = place.run("linear @cache --out @run", Exit::Success);
    assert!(
        said.stderr.contains("7 rows without a label"),
        "{}",
        said.stderr
    );
    let run = json(&String::from_utf8(place.read("run/run.json")).unwrap());
    let validation = &run["training"]["validation"];
    assert_eq!(validation["origin"], "drawn");
    assert_eq!(validation["class_rows"], json("[12, 12, 12]"));
}

#[test]
fn unusable_caches_are_named_with_the_remedy() {
    let usual = Recipe::usual;
    let only = |split: Split| {
        let rows = usual().rows.into_iter().filter(|row| row.1 == split);
        Recipe {
            rows: rows.collect(),
            ..usual()
        }
    };
    let mut empty_class = usual();
    empty_class.rows.retain(|row| row.0 != 1);
    let one_class = Recipe {
        classes: vec!["ant"],
        rows: vec![(0, Split::None); 20],
        ..usual()
    };
    let map = Recipe {
        layer: ("layer3", vec![4, 2, 2]),
        ..usual()
    };
    for (recipe, said) in [
        (empty_class, "class `bee` has no row in the training split"),
        (one_class, "1 class in the cache"),
        (only(Split::Test), "the training split has no labelled row"),
        (map, "run `extract run --layer avgpool`"),
    ] {
        let place = Place::with(&recipe);
        let stderr = place.run("linear @cache --out @run", Exit::Input).stderr;
        assert!(stderr.contains(said), "{stderr}");
        assert!(!place.path("run/run.json").exists());
    }
}

#[test]
fn feature_that_is_not_a_number_is_named_by_its_image() {
    let place = Place::with(&Recipe::usual());
    place.damage_first_row();
    for command in ["linear", "sweep", "audit"] {
        let line = format!("{command} @cache --out @run");
        let stderr = place.run(&line, Exit::Input).stderr;
        assert!(stderr.contains("`00000.jpg`: feature 5 is NaN"), "{stderr}");
    }
}

#[test]
fn head_of_another_backbone_or_other_classes_is_refused() {
    let place = Place::with(&Recipe::usual());
    place.run("linear @cache --out @run --epochs 2", Exit::Success);
    let other = Recipe {
        weights: "two",
        ..Recipe::usual()
    };
    other.write(&place.path("other"));
    let stderr = place.run("eval @run @other", Exit::Mismatch).stderr;
    assert!(
        stderr.contains(r#"weights is "two", not "one""#),
        "{stderr}"
    );
    let classes = Recipe {
        classes: vec!["ant", "bee", "dog"],
        ..Recipe::usual()
    };
    classes.write(&place.path("classes"));
    let stderr = place.run("eval @run @classes", Exit::Mismatch).stderr;
    assert!(
        stderr.contains("class `dog` is not one of the head's"),
        "{stderr}"
    );
}

#[test]
fn split_without_rows_says_what_there_is() {
    let mut recipe = Recipe::usual();
    recipe.rows.retain(|row| row.1 != Split::Test);
    let place = Place::with(&recipe);
    place.run("linear @cache --out @run --epochs 2", Exit::Success);
    let stderr = place.run("eval @run @cache", Exit::Input).stderr;
    assert!(stderr.contains("it holds: train 120, val 30"), "{stderr}");
}

#[test]
fn diverging_training_stops_loudly_and_keeps_the_last_good_head() {
    let place = Place::with(&Recipe::usual());
    // A step multiplies the weights by 1 − rate · decay: this many times a step
    // leaves the range of f32 in the first epoch of 15 steps, or in a later one.
    let options = "--optimizer sgd --momentum 0 --batch-size 8 --weight-decay 1";
    let line = format!("linear @cache --out @run {options} --lr 1e6");
    let stderr = place.run(&line, Exit::Failure).stderr;
    assert!(
        stderr.contains("NaN or infinite in epoch 1: nothing is kept"),
        "{stderr}"
    );

    let line = format!("linear @cache --out @run {options} --lr 12");
    let stderr = place.run(&line, Exit::Failure).stderr;
    assert!(stderr.contains("is kept in"), "{stderr}");
    place.run("eval @run @cache", Exit::Success);
}

#[test]
fn signal_keeps_the_best_head_so_far() {
    let place = Place::with(&Recipe::usual());
    for (signal, exit) in [("-INT", Exit::Interrupted), ("-TERM", Exit::Terminated)] {
        let line = "linear @cache --out @run --overwrite --epochs 100000000 --patience 0 --lr 1e-9";
        let said = place.interrupt(line, "best", (signal, exit));
        assert!(
            said.contains("stopped by a signal"),
            "{}",
            &said[said.len() - 300..]
        );
        place.run("eval @run @cache", Exit::Success);
    }
}

#[test]
fn folder_that_another_program_writes_to_is_refused_and_left_alone() {
    let place = Place::with(&Recipe::usual());
    let endless = "--epochs 100000000 --patience 0";
    for (first, word, out, others) in [
        (
            "linear @cache --out @run --lr 1e-9",
            "best",
            "run",
            ["linear", "mlp"],
        ),
        (
            "sweep @cache --out @sweep --trials 4",
            "of 4",
            "sweep",
            ["sweep", "audit"],
        ),
    ] {
        let line = format!("{first} {endless}");
        place.disturb(&line, word, Exit::Interrupted, |child| {
            let before = names(&place, out);
            for command in others {
                let line = format!("{command} @cache --out @{out} --overwrite");
                let stderr = place.run(&line, Exit::Usage).stderr;
                assert!(
                    stderr.contains("another program is writing to it"),
                    "{stderr}"
                );
            }
            assert_eq!(names(&place, out), before);
            fixture::send("-INT", child);
        });
    }
    // What is in the making has names of no curve.
    assert!(place.path("run/events.out.tfevents.train-head").exists());
}

/// Names of the files in `folder`, in order.
fn names(place: &Place, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.path(folder)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let curves = names.iter().filter(|name| name.contains("tfevents"));
    assert!(
        curves.clone().all(|name| !name.starts_with('.')),
        "{names:?}"
    );
    names
}

#[test]
fn command_line_errors_end_with_the_documented_code() {
    let place = Place::with(&Recipe::usual());
    place.run("linear @cache", Exit::Usage);
    place.run("linear @cache --out @run --dropout 2", Exit::Usage);
    place.run("--help", Exit::Success);
    place.run("linear @nowhere --out @run", Exit::Input);
    assert!(!place.path("run").exists());
    place.run("eval @cache @cache", Exit::Input);
}
