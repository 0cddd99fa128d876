//! Sweeps whose trials fine-tune.

use std::fs;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::UInt32Type,
};
use common::exit::Exit;
use serde_json::Value;

use super::{reals, table};
use crate::{
    finetune::{LAST, recipe, record},
    fixture::Place,
    json,
};

const DEGREES: &str = "--unfreeze fc --unfreeze _conv_head --unfreeze stage7,head";

const SPACE: &str = "\
learning_rate = { low = 1e-4, high = 1e-2, scale = \"log\" }
layer_decay = [0.5, 1.0]
dropout = [0.0, 0.2]
mixup = [0.0, 0.3]
bn = [\"frozen\", \"train\"]
ema = [0.0, 0.9]
";

const OPTIONS: &str = "--space @space.toml --round 3 --epochs 4 --quiet";

/// A cache of activations and a space.
fn place() -> Place {
    let place = Place::with(&recipe());
    fs::write(place.path("space.toml"), SPACE).unwrap();
    place
}

fn words<'a>(table: &'a RecordBatch, name: &str) -> Vec<&'a str> {
    table[name].as_string::<i32>().iter().flatten().collect()
}

fn epochs(table: &RecordBatch) -> Vec<u32> {
    table["epochs"]
        .as_primitive::<UInt32Type>()
        .values()
        .to_vec()
}

#[test]
fn winner_is_a_run_that_eval_accepts_and_the_table_has_every_trial_with_its_degree() {
    let place = place();
    let line = format!("sweep @cache --out @sweep {DEGREES} {OPTIONS} --trials 6 --json");
    let result = json(&place.run(&line, Exit::Success).stdout);
    let table = table(&place, "sweep");
    assert_eq!(table.num_rows(), 6);
    let degrees = words(&table, "unfreeze");
    let known = ["fc", "_conv_head", "stage7,head"];
    assert!(degrees.iter().all(|degree| known.contains(degree)));
    assert_eq!(degrees.len(), 6);

    let best = result["best"]["trial"].as_u64().unwrap() as usize;
    let accuracies = reals(&table, "val_accuracy");
    assert!(
        accuracies
            .iter()
            .all(|accuracy| *accuracy <= accuracies[best])
    );
    assert_eq!(result["best"]["parameters"]["unfreeze"], degrees[best]);
    let run = record(&place, "sweep/best");
    let patterns: Vec<Value> = degrees[best].split(',').map(Value::from).collect();
    assert_eq!(run.settings["unfreeze"], Value::from(patterns));
    let kept = &run.training;
    let (seen, told) = (kept.validation.metrics.top1(), accuracies[best]);
    assert_eq!(seen, Some(told));
    let said = place.run("eval @sweep/best @cache --split val --json", Exit::Success);
    assert_eq!(json(&said.stdout)["metrics"]["top1"], told);
    let lines = place.read("sweep/best/metrics.jsonl");
    let lines = String::from_utf8(lines).unwrap();
    assert_eq!(lines.lines().count(), epochs(&table)[best] as usize);
    assert!(!place.path("sweep/trials").exists());
}

#[test]
fn winner_trained_alone_by_the_plain_command_has_the_same_bytes() {
    let place = Place::with(&recipe());
    let space = "learning_rate = [1e-3, 1e-6]\nbn = \"train\"\nmixup = 0.2\nema = 0.5";
    fs::write(place.path("space.toml"), space).unwrap();
    place.run(
        "sweep @cache --out @sweep --unfreeze stage7,head --space @space.toml --search grid --epochs 4 --survivors 1 --quiet",
        Exit::Success,
    );
    let rate = &record(&place, "sweep/best").settings["learning_rate"];
    let line = format!(
        "finetune @cache --out @run {LAST} --lr {rate} --bn train --mixup 0.2 --ema 0.5 --epochs 4 --quiet"
    );
    place.run(&line, Exit::Success);
    for file in ["model.safetensors", "head.safetensors", "run.json"] {
        let (swept, plain) = (format!("sweep/best/{file}"), format!("run/{file}"));
        assert!(place.read(&swept) == place.read(&plain), "{file}");
    }
}

#[test]
fn sweep_that_was_stopped_within_a_round_ends_as_if_it_had_not_been() {
    let place = place();
    let options = "--space @space.toml --round 3 --trials 6 --epochs 16 --patience 0";
    let line = |out: &str| format!("sweep @cache --out @{out} {DEGREES} {options}");
    place.run(&line("whole"), Exit::Success);
    // The second round has begun, and one of its trials is at the first rung.
    let said = place.interrupt(
        &line("cut"),
        "trial 3 at epoch 2",
        ("-TERM", Exit::Terminated),
    );
    assert!(said.contains("3 of 6 trials are over"), "{said}");
    assert!(
        place
            .path("cut/trials/3-3/3.0/checkpoint.safetensors")
            .exists()
    );
    place.run(&line("cut"), Exit::Success);
    let files = ["trials.parquet", "best/model.safetensors", "best/run.json"];
    let same = |file: &str| {
        let (whole, cut) = (format!("whole/{file}"), format!("cut/{file}"));
        place.read(&whole) == place.read(&cut)
    };
    assert_eq!(files.map(same), [true; 3]);
    assert!(!place.path("cut/trials").exists());
    // A sweep that is over has nothing left to do, but for a winner that was lost.
    fs::remove_dir_all(place.path("cut/best")).unwrap();
    place.run(&line("cut"), Exit::Success);
    assert_eq!(files.map(same), [true; 3]);
    assert!(!place.path("cut/trials").exists());
}

#[test]
fn hopeless_trials_end_early() {
    let place = place();
    let line = "sweep @cache --out @sweep --unfreeze fc --space @space.toml --round 6 --trials 6 --epochs 9 --patience 0 --quiet";
    place.run(line, Exit::Success);
    let table = table(&place, "sweep");
    // Behind the one epoch of the head alone, three go on after 1, two after 2, one after 4 of 8.
    let mut sorted = epochs(&table);
    sorted.sort_unstable();
    assert_eq!(sorted, [2, 2, 2, 3, 5, 9]);
    for (status, epochs) in words(&table, "status").iter().zip(epochs(&table)) {
        assert_eq!(*status, if epochs == 9 { "done" } else { "halved" });
    }
}

#[test]
fn seeds_give_means_with_intervals_and_a_head_is_begun_with() {
    let place = place();
    place.run(
        "finetune @cache --out @first --unfreeze fc --epochs 2 --quiet",
        Exit::Success,
    );
    let line = format!("sweep @cache --out @sweep {DEGREES} {OPTIONS} --trials 2 --seeds 2 --json");
    let result = json(&place.run(&line, Exit::Success).stdout);
    let interval = result["best"]["intervals"]["val_loss"].as_f64().unwrap();
    assert!(interval > 0.0 && interval.is_finite());
    // With fc alone the tuned backbone is the cache's.
    let line = format!("sweep @cache --out @warm {DEGREES} {OPTIONS} --trials 3 --init @first");
    place.run(&line, Exit::Success);
    let settings = record(&place, "warm/best").settings;
    assert_eq!(settings["warm_head"], true);
    assert_eq!(settings["freeze_epochs"], 0);
}

#[test]
fn diverging_trials_are_told_of_and_do_not_win() {
    let place = Place::with(&recipe());
    let space = "optimizer = \"sgd\"\nlearning_rate = [1e-3, 1e30]\nhead_learning_rate = 0.01";
    fs::write(place.path("space.toml"), space).unwrap();
    let line = format!(
        "sweep @cache --out @sweep {LAST} --space @space.toml --search grid --epochs 3 --json"
    );
    let result = json(&place.run(&line, Exit::Success).stdout);
    assert_eq!(result["status"]["diverged"], 1);
    assert_eq!(result["best"]["trial"], 0);
    fs::write(place.path("space.toml"), space.replace("1e-3, ", "")).unwrap();
    let line = line.replace("@sweep", "@lost");
    let said = place.run(&line, Exit::Failure);
    assert!(said.stderr.contains("in all 1 trials"), "{}", said.stderr);
}

#[test]
fn degrees_names_and_options_that_do_not_fit_are_refused_with_the_remedy() {
    let place = place();
    let run = |options: &str, exit, words: &[&str]| {
        let said = place.run(&format!("sweep @cache --out @sweep {options}"), exit);
        for word in words {
            assert!(said.stderr.contains(word), "{options}: {}", said.stderr);
        }
        assert!(!place.path("sweep").exists());
    };
    for (options, exit, words) in [
        (
            "--unfreeze stage7 --unfreeze stage6",
            Exit::Input,
            &["--unfreeze stage6 needs `stage5`", "extract run"][..],
        ),
        (
            "--unfreeze fc --unfreeze layer4",
            Exit::Usage,
            &["layer4", "stage7"],
        ),
        (
            "--unfreeze fc --unfreeze fc",
            Exit::Usage,
            &["`fc` given twice"],
        ),
        (
            "--unfreeze fc --folds 3",
            Exit::Usage,
            &["--unfreeze", "--folds"],
        ),
        ("--unfreeze fc --refit", Exit::Usage, &["--refit"]),
        ("--unfreeze fc --layer stage6", Exit::Usage, &["--layer"]),
        ("--unfreeze fc --cache @other", Exit::Usage, &["--cache"]),
        (
            "--unfreeze fc --labels @t.csv --target a --task regression",
            Exit::Usage,
            &["--labels"],
        ),
        ("--init @run", Exit::Usage, &["--unfreeze"]),
        (
            "--unfreeze fc --freeze-epochs 20",
            Exit::Usage,
            &["--freeze-epochs"],
        ),
        ("--unfreeze fc --init @none", Exit::Input, &["none"]),
    ] {
        run(options, exit, words);
    }
    for (space, said) in [
        ("solver = \"lbfgs\"", "unknown name `solver`"),
        ("layer_decay = 2.0", "at most 1"),
        ("unfreeze = [\"fc\"]", "give --unfreeze several times"),
    ] {
        fs::write(place.path("space.toml"), space).unwrap();
        let options = "--unfreeze fc --space @space.toml";
        run(options, Exit::Input, &[said, "space.toml"]);
    }
    fs::write(place.path("space.toml"), "hidden = [0, 8]").unwrap();
    let options = "--unfreeze fc --space @space.toml --init @run";
    run(options, Exit::Input, &["`hidden`", "--init"]);
}

#[test]
fn sweep_of_another_kind_is_refused_and_the_printed_space_is_the_one_that_is_searched() {
    let place = place();
    let options = "--trials 2 --epochs 2 --quiet";
    place.run(
        &format!("sweep @cache --out @a --unfreeze fc {options}"),
        Exit::Success,
    );
    let said = place.run(
        &format!("sweep @cache --out @a --unfreeze fc {options} --seed 1"),
        Exit::Usage,
    );
    assert!(said.stderr.contains("--overwrite"), "{}", said.stderr);
    let printed = place.run("sweep --print-space --unfreeze fc", Exit::Success);
    fs::write(place.path("space.toml"), printed.stdout).unwrap();
    place.run(
        &format!("sweep @cache --out @b --unfreeze fc --space @space.toml {options}"),
        Exit::Success,
    );
    assert!(place.read("a/trials.parquet") == place.read("b/trials.parquet"));
}
