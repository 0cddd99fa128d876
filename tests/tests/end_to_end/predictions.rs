//! `train-head predict`: the whole path on new images.

use std::{collections::BTreeMap, fs};

use common::{
    cache::CacheReader,
    head::{Bundle, Head, Normalisation, TaskRecord, statistics::sigmoid},
};
use end_to_end::Workbench;

use crate::{heads::bench_with_cache, json};

fn bench_with_run(options: &[&str]) -> Workbench {
    let bench = bench_with_cache(&[]);
    let arguments = [&["linear", "cache", "--out", "run"], options].concat();
    bench.train_head(&arguments).exited(0);
    bench
}

/// Every class with its probability, best first.
type Ranking = Vec<(String, f64)>;

/// What the run's head says of every cached image, by uri.
fn from_cache(bench: &Workbench) -> BTreeMap<String, Ranking> {
    let Bundle { head, record } = Bundle::load(&bench.path("run")).unwrap();
    assert_eq!(record.normalise_features, Normalisation::None);
    let ranking = |logits: Vec<f32>| {
        let powers = logits.into_iter();
        let powers: Vec<f64> = powers
            .map(|logit| (f64::from(logit) / record.temperature).exp())
            .collect();
        let sum: f64 = powers.iter().sum();
        let shares = powers.iter().map(|power| power / sum);
        let mut ranking: Ranking = record.classes.iter().cloned().zip(shares).collect();
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranking
    };
    let outputs = outputs(bench, &head).into_iter();
    outputs
        .map(|(uri, logits)| (uri, ranking(logits)))
        .collect()
}

/// What `head` gives for the features of every cached image, by uri.
fn outputs(bench: &Workbench, head: &Head) -> BTreeMap<String, Vec<f32>> {
    let reader = CacheReader::open(&bench.path("cache")).unwrap();
    let mut outputs = BTreeMap::new();
    for batch in reader.batches("avgpool").unwrap() {
        let batch = batch.unwrap();
        let mut features = vec![0.0; batch.dim()];
        for row in 0..batch.rows() {
            batch.copy_row(row, &mut features);
            outputs.insert(batch.uri(row).to_owned(), head.logits(&features));
        }
    }
    outputs
}

#[test]
fn predictions_on_files_are_those_on_the_cache() {
    let bench = bench_with_run(&[]);
    let expected = from_cache(&bench);
    let ended = bench
        .train_head(&["predict", "run", "images", "--top", "3", "--json"])
        .exited(0);
    let predictions = json(&ended.stdout);
    let predictions = predictions.as_array().unwrap();
    assert_eq!(predictions.len(), expected.len());
    for prediction in predictions {
        let image = prediction["image"].as_str().unwrap();
        let expected = &expected[image.strip_prefix("images/").unwrap()];
        let found = prediction["top"].as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, (class, probability)) in found.iter().zip(expected) {
            let share = found["probability"].as_f64().unwrap();
            assert_eq!(found["class"], **class, "{image}");
            assert!((share - probability).abs() < 1e-4, "{image}: {share}");
        }
    }
}

#[test]
fn threads_change_neither_the_order_nor_a_byte_of_the_predictions() {
    let bench = bench_with_run(&[]);
    fs::write(bench.path("images/test/bag/00-bad.jpg"), "no picture").unwrap();
    for format in [&["--json"][..], &[]] {
        let predict = |threads: &str| {
            let arguments = [&["predict", "run", "images", "--threads", threads], format];
            bench.train_head(&arguments.concat()).exited(3).stdout
        };
        let one = predict("1");
        assert!(one.contains("images/val/"), "{one}");
        assert_eq!(one, predict("5"));
    }
}

#[test]
fn a_bad_image_is_reported_skipped_and_shows_in_the_exit_code() {
    let bench = bench_with_run(&[]);
    fs::write(bench.path("bad.jpg"), "no picture").unwrap();
    let image = crate::sorted_names(&bench.path("images/test/bag")).remove(0);
    let image = format!("images/test/bag/{image}");
    let ended = bench
        .train_head(&["predict", "run", "bad.jpg", "absent.jpg", &image])
        .exited(3)
        .saying(&["warning: `bad.jpg`", "warning: `absent.jpg`"]);
    assert!(ended.stdout.contains(&image), "{}", ended.stdout);
}

#[test]
fn an_image_of_more_pixels_than_allowed_is_refused_with_the_remedy() {
    let bench = bench_with_run(&[]);
    bench
        .train_head(&["predict", "run", "images/test/bag", "--max-pixels", "100"])
        .exited(3)
        .saying(&["28×28", "--max-pixels 784"]);
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

/// Writes `labels.csv`: of every cached image which class it is of and a number.
fn label_table(bench: &Workbench) {
    let reader = CacheReader::open(&bench.path("cache")).unwrap();
    let mut table = String::from("uri,first,second,number\n");
    for row in reader.plan().rows() {
        let (first, second) = (row.label == 0, row.label <= 1);
        let number = 100 - 10 * row.label;
        table += &format!("{},{first},{second},{number}\n", row.uri);
    }
    fs::write(bench.path("labels.csv"), table).unwrap();
}

#[test]
fn predictions_of_any_number_of_classes_and_of_numbers_are_those_on_the_cache() {
    let bench = bench_with_cache(&[]);
    label_table(&bench);
    for (task, columns) in [("multi-label", "first,second"), ("regression", "number")] {
        let table = ["--labels", "labels.csv", "--target", columns];
        let arguments = [
            "linear",
            "cache",
            "--out",
            "run",
            "--overwrite",
            "--task",
            task,
        ];
        bench
            .train_head(&[&arguments[..], &table[..]].concat())
            .exited(0);
        let Bundle { head, record } = Bundle::load(&bench.path("run")).unwrap();
        let expected = outputs(&bench, &head);
        let ended = bench
            .train_head(&["predict", "run", "images", "--json"])
            .exited(0);
        let predictions = json(&ended.stdout);
        let predictions = predictions.as_array().unwrap();
        assert_eq!(predictions.len(), expected.len());
        for prediction in predictions {
            let image = prediction["image"].as_str().unwrap();
            let outputs = &expected[image.strip_prefix("images/").unwrap()];
            let TaskRecord::MultiLabel { thresholds } = &record.task else {
                let value = prediction["values"][0]["value"].as_f64().unwrap();
                assert!((value - f64::from(outputs[0])).abs() < 0.05, "{image}");
                continue;
            };
            let labels = prediction["labels"].as_array().unwrap();
            let named = |class: &str| labels.iter().any(|label| label["class"] == class);
            for ((output, threshold), class) in
                outputs.iter().zip(thresholds).zip(["first", "second"])
            {
                let probability = sigmoid(*output);
                // The features differ in the last places.
                if (probability - threshold).abs() > 1e-4 {
                    assert_eq!(named(class), probability >= *threshold, "{image} {class}");
                }
            }
        }
        let ended = bench
            .train_head(&["predict", "run", "images/test"])
            .exited(0);
        let shown = if task == "regression" {
            ": number "
        } else {
            "first "
        };
        assert!(ended.stdout.contains(shown), "{}", ended.stdout);
    }
}
