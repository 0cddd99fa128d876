//! Fine-tunings that are stopped or killed end as if they had not been.

use std::{process::Stdio, thread, time::Duration};

use common::{exit::Exit, random};
use rand::Rng;

use super::{LAST, recipe};
use crate::fixture::{Place, send};

/// All that has a state or draws random numbers.
const OPTIONS: &str = "--epochs 6 --patience 0 --freeze-epochs 1 --bn train --mixup 0.3 --dropout 0.2 --ema 0.9 --accumulate 2 --batch-size 16 --checkpoint-seconds 0";

fn is_as_unbroken(place: &Place) {
    for file in ["model.safetensors", "head.safetensors"] {
        let bytes = |run: &str| place.read(&format!("{run}/{file}"));
        assert!(bytes("unbroken") == bytes("run"), "{file}");
    }
    let lines = |run: &str| String::from_utf8(place.read(&format!("{run}/metrics.jsonl"))).unwrap();
    assert_eq!(
        lines("unbroken").lines().count(),
        lines("run").lines().count()
    );
    assert!(place.path("run/checkpoint.safetensors").metadata().is_err());
}

#[test]
fn a_run_killed_twenty_times_ends_with_the_same_weights() {
    let place = Place::with(&recipe());
    place.run(
        &format!("finetune @cache --out @unbroken {LAST} {OPTIONS}"),
        Exit::Success,
    );
    let line = format!("finetune @cache --out @run {LAST} {OPTIONS}");
    let mut moments = random::stream(1, "kill");
    for _ in 0..20 {
        let mut command = place.command(&line);
        let mut child = command
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // A moment of its life, not a fact that is waited for.
        thread::sleep(Duration::from_millis(moments.random_range(0..200)));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        send("-KILL", child.id());
        child.wait().unwrap();
    }
    if place.path("run/run.json").metadata().is_err() {
        place.run(&line, Exit::Success);
    }
    is_as_unbroken(&place);
}

#[test]
fn a_stopped_run_says_how_to_go_on_and_does() {
    let place = Place::with(&recipe());
    place.run(
        &format!("finetune @cache --out @unbroken {LAST} {OPTIONS}"),
        Exit::Success,
    );
    let line = format!("finetune @cache --out @run {LAST} {OPTIONS}");
    let said = place.interrupt(&line, "  2 ", ("-TERM", Exit::Terminated));
    assert!(said.contains("run the same command again"), "{said}");
    assert!(place.path("run/run.json").metadata().is_err());
    let said = place.run(&line, Exit::Success);
    assert!(
        said.stderr.contains("goes on from a checkpoint"),
        "{}",
        said.stderr
    );
    is_as_unbroken(&place);
}
