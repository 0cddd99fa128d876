//! What a sweep refuses, and that it leaves what was there.

use std::fs;

use common::{exit::Exit, source::Split};

use super::{OPTIONS, place};
use crate::fixture::{Place, Recipe};

#[test]
fn sweep_of_another_cache_or_with_other_options_is_refused_and_kept() {
    let place = place();
    let line = format!("sweep @cache --out @sweep {OPTIONS} --trials 6");
    place.run(&line, Exit::Success);
    let before = place.read("sweep/trials.parquet");
    let other = Recipe {
        weights: "two",
        ..Recipe::usual()
    };
    other.write(&place.path("other"));
    for (line, exit, said) in [
        (
            line.replace("@cache", "@other"),
            Exit::Mismatch,
            "was begun on another cache",
        ),
        (
            format!("{line} --seed 1"),
            Exit::Usage,
            "was begun with base",
        ),
        (
            format!("{line} --search random"),
            Exit::Usage,
            "was begun with search = \"bayes\"",
        ),
    ] {
        let stderr = place.run(&line, exit).stderr;
        assert!(
            stderr.contains(said) && stderr.contains("--overwrite"),
            "{stderr}"
        );
        assert!(before == place.read("sweep/trials.parquet"));
    }
    place.run(&format!("{line} --seed 1 --overwrite"), Exit::Success);
    assert!(before != place.read("sweep/trials.parquet"));
}

#[test]
fn cache_that_cannot_be_learned_from_is_named_and_nothing_is_left() {
    let usual = Recipe::usual;
    let without = |class: i32, split: Split| {
        let mut recipe = usual();
        recipe.rows.retain(|row| *row != (class, split));
        recipe
    };
    let one_class = Recipe {
        classes: vec!["ant"],
        rows: vec![(0, Split::None); 20],
        ..usual()
    };
    let mut fewer_rows_than_classes = usual();
    fewer_rows_than_classes.rows = vec![
        (0, Split::Train),
        (1, Split::Train),
        (0, Split::Val),
        (1, Split::Val),
    ];
    let empty = Recipe {
        rows: vec![(0, Split::Test), (1, Split::Test), (2, Split::Test)],
        ..usual()
    };
    for (recipe, said) in [
        (one_class, "1 class in the cache"),
        (
            without(1, Split::Train),
            "class `bee` has no row in the training split",
        ),
        (
            without(1, Split::Val),
            "class `bee` has no row in the validation split",
        ),
        (
            fewer_rows_than_classes,
            "class `cat` has no row in the training split",
        ),
        (empty, "the training split has no labelled row"),
    ] {
        let place = Place::with(&recipe);
        for command in ["sweep", "linear", "mlp"] {
            let stderr = place
                .run(&format!("{command} @cache --out @{command}"), Exit::Input)
                .stderr;
            assert!(stderr.contains(said), "{stderr}");
            assert!(!place.path("linear/run.json").exists());
        }
        assert!(!place.path("sweep").exists());
    }
}

#[test]
fn space_or_option_that_makes_no_sense_is_named_and_leaves_nothing() {
    let place = place();
    for (space, said) in [
        ("c = 0.1", "`c`: none of the solvers has it"),
        ("learning_rat = 0.1", "unknown name `learning_rat`"),
        (
            "dropout = { low = 0.5, high = 0.1 }",
            "low 0.5 is not below high 0.1",
        ),
    ] {
        fs::write(place.path("space.toml"), space).unwrap();
        let stderr = place
            .run("sweep @cache --out @sweep --space @space.toml", Exit::Input)
            .stderr;
        assert!(
            stderr.contains(said) && stderr.contains("space.toml"),
            "{stderr}"
        );
        assert!(!place.path("sweep").exists());
    }
    let stderr = place
        .run("sweep @cache --out @sweep --search grid", Exit::Usage)
        .stderr;
    assert!(
        stderr.contains("combinations, more than --trials 64"),
        "{stderr}"
    );
    for options in [
        "--folds 1",
        "--trials 0",
        "--survivors 0",
        "--seeds 0",
        "--round 0",
    ] {
        let stderr = place
            .run(&format!("sweep @cache --out @sweep {options}"), Exit::Usage)
            .stderr;
        assert!(
            stderr.contains(options.split(' ').next().unwrap()),
            "{stderr}"
        );
    }
}

#[test]
fn label_that_no_class_has_is_named_by_its_image() {
    let place = Place::with(&Recipe::usual());
    // As after a careless edit of the manifest: rows of the third class are still there.
    let manifest = place.path("cache/cache.json");
    let mut edited: serde_json::Value =
        serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    assert_eq!(
        edited["classes"].as_array_mut().unwrap().pop().unwrap(),
        "cat"
    );
    fs::write(&manifest, edited.to_string()).unwrap();
    for command in ["linear", "sweep"] {
        let line = format!("{command} @cache --out @run");
        let stderr = place.run(&line, Exit::Input).stderr;
        let said = "label 2, the cache has 2 classes";
        assert!(stderr.contains(said), "{stderr}");
    }
}
