//! `train-head` on real caches: what it writes, prints and refuses.

use std::fs;

use end_to_end::Workbench;
use safetensors::SafeTensors;

use crate::{extract_small, json, small_set};

pub(crate) fn bench_with_cache(options: &[&str]) -> Workbench {
    let bench = Workbench::new();
    small_set(&bench, 3, 6);
    extract_small(&bench, "cache", options).exited(0);
    bench
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

#[test]
fn a_training_that_fails_leaves_the_old_run_whole() {
    let bench = bench_with_cache(&[]);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    let before = end_to_end::files_below(&bench.path("run"));
    let diverging = [
        "--optimizer=sgd",
        "--weight-decay=1",
        "--lr=1e30",
        "--batch-size=4",
    ];
    let arguments = ["linear", "cache", "--out", "run", "--overwrite"];
    bench
        .train_head(&[&arguments[..], &diverging].concat())
        .exited(1)
        .saying(&["nothing is kept"]);
    assert!(before == end_to_end::files_below(&bench.path("run")));
}

#[test]
fn what_a_killed_training_left_is_removed_and_no_obstacle() {
    let bench = bench_with_cache(&[]);
    fs::create_dir(bench.path("run")).unwrap();
    let events = "events.out.tfevents.train-head";
    for name in ["metrics.jsonl", "events.train-head"] {
        fs::write(bench.path(&format!("run/.{name}.x1y2z3.tmp")), "{}").unwrap();
    }
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    assert_eq!(
        crate::sorted_names(&bench.path("run")),
        [events, "head.safetensors", "metrics.jsonl", "run.json"]
    );
}
