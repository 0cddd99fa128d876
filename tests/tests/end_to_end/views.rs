//! `--views` and `--augment`: several rows an image, in every respect that one row has.

use std::{collections::BTreeMap, fs};

use common::{cache::CacheReader, source::Split};
use end_to_end::{Ended, Workbench, files_below};
use serde_json::Value;

use crate::{
    determinism::{assert_same, start_and_wait_for_a_part},
    extract_small, json, small_set,
};

/// Four rows a training image.
const VIEWS: [&str; 6] = ["--views", "3", "--augment", "crop-flip", "--part-rows", "4"];

fn extract_views(bench: &Workbench, out: &str, options: &[&str]) -> Ended {
    extract_small(bench, out, &[&VIEWS[..], options].concat())
}

/// Features by id and view, and the split of every id.
fn rows(bench: &Workbench, cache: &str) -> BTreeMap<(u64, u8), (Split, Vec<f32>)> {
    let reader = CacheReader::open(&bench.path(cache)).unwrap();
    let (mut rows, mut last) = (BTreeMap::new(), None);
    for batch in reader.batches("avgpool").unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.rows() {
            let key = (batch.ids()[row], batch.views()[row]);
            assert!(last < Some(key), "rows ascend by id, then view");
            last = Some(key);
            let mut values = vec![0.0; batch.dim()];
            batch.copy_row(row, &mut values);
            rows.insert(key, (batch.split(row), values));
        }
    }
    rows
}

#[test]
fn training_images_have_views_and_all_have_the_plain_one() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    extract_small(&bench, "plain", &[]).exited(0);
    let ended = extract_views(&bench, "cache", &["--json"])
        .exited(0)
        .saying(&["3 augmented views of each training image"]);
    assert_eq!(json(&ended.stdout)["images"], 18);
    let (plain, views) = (rows(&bench, "plain"), rows(&bench, "cache"));
    assert_eq!(views.len(), 6 * 4 + 12);
    for (&(id, view), (split, values)) in &views {
        assert!(view == 0 || *split == Split::Train);
        let (_, original) = &plain[&(id, 0)];
        assert_eq!(view == 0, values == original, "image {id}, view {view}");
    }
    let different: std::collections::HashSet<Vec<u32>> = views
        .values()
        .map(|(_, values)| values.iter().map(|value| value.to_bits()).collect())
        .collect();
    assert_eq!(different.len(), views.len());

    bench.extract(&["verify", "cache"]).exited(0);
    let status = bench.extract(&["status", "cache"]).exited(0).stdout;
    assert!(status.contains("images       18"), "{status}");
    let line = "views        4 of each training image: one plain, 3 by crop-flip";
    assert!(status.contains(line), "{status}");
    let status = bench.extract(&["status", "cache", "--json"]).exited(0);
    let identity = &json(&status.stdout)["manifest"]["identity"];
    assert_eq!(
        (&identity["views"], &identity["seed"]),
        (&4.into(), &0.into())
    );
}

#[test]
fn another_seed_makes_other_views_and_the_same_plain_ones() {
    let bench = Workbench::new();
    small_set(&bench, 1, 2);
    extract_views(&bench, "one", &[]).exited(0);
    extract_views(&bench, "two", &["--seed", "1"]).exited(0);
    let (one, two) = (rows(&bench, "one"), rows(&bench, "two"));
    for (key, (_, values)) in one {
        assert_eq!(values == two[&key].1, key.1 == 0, "{key:?}");
    }
}

#[test]
fn threads_and_shards_leave_no_trace_and_a_killed_run_resumes() {
    let bench = Workbench::new();
    let mut run = start_and_wait_for_a_part(&bench, &VIEWS);
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(crate::sorted_names(&bench.path("cache/parts")).len() < 150);
    extract_views(&bench, "cache", &[])
        .exited(0)
        .saying(&["resuming"]);

    extract_views(&bench, "expected", &["--threads", "1"]).exited(0);
    let expected = files_below(&bench.path("expected"));
    assert_same(&bench, "cache", &expected);
    for shard in ["1/2", "0/2"] {
        extract_views(&bench, "shards", &["--threads", "3", "--shard", shard]).exited(0);
    }
    assert_same(&bench, "shards", &expected);
}

#[test]
fn another_augmentation_is_refused_with_the_differing_fields() {
    let bench = Workbench::new();
    small_set(&bench, 1, 2);
    extract_views(&bench, "cache", &[]).exited(0);
    let before = files_below(&bench.path("cache"));
    let more = ["--views", "4", "--augment", "crop-flip"];
    extract_small(&bench, "cache", &more)
        .exited(4)
        .saying(&["views is 4, not 5"]);
    extract_views(&bench, "cache", &["--seed", "2"])
        .exited(4)
        .saying(&["seed is 0, not 2"]);
    extract_small(&bench, "cache", &[]).exited(4).saying(&[
        "views is 4, not 1",
        "augment is \"crop-flip, scale 0.08 to 1, ratio 3/4 to 4/3, flip 0.5\", not none",
        "seed is 0, not none",
    ]);
    extract_small(&bench, "plain", &[]).exited(0);
    extract_views(&bench, "plain", &[])
        .exited(4)
        .saying(&["views is 1, not 4"]);
    extract_views(&bench, "cache", &[]).exited(0);
    assert_same(&bench, "cache", &before);
}

#[test]
fn options_that_do_not_go_together_are_refused_with_the_remedy() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    let refused = |options: &[&str], words: &[&str]| {
        extract_small(&bench, "cache", options)
            .exited(2)
            .saying(words);
        assert!(!bench.path("cache").exists());
    };
    refused(&["--views", "3"], &["add --augment crop-flip"]);
    refused(&["--augment", "crop-flip"], &["add --views"]);
    refused(&["--views", "0", "--augment", "crop-flip"], &["1..=254"]);
    refused(&["--views", "255", "--augment", "crop-flip"], &["1..=254"]);
    refused(
        &["--views", "2", "--augment", "flip"],
        &["choose crop-flip"],
    );
    let fast = [&VIEWS[..], &["--decode", "fast"]].concat();
    refused(&fast, &["use --decode exact"]);
}

#[test]
fn rejects_shift_no_view_and_new_images_leave_finished_parts_alone() {
    let bench = Workbench::new();
    small_set(&bench, 1, 3);
    let folder = bench.path("images/train/ankle-boot");
    let names = crate::sorted_names(&folder);
    fs::write(folder.join(&names[1]), b"no image").unwrap();
    extract_views(&bench, "cache", &["--max-rejects", "1"])
        .exited(0)
        .saying(&["rejected `train/ankle-boot/"]);
    bench.extract(&["verify", "cache"]).exited(0);
    let before = rows(&bench, "cache");
    // Test images come first in the plan, then the training images 3 to 5.
    let training: Vec<_> = before
        .keys()
        .filter(|key| (3..6).contains(&key.0))
        .collect();
    let expected = [3, 5].map(|id| [0, 1, 2, 3].map(|view| (id, view)));
    assert!(training.into_iter().eq(expected.as_flattened()));
    assert_eq!(before.len(), 2 * 4 + 6);

    fs::copy(folder.join(&names[0]), folder.join("zz.png")).unwrap();
    let grow = ["--max-rejects", "1", "--append"];
    extract_views(&bench, "cache", &grow).exited(0);
    bench.extract(&["verify", "cache"]).exited(0);
    let after = rows(&bench, "cache");
    assert_eq!(after.len(), before.len() + 4);
    for (key, row) in before {
        assert_eq!(after[&key], row);
    }
}

#[test]
fn int8_has_views_too() {
    let bench = Workbench::new();
    small_set(&bench, 1, 3);
    let int8 = ["--precision", "int8", "--calibration-images", "9"];
    extract_views(&bench, "cache", &int8).exited(0);
    extract_views(&bench, "exact", &[]).exited(0);
    let (int8, exact) = (rows(&bench, "cache"), rows(&bench, "exact"));
    assert_eq!(int8.len(), exact.len());
    for (key, (_, values)) in int8 {
        let cosine = cosine(&values, &exact[&key].1);
        assert!(cosine > 0.97, "{key:?}: {cosine}");
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn heads_learn_from_views_and_are_judged_on_plain_ones() {
    let bench = Workbench::new();
    small_set(&bench, 3, 6);
    extract_small(&bench, "plain", &[]).exited(0);
    extract_views(&bench, "cache", &[]).exited(0);
    let train = |kind: &str, run: &str, options: &[&str]| -> Value {
        let arguments = [&[kind, "cache", "--out", run], options].concat();
        bench
            .train_head(&arguments)
            .exited(0)
            .saying(&["augmented views of 18 images: an epoch sees one view of each"]);
        json(&fs::read_to_string(bench.path(run).join("run.json")).unwrap())
    };
    for (kind, run, options) in [
        ("linear", "linear", &["--epochs", "3"][..]),
        ("linear", "lbfgs", &["--solver", "lbfgs"][..]),
        ("mlp", "mlp", &["--epochs", "3", "--hidden", "8"][..]),
    ] {
        let record = train(kind, run, options);
        for split in ["train", "validation"] {
            assert_eq!(record["training"][split]["class_rows"], json("[6, 6, 6]"));
        }
        let eval = |cache: &str| {
            let ended = bench.train_head(&["eval", run, cache, "--split", "test", "--json"]);
            json(&ended.exited(0).stdout)["metrics"].clone()
        };
        assert_eq!(eval("cache"), eval("plain"));
    }
    let predicted = bench.train_head(&["predict", "mlp", "images/test/bag", "--json"]);
    let predicted = json(&predicted.exited(0).stdout);
    assert_eq!(predicted.as_array().map(Vec::len), Some(6));
    let compared = ["compare", "linear", "mlp", "cache"];
    bench.train_head(&compared).exited(0);
}

#[test]
fn sweeps_probes_and_audits_take_caches_with_views() {
    let bench = Workbench::new();
    small_set(&bench, 3, 6);
    extract_views(&bench, "cache", &[]).exited(0);
    let sweep = "sweep cache --out sweep --trials 4 --round 4 --epochs 2 --refit";
    let sweep: Vec<&str> = sweep.split(' ').collect();
    bench.train_head(&sweep).exited(0);
    let best = fs::read_to_string(bench.path("sweep/best/run.json")).unwrap();
    let rows = json(&best)["training"]["train"]["class_rows"].clone();
    assert_eq!(rows, json("[12, 12, 12]"));
    let probe = bench.train_head(&["probe", "cache", "--json"]).exited(0);
    assert_eq!(json(&probe.stdout)["training_rows"], 18);
    let audit = ["audit", "cache", "--out", "audit", "--json"];
    let audit = json(&bench.train_head(&audit).exited(0).stdout);
    assert_eq!(audit["rows"], 54, "{audit}");
}

#[test]
fn the_folder_of_a_run_stands_for_its_weights() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    let weights = end_to_end::data_path("weights/efficientnet-lite0.safetensors");
    fs::create_dir(bench.path("run")).unwrap();
    extract_small(&bench, "cache", &["--weights", "run"])
        .exited(3)
        .saying(&["`run`", "holds no `model.safetensors`"]);
    fs::copy(weights, bench.path("run/model.safetensors")).unwrap();
    extract_small(&bench, "cache", &["--weights", "run"]).exited(0);
    extract_small(&bench, "embedded", &[]).exited(0);
    assert_same(&bench, "cache", &files_below(&bench.path("embedded")));
}
