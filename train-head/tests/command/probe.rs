//! What `probe` says of features.

use common::exit::Exit;

use crate::{
    fixture::{Place, Recipe},
    json,
};

fn answers(place: &Place, options: &str) -> Vec<(String, f64)> {
    let printed = place.run(&format!("probe @cache --json {options}"), Exit::Success);
    let found = json(&printed.stdout);
    let answers = found["answers"].as_array().unwrap().iter();
    answers
        .map(|answer| {
            let name = answer["classifier"].as_str().unwrap().to_owned();
            (name, answer["top1"].as_f64().unwrap())
        })
        .collect()
}

#[test]
fn classes_far_apart_are_told_by_every_classifier() {
    let found = answers(&Place::with(&Recipe::usual()), "");
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names[..2],
        ["10 nearest neighbours", "20 nearest neighbours"]
    );
    assert_eq!(names[4], "nearest centroid");
    assert!(names[5].starts_with("logistic regression, C = "));
    assert!(found.iter().all(|(_, top1)| *top1 > 0.9), "{found:?}");
}

#[test]
fn validation_rows_are_not_their_own_neighbours() {
    // Features that say nothing of the class: a row that met itself would be right.
    let place = Place::with(&Recipe {
        noise: 1e4,
        ..Recipe::usual()
    });
    let found = answers(&place, "--neighbours 1");
    assert!(found[0].1 < 0.8, "{found:?}");
}

#[test]
fn probe_refuses_numbers_that_mean_nothing() {
    let place = Place::with(&Recipe::usual());
    for options in ["--neighbours 0", "--temperature 0", "--val-fraction 1"] {
        let refused = place.run(&format!("probe @cache {options}"), Exit::Usage);
        let option = options.split(' ').next().unwrap();
        assert!(refused.stderr.contains(option), "{}", refused.stderr);
    }
}
