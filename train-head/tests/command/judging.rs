//! What `eval` and `compare` find and write down.

use common::exit::Exit;

use crate::{
    fixture::{Place, Recipe},
    json,
};

/// Classes that overlap, so that there are mistakes.
fn noisy() -> Place {
    Place::with(&Recipe {
        noise: 3.0,
        ..Recipe::usual()
    })
}

#[test]
fn temperature_of_the_validation_rows_makes_their_likelihood_larger() {
    let place = noisy();
    place.run(
        "linear @cache --out @run --epochs 60 --patience 0 --lr 0.1",
        Exit::Success,
    );
    let found = json(
        &place
            .run("eval @run @cache --split val --json", Exit::Success)
            .stdout,
    );
    let nll = |when: &str| found["calibration"][when]["nll"].as_f64().unwrap();
    assert!(nll("after") < nll("before"), "{found}");
    assert!(found["temperature"].as_f64().unwrap() != 1.0);
    assert!((nll("before") - found["metrics"]["loss"].as_f64().unwrap()).abs() < 1e-5);
}

#[test]
fn eval_gives_intervals_around_the_figures_and_every_class() {
    let place = noisy();
    place.run("linear @cache --out @run --epochs 5", Exit::Success);
    let found = json(&place.run("eval @run @cache --json", Exit::Success).stdout);
    for (figure, value) in [
        ("top1", &found["metrics"]["top1"]),
        ("balanced_accuracy", &found["metrics"]["balanced_accuracy"]),
        ("macro_f1", &found["metrics"]["macro_f1"]),
        ("nll", &found["calibration"]["after"]["nll"]),
    ] {
        let interval = &found["intervals"][figure];
        let [low, value, high] =
            [&interval["low"], value, &interval["high"]].map(|v| v.as_f64().unwrap());
        assert!(
            low < value && value < high,
            "{figure}: {low} {value} {high}"
        );
    }
    let classes = found["per_class"].as_array().unwrap();
    assert!(classes.len() == 3 && classes.iter().all(|class| class["rows"] == 10));
    let text = place.run("eval @run @cache", Exit::Success).stdout;
    for shown in ["NLL", "Brier score", "ECE", "precision", "bee"] {
        assert!(text.contains(shown), "{text}");
    }
}

#[test]
fn every_reading_of_the_test_split_is_written_down_until_the_run_is_replaced() {
    let place = noisy();
    place.run("linear @cache --out @run --epochs 2", Exit::Success);
    place.run("eval @run @cache --split val", Exit::Success);
    assert!(!place.path("run/test-reads.jsonl").exists());
    let first = place.run("eval @run @cache", Exit::Success).stdout;
    assert!(!first.contains("read this test split before"), "{first}");
    let second = place.run("eval @run @cache", Exit::Success).stdout;
    assert!(
        second.contains("read this test split before (readings: 1)"),
        "{second}"
    );
    let lines = String::from_utf8(place.read("run/test-reads.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 2);
    let read = json(lines.lines().next().unwrap());
    assert_eq!(
        (&read["command"], &read["rows"]),
        (&json("\"eval\""), &json("30"))
    );
    place.run(
        "linear @cache --out @run --epochs 2 --overwrite",
        Exit::Success,
    );
    assert!(!place.path("run/test-reads.jsonl").exists());
}

#[test]
fn compare_finds_no_difference_with_itself_and_one_with_an_untrained_head() {
    let place = Place::with(&Recipe::usual());
    place.run(
        "linear @cache --out @good --solver lbfgs --c 0.01",
        Exit::Success,
    );
    place.run(
        "linear @cache --out @bad --epochs 1 --lr 1e-9",
        Exit::Success,
    );
    let compare = |line: &str| json(&place.run(line, Exit::Success).stdout);
    let same = compare("compare @good @good @cache --json");
    assert_eq!(same["mcnemar"]["p"], 1.0);
    assert_eq!(
        same["top1_difference"],
        json(r#"{"low": 0.0, "high": 0.0}"#)
    );
    let found = compare("compare @bad @good @cache --json");
    assert!(found["mcnemar"]["p"].as_f64().unwrap() < 0.05, "{found}");
    assert!(
        found["top1_difference"]["low"].as_f64().unwrap() > 0.0,
        "{found}"
    );
    let swapped = compare("compare @good @bad @cache --json");
    assert_eq!(found["mcnemar"]["p"], swapped["mcnemar"]["p"]);
    let text = place
        .run("compare @bad @good @cache --split val", Exit::Success)
        .stdout;
    assert!(text.contains("McNemar p = "), "{text}");
    assert!(place.path("bad/test-reads.jsonl").exists());
}
