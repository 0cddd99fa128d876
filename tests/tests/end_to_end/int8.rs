//! `--precision int8`: one calibration for every run, shard and prediction of
//! a cache, and none that drifts too far.

use std::{fs, path::PathBuf};

use end_to_end::{Ended, Workbench, files_below};
use serde_json::Value;

use crate::{SMALL, extract_small, small_set};

const INT8: [&str; 6] = [
    "--precision",
    "int8",
    "--calibration-images",
    "12",
    "--part-rows",
    "4",
];

fn extract_int8(bench: &Workbench, out: &str, options: &[&str]) -> Ended {
    extract_small(bench, out, &[&INT8[..], options].concat())
}

fn bench() -> Workbench {
    let bench = Workbench::new();
    small_set(&bench, 3, 3);
    bench
}

fn files(bench: &Workbench, cache: &str) -> Vec<(PathBuf, Vec<u8>)> {
    files_below(&bench.path(cache))
}

fn identity(bench: &Workbench, cache: &str) -> Value {
    let manifest = fs::read(bench.path(cache).join("cache.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["identity"].clone()
}

#[test]
fn drift_is_reported_and_the_scales_become_part_of_the_identity() {
    let bench = bench();
    let ended = extract_int8(&bench, "cache", &["--json"])
        .exited(0)
        .saying(&["calibrating int8 on 12 images", "`avgpool`", "worst"]);
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    let drift = &summary["drift"][0];
    assert_eq!(drift["images"], 12);
    assert!(drift["worst"].as_f64().unwrap() > 0.97, "{drift}");
    let identity = identity(&bench, "cache");
    assert_eq!(identity["precision"], "int8");
    assert_eq!(identity["calibration"]["images"], 12);
    assert_eq!(identity["calibration"]["rounding"], 1);
    let values = identity["calibration"]["ranges"]["values"]
        .as_array()
        .unwrap();
    assert!(values.len() > 40);
}

#[test]
fn threads_shards_and_instruction_sets_leave_no_trace() {
    let bench = bench();
    extract_int8(&bench, "whole", &["--threads", "1"]).exited(0);
    let expected = files(&bench, "whole");
    std::thread::scope(|scope| {
        for shard in ["0/3", "1/3", "2/3"] {
            let bench = &bench;
            scope.spawn(move || {
                extract_int8(bench, "shards", &["--threads", "3", "--shard", shard]).exited(0);
            });
        }
    });
    assert!(files(&bench, "shards") == expected);
    let arguments = [
        &["run", "images", "--out", "portable"],
        &SMALL[..],
        &INT8[..],
    ]
    .concat();
    let portable = bench
        .command("extract", &arguments)
        .env("HEADSTART_ISA", "portable")
        .output()
        .unwrap();
    assert!(portable.status.success());
    assert!(files(&bench, "portable") == expected);
}

#[test]
fn a_resumed_run_takes_the_scales_from_the_cache() {
    let bench = bench();
    extract_int8(&bench, "cache", &[]).exited(0);
    let expected = files(&bench, "cache");
    fs::remove_file(bench.path("cache/parts/00001.json")).unwrap();
    let resumed = extract_int8(&bench, "cache", &[]).exited(0);
    assert!(!resumed.stderr.contains("calibrating"), "{resumed:?}");
    assert!(files(&bench, "cache") == expected);
}

#[test]
fn too_much_drift_is_refused_and_leaves_no_cache() {
    let bench = bench();
    extract_int8(&bench, "cache", &["--min-cosine", "1.5"])
        .exited(3)
        .saying(&["drifts too far", "--precision f32", "--min-cosine"]);
    assert!(!bench.path("cache").exists());
}

#[test]
fn other_precisions_and_samples_are_refused() {
    let bench = bench();
    extract_int8(&bench, "int8", &[]).exited(0);
    extract_small(&bench, "f32", &["--part-rows", "4"]).exited(0);
    extract_small(&bench, "int8", &["--part-rows", "4"])
        .exited(4)
        .saying(&["precision is \"int8\", not \"f32\""]);
    extract_int8(&bench, "f32", &[])
        .exited(4)
        .saying(&["precision is f32, not int8"]);
    extract_int8(&bench, "int8", &["--seed", "7"])
        .exited(4)
        .saying(&["calibration.seed is 0, not 7"]);
}

#[test]
fn a_head_serves_images_and_caches_of_its_own_calibration() {
    let bench = bench();
    extract_int8(&bench, "cache", &[]).exited(0);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    bench
        .train_head(&["predict", "run", "images/test", "--json"])
        .exited(0);
    extract_int8(&bench, "other", &["--seed", "7"]).exited(0);
    bench
        .train_head(&["eval", "run", "other", "--split", "test"])
        .exited(4)
        .saying(&["calibration"]);
    extract_int8(&bench, "like", &["--calibration-from", "cache"]).exited(0);
    bench
        .train_head(&["eval", "run", "like", "--split", "test"])
        .exited(0);
    assert_eq!(identity(&bench, "like"), identity(&bench, "cache"));
}

#[test]
fn a_calibration_is_taken_from_int8_caches_only() {
    let bench = bench();
    extract_small(&bench, "f32", &[]).exited(0);
    extract_int8(&bench, "cache", &["--calibration-from", "f32"])
        .exited(2)
        .saying(&["--calibration-from", "precision is f32"]);
}
