//! `train-head sweep` on small caches.

mod bad_input;
mod convex;
mod finetuning;

use std::fs::{self, File};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Float64Type, UInt32Type},
};
use common::{exit::Exit, head::Bundle};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::{
    fixture::{Place, Recipe},
    json,
};

const SPACE: &str = "\
learning_rate = { low = 1e-3, high = 0.1, scale = \"log\" }
batch_size = [32, 64]
dropout = [0.0, 0.2]
hidden = [0, 8]
normalise = [\"none\", \"l2\", \"standardise\"]
solver = [\"adam\", \"adamw\"]
";

const OPTIONS: &str = "--space @space.toml --round 6 --epochs 12 --patience 4 --quiet";

/// A cache and a space.
fn place() -> Place {
    let place = Place::with(&Recipe::usual());
    fs::write(place.path("space.toml"), SPACE).unwrap();
    place
}

pub(crate) fn table(place: &Place, sweep: &str) -> RecordBatch {
    let file = File::open(place.path(&format!("{sweep}/trials.parquet"))).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    reader.next().unwrap().unwrap()
}

pub(crate) fn reals<'a>(table: &'a RecordBatch, name: &str) -> &'a [f64] {
    table[name].as_primitive::<Float64Type>().values()
}

#[test]
fn winner_is_a_run_that_eval_accepts_and_the_table_has_every_trial() {
    let place = place();
    for search in ["bayes", "random"] {
        let line =
            format!("sweep @cache --out @{search} --search {search} {OPTIONS} --trials 12 --json");
        let result = json(&place.run(&line, Exit::Success).stdout);
        assert_eq!(result["trials"], 12);
        let table = table(&place, search);
        assert_eq!(table.num_rows(), 12);
        let best = result["best"]["trial"].as_u64().unwrap() as usize;
        let accuracies = reals(&table, "val_accuracy");
        assert!(
            accuracies
                .iter()
                .all(|accuracy| *accuracy <= accuracies[best])
        );
        let rates = reals(&table, "learning_rate");
        let is_best = |rate: &Value| rate.as_f64() == Some(rates[best]);
        assert!(is_best(&result["best"]["parameters"]["learning_rate"]));

        let run = Bundle::load(&place.path(&format!("{search}/best")))
            .unwrap()
            .record;
        assert!(is_best(&run.settings["learning_rate"]));
        let kept = &run.training;
        assert_eq!(kept.validation.metrics.top1(), Some(accuracies[best]));
        let best_epochs = table["best_epoch"].as_primitive::<UInt32Type>();
        assert_eq!(kept.best_epoch, best_epochs.value(best));
        let said = place.run(
            &format!("eval @{search}/best @cache --split test --json"),
            Exit::Success,
        );
        assert!(json(&said.stdout)["metrics"]["top1"].as_f64().unwrap() > 0.8);
    }
}

#[test]
fn winner_trained_alone_by_the_plain_command_has_the_same_weights() {
    let place = Place::with(&Recipe::usual());
    fs::write(place.path("space.toml"), "learning_rate = [0.003, 0.01, 0.03]\nhidden = [0, 8]\nnormalise = [\"none\", \"standardise\"]").unwrap();
    let options = "--space @space.toml --search grid --epochs 8 --survivors 1";
    place.run(
        &format!("sweep @cache --out @sweep {options}"),
        Exit::Success,
    );
    let settings = Bundle::load(&place.path("sweep/best"))
        .unwrap()
        .record
        .settings;
    let head = Bundle::load(&place.path("sweep/best")).unwrap().head.kind();
    let command = match head {
        common::head::HeadKind::Linear => "linear".to_owned(),
        common::head::HeadKind::Mlp { hidden } => format!("mlp --hidden {hidden}"),
    };
    let word = |name: &str| match &settings[name] {
        Value::String(word) => word.clone(),
        other => other.to_string(),
    };
    let line = format!(
        "{command} @cache --out @run --epochs 8 --lr {} --normalise {}",
        word("learning_rate"),
        word("normalise")
    );
    place.run(&line, Exit::Success);
    assert!(place.read("run/head.safetensors") == place.read("sweep/best/head.safetensors"));
}

#[test]
fn sweep_that_was_cut_short_ends_as_if_it_had_not_been() {
    let place = place();
    place.run(
        &format!("sweep @cache --out @whole {OPTIONS} --trials 12"),
        Exit::Success,
    );
    // What a kill in the second round leaves behind: the first round, and a temporary file.
    place.run(
        &format!("sweep @cache --out @cut {OPTIONS} --trials 6"),
        Exit::Success,
    );
    fs::write(place.path("cut/.trials.parquet.tmp"), b"PAR1").unwrap();
    place.run(
        &format!("sweep @cache --out @cut {OPTIONS} --trials 12"),
        Exit::Success,
    );
    for file in ["trials.parquet", "best/head.safetensors", "best/run.json"] {
        let (whole, cut) = (format!("whole/{file}"), format!("cut/{file}"));
        assert!(place.read(&whole) == place.read(&cut), "{file}");
    }
    // A sweep that is over has nothing left to do, but for a winner that was lost.
    fs::remove_dir_all(place.path("cut/best")).unwrap();
    place.run(
        &format!("sweep @cache --out @cut {OPTIONS} --trials 12"),
        Exit::Success,
    );
    assert!(place.read("whole/best/head.safetensors") == place.read("cut/best/head.safetensors"));
}

#[test]
fn signal_keeps_the_rounds_that_are_over_and_the_best_head() {
    let place = place();
    let options = OPTIONS.replace("--quiet", "");
    let line = format!("sweep @cache --out @sweep {options} --trials 100000");
    let said = place.interrupt(&line, "best so far", ("-INT", Exit::Interrupted));
    assert!(said.contains("go on with the same command"), "{said}");
    let table = table(&place, "sweep");
    let over = table.num_rows();
    assert!(over >= 6 && over.is_multiple_of(6), "{over}");
    place.run("eval @sweep/best @cache", Exit::Success);
    place.run(
        &format!("sweep @cache --out @sweep {OPTIONS} --trials {over}"),
        Exit::Success,
    );
    let run = Bundle::load(&place.path("sweep/best")).unwrap().record;
    assert_ne!(run.training.ended_by, "signal");
    let accuracies = table["val_accuracy"].as_primitive::<Float64Type>();
    let best = accuracies.values().iter().copied().fold(0.0, f64::max);
    assert_eq!(run.training.validation.metrics.top1(), Some(best));
}

#[test]
fn hopeless_trials_end_early() {
    let place = place();
    let halving = "--space @space.toml --round 6 --quiet";
    place.run(
        &format!("sweep @cache --out @sweep {halving} --trials 12 --epochs 16 --patience 0"),
        Exit::Success,
    );
    let table = table(&place, "sweep");
    let epochs = table["epochs"].as_primitive::<UInt32Type>().values();
    let statuses: Vec<&str> = table["status"]
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    // Of six trials three go on after 2 epochs, two after 4, one after 8.
    for round in epochs.chunks(6) {
        let mut round = round.to_vec();
        round.sort_unstable();
        assert_eq!(round, [2, 2, 2, 4, 8, 16]);
    }
    for (status, epochs) in statuses.iter().zip(epochs) {
        assert_eq!(*status, if *epochs == 16 { "done" } else { "halved" });
    }
    place.run(
        &format!(
            "sweep @cache --out @all {halving} --trials 3 --epochs 5 --patience 0 --survivors 1"
        ),
        Exit::Success,
    );
    let all = crate::sweep::table(&place, "all");
    assert_eq!(
        all["epochs"].as_primitive::<UInt32Type>().values(),
        &[5, 5, 5]
    );
}

#[test]
fn seeds_and_folds_give_means_with_intervals_and_refit_uses_all_rows() {
    let place = place();
    let line = format!("sweep @cache --out @sweep {OPTIONS} --trials 4 --seeds 2 --folds 3 --json");
    let result = json(&place.run(&line, Exit::Success).stdout);
    let interval = result["best"]["intervals"]["val_loss"].as_f64().unwrap();
    assert!(interval > 0.0 && interval.is_finite());
    let table = table(&place, "sweep");
    assert_eq!(table["val_accuracy_interval"].null_count(), 0);

    let line = format!("sweep @cache --out @refit {OPTIONS} --trials 6 --refit");
    place.run(&line.replace("--refit", ""), Exit::Success);
    let record = || Bundle::load(&place.path("refit/best")).unwrap().record;
    let (temperature, before) = (record().temperature, record().training);
    place.run(&line, Exit::Success);
    let after = record().training;
    assert_eq!(record().temperature, temperature);
    assert_eq!(after.train.origin, "refit");
    assert_eq!(
        (before.train.metrics.rows(), after.train.metrics.rows()),
        (120, 150)
    );
    assert_eq!(before.validation, after.validation);
    assert_eq!(before.best_epoch, after.epochs);
    // What is there is not refitted again, and is said to be what it is whether asked for or not.
    let bytes = place.read("refit/best/run.json");
    for line in [line.as_str(), &line.replace("--refit", "")] {
        let result = json(&place.run(&format!("{line} --json"), Exit::Success).stdout);
        assert_eq!(result["best"]["refit"], true);
        assert!(bytes == place.read("refit/best/run.json"));
    }
    place.run("eval @refit/best @cache", Exit::Success);
}

#[test]
fn caches_of_the_same_images_are_searched_and_others_refused() {
    let place = place();
    let clean = Recipe {
        weights: "two",
        noise: 0.1,
        ..Recipe::usual()
    };
    clean.write(&place.path("clean"));
    let line = format!(
        "sweep @cache --cache {} --out @sweep {OPTIONS} --trials 12 --objective loss --json",
        place.path("clean").display()
    );
    let result = json(&place.run(&line, Exit::Success).stdout);
    let chosen = result["best"]["parameters"]["cache"].as_str().unwrap();
    assert!(chosen.ends_with("clean"), "{chosen}");
    place.run("eval @sweep/best @clean", Exit::Success);
    place.run("eval @sweep/best @cache", Exit::Mismatch);

    let mut fewer = Recipe::usual();
    fewer.rows.truncate(170);
    fewer.write(&place.path("fewer"));
    let line = format!(
        "sweep @cache --cache {} --out @other {OPTIONS} --trials 12",
        place.path("fewer").display()
    );
    let said = place.run(&line, Exit::Mismatch).stderr;
    assert!(said.contains("not the same images"), "{said}");
}

#[test]
fn printed_space_is_the_one_that_is_searched() {
    let place = Place::with(&Recipe::usual());
    let printed = place.run("sweep --print-space", Exit::Success).stdout;
    fs::write(place.path("space.toml"), printed).unwrap();
    let options = "--trials 3 --epochs 2 --quiet";
    place.run(&format!("sweep @cache --out @a {options}"), Exit::Success);
    place.run(
        &format!("sweep @cache --out @b --space @space.toml {options}"),
        Exit::Success,
    );
    assert!(place.read("a/trials.parquet") == place.read("b/trials.parquet"));
}

#[test]
fn logistic_regression_is_one_of_the_solvers_and_its_head_is_that_of_the_plain_command() {
    let place = Place::with(&Recipe::usual());
    fs::write(place.path("space.toml"), "solver = \"lbfgs\"\nc = 0.3").unwrap();
    let line = "sweep @cache --out @one --space @space.toml --search grid --json";
    let result = json(&place.run(line, Exit::Success).stdout);
    assert_eq!(result["trials"], 1);
    assert_eq!(result["best"]["parameters"]["c"], 0.3);
    place.run(
        "linear @cache --out @run --solver lbfgs --c 0.3",
        Exit::Success,
    );
    for file in ["head.safetensors", "run.json"] {
        let (swept, plain) = (format!("one/best/{file}"), format!("run/{file}"));
        assert!(place.read(&swept) == place.read(&plain), "{file}");
    }
}

#[test]
fn path_over_c_shares_a_round_with_steps_and_a_lost_winner_is_found_on_it_again() {
    let place = Place::with(&Recipe::usual());
    let space = "solver = [\"adamw\", \"lbfgs\"]\nlearning_rate = [1e-7, 2e-7]\nc = [0.01, 0.1, 1.0]\nnormalise = [\"none\", \"standardise\"]";
    fs::write(place.path("space.toml"), space).unwrap();
    let line = "sweep @cache --out @sweep --space @space.toml --search grid --epochs 4 --json";
    let result = json(&place.run(line, Exit::Success).stdout);
    // Two learning rates or three values of C, each with both normalisations.
    assert_eq!(result["trials"], 10);
    assert_eq!(result["best"]["parameters"]["solver"], "lbfgs");
    assert_eq!(result["best"]["parameters"]["learning_rate"], Value::Null);
    let table = table(&place, "sweep");
    assert_eq!(table["c"].null_count(), 4);
    assert_eq!(table["learning_rate"].null_count(), 6);
    let best = place.read("sweep/best/head.safetensors");
    fs::remove_dir_all(place.path("sweep/best")).unwrap();
    place.run(line, Exit::Success);
    assert!(best == place.read("sweep/best/head.safetensors"));
    place.run(&format!("{line} --refit"), Exit::Success);
    let refitted = Bundle::load(&place.path("sweep/best")).unwrap().record;
    assert_eq!(refitted.training.train.origin, "refit");
    assert_eq!(refitted.training.train.metrics.rows(), 150);
    assert!(best != place.read("sweep/best/head.safetensors"));
}
