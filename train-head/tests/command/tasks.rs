//! Heads on any number of classes and on numbers, with labels from a table.

mod bad_input;

use std::{fmt::Write as _, fs, fs::File, sync::Arc};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use common::{exit::Exit, head::Bundle};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use crate::{
    fixture::{Place, Recipe},
    json,
};

/// The usual cache with `labels.csv`: what its columns say depends on a row's class alone.
pub(super) fn place() -> Place {
    let recipe = Recipe::usual();
    let place = Place::with(&recipe);
    let mut table = String::from("uri,kind,crawls,flies,purrs,names,size,speed\n");
    for (row, (class, _)) in recipe.rows.iter().enumerate() {
        let class = *class as usize;
        let _ = writeln!(
            table,
            "{row:05}.jpg,{},{},{}",
            ["ant", "bee", "cat"][class],
            ["1,0,0,crawls", "true,1,0,flies|crawls", "0,false,1,purrs"][class],
            ["1001,0.001", "1002.5,0.004", "1010,-0.002"][class],
        );
    }
    fs::write(place.path("labels.csv"), table).unwrap();
    place
}

/// The table `labels.csv` with every line but the header changed.
pub(super) fn edited(place: &Place, edit: impl Fn(usize, &str) -> Option<String>) {
    let text = String::from_utf8(place.read("labels.csv")).unwrap();
    let lines = text.lines().enumerate();
    let lines = lines.filter_map(|(number, line)| match number {
        0 => Some(line.to_owned()),
        _ => edit(number - 1, line),
    });
    let lines: Vec<String> = lines.collect();
    fs::write(place.path("labels.csv"), lines.join("\n") + "\n").unwrap();
}

/// A row's fields with field `column` replaced.
pub(super) fn with_field(line: &str, column: usize, text: &str) -> String {
    let mut fields: Vec<&str> = line.split(',').collect();
    fields[column] = text;
    fields.join(",")
}

fn record(place: &Place, run: &str) -> Value {
    json(&String::from_utf8(place.read(&format!("{run}/run.json"))).unwrap())
}

fn real(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

const FLAGS: &str = "--task multi-label --labels @labels.csv --target crawls,flies,purrs";
const SIZES: &str = "--task regression --labels @labels.csv --target size,speed";

#[test]
fn heads_on_any_number_of_classes_learn_and_measure_as_they_did_in_training() {
    let place = place();
    for head in ["linear", "mlp --hidden 12"] {
        for normalise in ["none", "standardise", "l2"] {
            let line = format!(
                "{head} @cache --out @run --overwrite --lr 0.01 --normalise {normalise} {FLAGS} --json"
            );
            let result = json(&place.run(&line, Exit::Success).stdout);
            let precision = &result["validation"]["mean_average_precision"];
            assert!(real(precision) > 0.9, "{result}");
            let run = record(&place, "run");
            assert_eq!(run["format_version"], 2);
            assert_eq!(run["classes"], json(r#"["crawls", "flies", "purrs"]"#));
            assert_eq!(run["task"]["thresholds"].as_array().unwrap().len(), 3);
            let kept = &run["training"]["validation"];
            assert_eq!(kept["class_rows"], json("[20, 10, 10]"));
            let line = "eval @run @cache --labels @labels.csv --split val --json";
            let found = json(&place.run(line, Exit::Success).stdout);
            assert_eq!(found["metrics"], kept["metrics"]);
            let classes = found["per_class"].as_array().unwrap();
            assert_eq!(classes[0]["rows"], 20);
            assert_eq!(classes[1]["threshold"], run["task"]["thresholds"][1]);
        }
    }
    let text = place.run("eval @run @cache --labels @labels.csv", Exit::Success);
    for shown in ["mAP", "micro F1", "exact match", "threshold", "flies"] {
        assert!(text.stdout.contains(shown), "{}", text.stdout);
    }
    let reads = String::from_utf8(place.read("run/test-reads.jsonl")).unwrap();
    assert!(reads.contains("mean_average_precision"), "{reads}");
    let again = place.run("eval @run @cache --labels @labels.csv", Exit::Success);
    assert!(again.stdout.contains("(readings: 1)"), "{}", again.stdout);
}

#[test]
fn names_in_one_column_are_the_same_classes_as_several_columns_of_truth_values() {
    let place = place();
    place.run(&format!("linear @cache --out @a {FLAGS}"), Exit::Success);
    let line = "linear @cache --out @b --task multi-label --labels @labels.csv --target names";
    place.run(line, Exit::Success);
    assert!(place.read("a/head.safetensors") == place.read("b/head.safetensors"));
    // The separator is the run's: `eval` need not be told.
    edited(&place, |_, line| Some(line.replace('|', " ; ")));
    let line = "linear @cache --out @c --task multi-label --labels @labels.csv --target names --separator ;";
    place.run(line, Exit::Success);
    assert!(place.read("a/head.safetensors") == place.read("c/head.safetensors"));
    place.run("eval @c @cache --labels @labels.csv", Exit::Success);
}

#[test]
fn numbers_are_predicted_in_their_own_units_whatever_the_head() {
    let place = place();
    for head in ["linear", "mlp --hidden 12", "linear --loss huber"] {
        for normalise in ["none", "standardise"] {
            let line = format!(
                "{head} @cache --out @run --overwrite --lr 0.01 --normalise {normalise} {SIZES} --json"
            );
            let result = json(&place.run(&line, Exit::Success).stdout);
            assert!(real(&result["validation"]["r2"]) > 0.7, "{result}");
            let run = record(&place, "run");
            assert_eq!(run["task"], json(r#"{"kind": "regression"}"#));
            let kept = &run["training"]["validation"]["metrics"];
            let line = "eval @run @cache --labels @labels.csv --split val --json";
            let found = json(&place.run(line, Exit::Success).stdout);
            assert_eq!(&found["metrics"], kept);
            let targets = kept["targets"].as_array().unwrap();
            assert!(real(&targets[0]["mae"]) < 2.0, "{kept}");
            assert!(real(&targets[1]["mae"]) < 0.002, "{kept}");
        }
    }
    let huber = record(&place, "run");
    assert_eq!(huber["settings"]["loss"], "huber");
    // What the epochs see is the loss on standardised targets, without an accuracy.
    let lines = String::from_utf8(place.read("run/metrics.jsonl")).unwrap();
    let first = json(lines.lines().next().unwrap());
    assert!(first.get("val_accuracy").is_none() && real(&first["val_loss"]) < 3.0);
    let text = place.run("eval @run @cache --labels @labels.csv", Exit::Success);
    for shown in ["R²", "MAE", "RMSE", "speed"] {
        assert!(text.stdout.contains(shown), "{}", text.stdout);
    }
}

#[test]
fn exported_weights_hold_the_scale_of_the_targets() {
    let place = place();
    let train = |out: &str| {
        let line = format!(
            "linear @cache --out @{out} --epochs 5 --task regression --labels @labels.csv --target size"
        );
        place.run(&line, Exit::Success);
        Bundle::load(&place.path(out)).unwrap().head
    };
    let before = train("before");
    edited(&place, |_, line| {
        let size: f64 = line.split(',').nth(6).unwrap().parse().unwrap();
        Some(with_field(line, 6, &format!("{}", (size - 1000.0) * 64.0)))
    });
    let after = train("after");
    let (before, after) = (&before.layers()[0], &after.layers()[0]);
    for (a, b) in before.weight.iter().zip(&after.weight) {
        assert!((a * 64.0 - b).abs() < 1e-3, "{a} {b}");
    }
    let bias = (before.bias[0] - 1000.0) * 64.0;
    assert!((bias - after.bias[0]).abs() < 0.1, "{bias}");
}

#[test]
fn one_label_from_a_table_is_the_same_label_from_the_cache() {
    let place = place();
    place.run("linear @cache --out @cached", Exit::Success);
    let line = "linear @cache --out @csv --labels @labels.csv --target kind";
    place.run(line, Exit::Success);
    let head = |run| Bundle::load(&place.path(run)).unwrap().head;
    assert_eq!(head("cached"), head("csv"));
    let line = "eval @csv @cache --labels @labels.csv --json";
    let found = json(&place.run(line, Exit::Success).stdout);
    let line = "eval @cached @cache --json";
    let expected = json(&place.run(line, Exit::Success).stdout);
    assert_eq!(found["metrics"], expected["metrics"]);
    // A run of the plainest kind is what it was before there were others.
    let run = record(&place, "cached");
    assert_eq!(run["format_version"], 1);
    assert!(run.get("task").is_none() && run["settings"].get("loss").is_none());
    place.run("compare @cached @cached @cache", Exit::Success);
    let line = "linear @cache --out @lbfgs --solver lbfgs --c 1 --labels @labels.csv --target kind";
    place.run(line, Exit::Success);
}

#[test]
fn parquet_tables_with_any_type_of_column_are_read_as_csv_ones() {
    let place = place();
    let rows = Recipe::usual().rows;
    let class = |number: i32| rows.iter().map(move |(class, _)| *class == number);
    let uris = (0..rows.len()).map(|row| format!("{row:05}.jpg"));
    let crawls = rows.iter().map(|(class, _)| i64::from(*class != 2));
    let size = rows
        .iter()
        .map(|(class, _)| [1001.0, 1002.5, 1010.0][*class as usize]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("size", Arc::new(Float64Array::from_iter_values(size))),
        (
            "flies",
            Arc::new(BooleanArray::from_iter(class(1).map(Some))),
        ),
        ("path", Arc::new(StringArray::from_iter_values(uris))),
        ("crawls", Arc::new(Int64Array::from_iter_values(crawls))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(place.path("labels.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for (task, target) in [("multi-label", "crawls,flies"), ("regression", "size")] {
        for (out, table) in [("a", "labels.csv"), ("b", "labels.parquet")] {
            let line = format!(
                "linear @cache --out @{out} --overwrite --epochs 5 --task {task} --labels @{table} --target {target}"
            );
            place.run(&line, Exit::Success);
        }
        assert!(place.read("a/head.safetensors") == place.read("b/head.safetensors"));
    }
}

#[test]
fn rows_without_an_answer_are_left_out_and_counted() {
    for (options, column) in [(FLAGS, 3), (SIZES, 6)] {
        let place = place();
        // Rows 0 to 9 have an empty field, the next five are not in the table at all.
        edited(&place, |row, line| match row {
            0..10 => Some(with_field(line, column, " ")),
            10..15 => None,
            _ => Some(line.to_owned()),
        });
        let said = place.run(
            &format!("linear @cache --out @run {options}"),
            Exit::Success,
        );
        // Two of the rows are of the test split, which is not looked at.
        assert!(
            said.stderr.contains("13 rows without a label"),
            "{}",
            said.stderr
        );
        let run = record(&place, "run");
        assert_eq!(run["training"]["unlabelled_rows"], 13);
        let line = "eval @run @cache --labels @labels.csv --json";
        let found = json(&place.run(line, Exit::Success).stdout);
        assert_eq!(
            (&found["metrics"]["rows"], &found["unlabelled_rows"]),
            (&json("28"), &json("2"))
        );
    }
    // A row that has none of the classes is an answer.
    let place = place();
    edited(&place, |row, line| match row {
        0..10 => Some(with_field(line, 5, "|")),
        _ => Some(line.to_owned()),
    });
    let line = "linear @cache --out @run --task multi-label --labels @labels.csv --target names";
    let said = place.run(line, Exit::Success);
    assert!(!said.stderr.contains("without a label"), "{}", said.stderr);
}

#[test]
fn balanced_weights_and_smoothing_reach_the_loss_of_any_number_of_classes() {
    let place = place();
    let train = |out: &str, options: &str| {
        let line = format!("linear @cache --out @{out} --epochs 3 {options} {FLAGS}");
        place.run(&line, Exit::Success);
        place.read(&format!("{out}/head.safetensors"))
    };
    let plain = train("plain", "");
    assert!(plain != train("balanced", "--class-weights balanced"));
    assert!(plain != train("smoothed", "--label-smoothing 0.1"));
    assert!(plain == train("again", "--class-weights none"));
}

#[test]
fn tasks_give_the_same_bytes_with_any_number_of_threads() {
    let place = place();
    for options in [FLAGS, SIZES] {
        for (out, threads) in [("a", "1"), ("b", "3")] {
            let line = format!(
                "mlp @cache --out @{out} --overwrite --epochs 4 --dropout 0.2 --normalise standardise --quiet {options}"
            );
            place.run_on(threads, &line);
        }
        for file in ["head.safetensors", "run.json"] {
            let read = |run| place.read(&format!("{run}/{file}"));
            assert!(read("a") == read("b"), "{options} {file}");
        }
    }
}

#[test]
fn sweeps_search_for_any_task_and_their_winners_are_runs() {
    let place = place();
    for (options, figure) in [(FLAGS, "mean_average_precision"), (SIZES, "r2")] {
        let line =
            format!("sweep @cache --out @sweep --trials 6 --round 3 --epochs 10 {options} --json");
        let result = json(
            &place
                .run(&format!("{line} --overwrite"), Exit::Success)
                .stdout,
        );
        let loss = real(&result["best"]["figures"]["val_loss"]);
        assert!(loss < 0.6, "{result}");
        let before = record(&place, "sweep/best");
        let result = json(&place.run(&format!("{line} --refit"), Exit::Success).stdout);
        assert_eq!(result["best"]["refit"], true);
        // The head has seen the validation rows; what they chose before stays.
        let after = record(&place, "sweep/best");
        assert_eq!(after["training"]["train"]["origin"], "refit");
        assert!(before["head_sha256"] != after["head_sha256"]);
        assert_eq!(before["task"], after["task"]);
        assert_eq!(
            before["training"]["validation"],
            after["training"]["validation"]
        );
        let line = "eval @sweep/best @cache --labels @labels.csv --json";
        let found = json(&place.run(line, Exit::Success).stdout);
        assert!(real(&found["metrics"][figure]) > 0.5, "{found}");
        // The same command goes on; another task does not.
        let line =
            format!("sweep @cache --out @sweep --trials 6 --round 3 --epochs 10 --refit {options}");
        place.run(&line, Exit::Success);
        place.run("sweep @cache --out @sweep --trials 6", Exit::Usage);
    }
    let line = format!("sweep @cache --out @folds --trials 2 --epochs 3 --folds 3 {FLAGS}");
    place.run(&line, Exit::Success);
    let table = crate::sweep::table(&place, "folds");
    assert_eq!(table.num_rows(), 2);
    for name in ["val_loss", "val_loss_interval", "val_accuracy"] {
        let values = crate::sweep::reals(&table, name);
        assert!(values.iter().all(|value| *value > 0.0), "{name} {values:?}");
    }
}
