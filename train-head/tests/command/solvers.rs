//! `train-head linear` with the convex solvers.

use common::{cache::FileFormat, exit::Exit};
use serde_json::Value;

use crate::{
    fixture::{Place, Recipe},
    json,
};

fn record(place: &Place, run: &str) -> Value {
    let bytes = place.read(&format!("{run}/run.json"));
    json(&String::from_utf8(bytes).unwrap())
}

#[test]
fn a_path_keeps_the_point_that_is_best_on_validation() {
    let place = Place::with(&Recipe::usual());
    for (solver, parameter, values) in [
        ("lbfgs", "c", "1e-4,0.01,1,100"),
        ("ridge", "lambda", "1e4,1,0.01"),
    ] {
        for normalise in ["none", "standardise", "l2"] {
            let line = format!(
                "linear @cache --out @run --overwrite --solver {solver} --{parameter} {values} --normalise {normalise} --json"
            );
            let said = place.run(&line, Exit::Success);
            let result = json(&said.stdout);
            let run = record(&place, "run");
            let path = &run["training"]["path"];
            assert_eq!(&result["path"], path);
            assert_eq!(path["parameter"], parameter);
            assert_eq!(run["settings"]["solver"], solver);
            let points = path["points"].as_array().unwrap();
            assert_eq!(points.len(), values.split(',').count());
            let best = run["training"]["best_epoch"].as_u64().unwrap() as usize - 1;
            let nll = |point: &Value| point["validation_nll"].as_f64().unwrap();
            assert!(points.iter().all(|point| nll(point) >= nll(&points[best])));
            assert!(result["validation"]["top1"].as_f64().unwrap() > 0.9);
            // The exported head measures as the one on the path did.
            let said = place.run("eval @run @cache --split val --json", Exit::Success);
            let found = json(&said.stdout)["calibration"]["after"]["nll"]
                .as_f64()
                .unwrap();
            assert!((found - nll(&points[best])).abs() < 1e-4, "{found}");
            let temperature = run["temperature"].as_f64().unwrap();
            let fitted = points[best]["temperature"].as_f64().unwrap();
            assert!(
                (temperature / fitted - 1.0).abs() < 1e-2,
                "{temperature} {fitted}"
            );
        }
    }
}

#[test]
fn solvers_give_the_same_bytes_with_any_number_of_threads_and_from_any_format() {
    let place = Place::with(&Recipe::usual());
    let parquet = Recipe {
        format: FileFormat::Parquet,
        ..Recipe::usual()
    };
    parquet.write(&place.path("parquet"));
    for solver in ["lbfgs", "ridge"] {
        for (out, cache, threads) in [
            ("a", "cache", "1"),
            ("b", "cache", "3"),
            ("c", "parquet", "2"),
        ] {
            let line =
                format!("linear @{cache} --out @{out} --overwrite --solver {solver} --quiet");
            place.run_on(threads, &line);
        }
        let first = place.read("a/head.safetensors");
        assert!(first == place.read("b/head.safetensors"), "{solver}");
        assert!(first == place.read("c/head.safetensors"), "{solver}");
    }
}

#[test]
fn optimum_at_the_end_of_the_path_is_said() {
    let place = Place::with(&Recipe::usual());
    let line = "linear @cache --out @run --solver lbfgs --c 1e-6,1e-5";
    let stderr = place.run(line, Exit::Success).stderr;
    assert!(stderr.contains("is at the end of the path"), "{stderr}");
    let line = "linear @cache --out @one --solver lbfgs --c 1e-6";
    let stderr = place.run(line, Exit::Success).stderr;
    assert!(!stderr.contains("end of the path"), "{stderr}");
}

#[test]
fn the_older_option_name_is_the_same_option() {
    let place = Place::with(&Recipe::usual());
    place.run(
        "linear @cache --out @a --solver adamw --epochs 2",
        Exit::Success,
    );
    place.run(
        "linear @cache --out @b --optimizer adamw --epochs 2",
        Exit::Success,
    );
    assert!(place.read("a/head.safetensors") == place.read("b/head.safetensors"));
}

#[test]
fn options_that_a_solver_has_no_use_for_are_refused() {
    let place = Place::with(&Recipe::usual());
    for (command, named) in [
        ("linear @cache --out @run --c 1", "--c: only lbfgs"),
        (
            "linear @cache --out @run --solver lbfgs --lambda 1",
            "--lambda: only ridge",
        ),
        (
            "linear @cache --out @run --solver lbfgs --c 0",
            "--c: 0 given",
        ),
        (
            "linear @cache --out @run --solver ridge --lambda=-1",
            "--lambda: -1 given",
        ),
        (
            "linear @cache --out @run --solver lbfgs --epochs 3",
            "--epochs: ",
        ),
        (
            "linear @cache --out @run --solver lbfgs --dropout 0.1",
            "--dropout: ",
        ),
        (
            "linear @cache --out @run --solver ridge --class-weights balanced",
            "--class-weights: ",
        ),
        ("mlp @cache --out @run --solver lbfgs", "linear heads only"),
    ] {
        let stderr = place.run(command, Exit::Usage).stderr;
        assert!(stderr.contains(named), "{command}: {stderr}");
        assert!(!place.path("run").exists());
    }
}

#[test]
fn balanced_sampling_is_recorded_and_finds_a_rare_class_more_often() {
    let mut recipe = Recipe {
        noise: 3.0,
        ..Recipe::usual()
    };
    // Of the second class one training row in eight is left.
    let mut seen = 0;
    recipe.rows.retain(|(label, split)| {
        seen += usize::from(*label == 1);
        *label != 1 || *split != common::source::Split::Train || seen % 8 == 0
    });
    let place = Place::with(&recipe);
    let recall = |sampling: &str| {
        let line = format!(
            "linear @cache --out @run --overwrite --epochs 40 --patience 0 --lr 0.01 --sampling {sampling}"
        );
        place.run(&line, Exit::Success);
        assert_eq!(record(&place, "run")["settings"]["sampling"], sampling);
        let said = place.run("eval @run @cache --split all --json", Exit::Success);
        json(&said.stdout)["per_class"][1]["recall"]
            .as_f64()
            .unwrap()
    };
    let (shuffled, balanced) = (recall("shuffle"), recall("balanced"));
    assert!(balanced > shuffled, "{balanced} {shuffled}");
}
