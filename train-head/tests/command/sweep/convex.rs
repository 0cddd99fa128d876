//! Trials that convex solvers find.

use std::fs;

use arrow::array::{Array, AsArray};
use common::{exit::Exit, head::Bundle};

use super::{reals, table};
use crate::{
    fixture::{Place, Recipe},
    json,
};

const OPTIONS: &str = "--space @space.toml --search grid --quiet";

fn place(space: &str) -> Place {
    let place = Place::with(&Recipe::usual());
    fs::write(place.path("space.toml"), space).unwrap();
    place
}

#[test]
fn ridge_is_searched_over_lambda_and_its_winner_is_the_plain_commands() {
    let space = "solver = \"ridge\"\nlambda = { low = 1e-2, high = 1e4, scale = \"log\", points = 4 }\nnormalise = [\"none\", \"standardise\"]";
    let place = place(space);
    let line = format!("sweep @cache --out @sweep {OPTIONS} --objective loss --json");
    let result = json(&place.run(&line, Exit::Success).stdout);
    assert_eq!(result["trials"], 8);
    let run = Bundle::load(&place.path("sweep/best")).unwrap().record;
    assert_eq!(run.settings["solver"], "ridge");
    let normalise = run.settings["normalise"].as_str().unwrap();
    let lambda = run.settings["lambda"][0].as_f64().unwrap();
    place.run(
        &format!(
            "linear @cache --out @run --solver ridge --lambda {lambda} --normalise {normalise}"
        ),
        Exit::Success,
    );
    assert!(place.read("run/head.safetensors") == place.read("sweep/best/head.safetensors"));
    // Its loss is that at the temperature that the run keeps.
    let best = result["best"]["trial"].as_u64().unwrap() as usize;
    let path = run.training.path.unwrap();
    let point = &path.points[0];
    assert_eq!(
        reals(&table(&place, "sweep"), "val_loss")[best],
        point.validation_nll
    );
    place.run(
        &format!("sweep @cache --out @sweep {OPTIONS} --objective loss --refit"),
        Exit::Success,
    );
    // What the validation rows chose stays when the head has seen them.
    let refitted = Bundle::load(&place.path("sweep/best")).unwrap().record;
    assert_eq!(refitted.training.train.origin, "refit");
    assert_eq!(refitted.temperature, run.temperature);
    assert_eq!(refitted.training.path.unwrap(), path);
    place.run("eval @sweep/best @cache", Exit::Success);
}

#[test]
fn ridge_among_others_has_no_value_for_what_it_does_not_use() {
    let space = "solver = [\"adam\", \"lbfgs\", \"ridge\"]\nc = [0.01, 0.1]\nlambda = [1.0, 10.0]\nlearning_rate = 0.01";
    let place = place(space);
    place.run(
        &format!("sweep @cache --out @sweep {OPTIONS} --epochs 4"),
        Exit::Success,
    );
    let table = table(&place, "sweep");
    assert_eq!(table.num_rows(), 5);
    let solvers = table["solver"].as_string::<i32>();
    for row in 0..5 {
        let known = |name: &str| table[name].is_valid(row);
        let solver = solvers.value(row);
        let expected = [
            ("learning_rate", "adam"),
            ("c", "lbfgs"),
            ("lambda", "ridge"),
        ];
        assert!(
            expected
                .iter()
                .all(|(name, owner)| known(name) == (solver == *owner)),
            "{row}"
        );
    }
    for (option, solver) in [("--class-weights", "ridge"), ("--sampling", "lbfgs")] {
        let line = format!("sweep @cache --out @other {OPTIONS} {option} balanced");
        let stderr = place.run(&line, Exit::Input).stderr;
        let said = format!("`solver` has values of no use: {option}: {solver} has no use for it");
        assert!(stderr.contains(&said), "{stderr}");
        assert!(!place.path("other").exists());
    }
    // The default space is searched without the solvers that have no use for an option.
    let line = "sweep @cache --out @other --sampling balanced --trials 6 --round 6 --epochs 2";
    place.run(line, Exit::Success);
    let solvers = super::table(&place, "other")["solver"].clone();
    let solvers = solvers.as_string::<i32>();
    assert!(solvers.iter().all(|solver| solver == Some("adamw")));
}

#[test]
fn tolerance_of_lbfgs_trials_is_that_of_the_plain_command_and_recorded() {
    let place = place("solver = \"lbfgs\"\nc = 1.0");
    for tolerance in ["0.1", "1e-6"] {
        let sweep =
            format!("sweep @cache --out @sweep --overwrite {OPTIONS} --tolerance {tolerance}");
        place.run(&sweep, Exit::Success);
        let line = format!(
            "linear @cache --out @run --overwrite --solver lbfgs --c 1 --tolerance {tolerance}"
        );
        place.run(&line, Exit::Success);
        assert!(place.read("run/head.safetensors") == place.read("sweep/best/head.safetensors"));
    }
    let stderr = place
        .run(
            &format!("sweep @cache --out @sweep {OPTIONS} --tolerance 0.1"),
            Exit::Usage,
        )
        .stderr;
    assert!(stderr.contains("was begun with tolerance"), "{stderr}");
    place.run(
        &format!("sweep @cache --out @other {OPTIONS} --tolerance 0"),
        Exit::Usage,
    );
}
