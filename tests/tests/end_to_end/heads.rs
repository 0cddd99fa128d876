//! `train-head` on real caches: what it writes, prints and refuses.

use std::fs;

use end_to_end::Workbench;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::{extract_small, small_set};

fn bench_with_cache(options: &[&str]) -> Workbench {
    let bench = Workbench::new();
    small_set(&bench, 3, 6);
    extract_small(&bench, "cache", options).exited(0);
    bench
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn heads_learn_and_are_written_with_torchvision_names() {
    let bench = bench_with_cache(&[]);
    for (kind, names) in [
        ("linear", vec!["fc.bias", "fc.weight"]),
        (
            "mlp",
            vec!["fc.0.bias", "fc.0.weight", "fc.2.bias", "fc.2.weight"],
        ),
    ] {
        bench.train_head(&[kind, "cache", "--out", kind]).exited(0);
        let bytes = fs::read(bench.path(kind).join("head.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let mut found = tensors.names();
        found.sort_unstable();
        assert_eq!(found, names);
        let ended = bench
            .train_head(&["eval", kind, "cache", "--split", "test", "--json"])
            .exited(0);
        let top1 = json(&ended.stdout)["metrics"]["top1"].as_f64().unwrap();
        assert!(top1 > 0.6, "{kind} is right on {top1} of the test images");
        let metrics = fs::read_to_string(bench.path(kind).join("metrics.jsonl")).unwrap();
        assert!(metrics.lines().all(|line| json(line).is_object()));
    }
}

#[test]
fn the_same_seed_gives_the_same_head_from_either_format() {
    let bench = bench_with_cache(&[]);
    extract_small(&bench, "parquet", &["--format", "parquet"]).exited(0);
    bench.train_head(&["mlp", "cache", "--out", "a"]).exited(0);
    bench.train_head(&["mlp", "cache", "--out", "b"]).exited(0);
    bench
        .train_head(&["mlp", "parquet", "--out", "c"])
        .exited(0);
    bench
        .train_head(&["mlp", "cache", "--out", "d", "--seed", "5"])
        .exited(0);
    let head = |run: &str| fs::read(bench.path(run).join("head.safetensors")).unwrap();
    assert_eq!(head("a"), head("b"));
    assert_eq!(head("a"), head("c"));
    assert_ne!(head("a"), head("d"));
}

#[test]
fn predictions_on_files_are_those_on_the_cache() {
    let bench = bench_with_cache(&[]);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    let ended = bench
        .train_head(&["predict", "run", "images/test", "--top", "1", "--json"])
        .exited(0);
    let predictions = json(&ended.stdout);
    let predictions = predictions.as_array().unwrap();
    assert_eq!(predictions.len(), 18);
    let right = predictions.iter().filter(|prediction| {
        let class = prediction["top"][0]["class"].as_str().unwrap();
        prediction["image"]
            .as_str()
            .unwrap()
            .contains(&format!("/{class}/"))
    });
    let eval = bench
        .train_head(&["eval", "run", "cache", "--split", "test", "--json"])
        .exited(0);
    let top1 = json(&eval.stdout)["metrics"]["top1"].as_f64().unwrap();
    assert_eq!((top1 * 18.0).round() as usize, right.count());
}

#[test]
fn a_bad_image_is_reported_skipped_and_shows_in_the_exit_code() {
    let bench = bench_with_cache(&[]);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    fs::write(bench.path("bad.jpg"), "no picture").unwrap();
    let image = crate::sorted_names(&bench.path("images/test/bag")).remove(0);
    let image = format!("images/test/bag/{image}");
    let ended = bench
        .train_head(&["predict", "run", "bad.jpg", &image])
        .exited(3)
        .saying(&["bad.jpg"]);
    assert!(ended.stdout.contains(&image), "{}", ended.stdout);
}

#[test]
fn other_weights_are_refused_with_the_differing_field() {
    let bench = bench_with_cache(&[]);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    // The same network with one value changed.
    let mut weights = fs::read(end_to_end::data_path(
        "weights/efficientnet-lite0.safetensors",
    ))
    .unwrap();
    let last = weights.len() - 2;
    let stem = weights
        .windows(2)
        .skip(100_000)
        .position(|pair| pair[0] != pair[1])
        .unwrap()
        + 100_000;
    weights[stem] ^= 1;
    weights[last] ^= 1;
    fs::write(bench.path("other.safetensors"), weights).unwrap();
    bench
        .train_head(&[
            "predict",
            "run",
            "images/test/bag",
            "--weights",
            "other.safetensors",
        ])
        .exited(4)
        .saying(&["weights", "run"]);
}

#[test]
fn eval_on_a_cache_of_other_features_is_refused() {
    let bench = bench_with_cache(&[]);
    extract_small(&bench, "other", &["--exif", "apply"]).exited(0);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    bench
        .train_head(&["eval", "run", "other"])
        .exited(4)
        .saying(&["exif"]);
}

#[test]
fn an_incomplete_cache_is_refused_with_the_remedy() {
    let bench = Workbench::new();
    small_set(&bench, 3, 6);
    extract_small(&bench, "cache", &["--part-rows", "10", "--shard", "0/2"]).exited(0);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(3)
        .saying(&["cache", "extract run"]);
    assert!(!bench.path("run/head.safetensors").exists());
}

#[test]
fn a_class_with_one_image_trains_and_is_said() {
    let bench = Workbench::new();
    crate::copy_images(&bench, "train", "images", [2, 5]);
    crate::copy_images(&bench, "test", "lonely", [3, 1]);
    let lonely = crate::sorted_names(&bench.path("lonely")).remove(2);
    fs::rename(
        bench.path("lonely").join(&lonely),
        bench.path("images").join(&lonely),
    )
    .unwrap();
    extract_small(&bench, "cache", &[]).exited(0);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0)
        .saying(&[&lonely]);
}

#[test]
fn one_class_only_is_refused() {
    let bench = Workbench::new();
    small_set(&bench, 1, 4);
    extract_small(&bench, "cache", &[]).exited(0);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(3)
        .saying(&["class"]);
}

#[test]
fn an_existing_run_is_replaced_only_on_request() {
    let bench = bench_with_cache(&[]);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(2)
        .saying(&["run", "--overwrite"]);
    bench
        .train_head(&["linear", "cache", "--out", "run", "--overwrite"])
        .exited(0);
}
