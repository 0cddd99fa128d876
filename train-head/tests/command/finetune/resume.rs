//! Fine-tunings that are stopped or killed end as if they had not been.

use std::{
    fs::{self, File},
    io::Read,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{exit::Exit, random};
use rand::Rng;

use super::{LAST, recipe};
use crate::fixture::Place;

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
    let started = Instant::now();
    place.run(
        &format!("finetune @cache --out @unbroken {LAST} {OPTIONS}"),
        Exit::Success,
    );
    let life = started.elapsed().as_millis() as u64;
    let line = format!("finetune @cache --out @run {LAST} {OPTIONS}");
    let mut moments = random::stream(1, "kill");
    let mut resumed = 0;
    for _ in 0..20 {
        resumed += u32::from(place.path("run/checkpoint.safetensors").exists());
        let mut child = start(&place, &line);
        // A moment of its life, not a fact that is waited for.
        thread::sleep(Duration::from_millis(moments.random_range(0..life / 3)));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(resumed > 0, "killed before every checkpoint");
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

#[test]
fn a_run_killed_between_the_heads_epoch_and_the_others_goes_on() {
    for unfreeze in ["stage7,head", "fc"] {
        let place = Place::with(&recipe());
        let options = format!("--unfreeze {unfreeze} --epochs 4 --freeze-epochs 1 --batch-size 40");
        let line = |run: &str| {
            format!("finetune @cache --out @{run} {options} --checkpoint-seconds 0 --patience 0")
        };
        place.run(&line("unbroken"), Exit::Success);
        kill_between_phases(&place, &line("run"));
        let said = place.run(&line("run"), Exit::Success).stderr;
        let words = "1 epochs and 0 batches of the next are done";
        assert!(said.contains(words), "{said}");
        is_as_unbroken(&place);
    }
}

/// Kills a training while its checkpoint is that behind the first epoch.
fn kill_between_phases(place: &Place, line: &str) {
    let progress = br#"\"epochs\":1,\"batches\":0"#;
    let is_there = || {
        let mut header = Vec::new();
        let file = File::open(place.path("run/checkpoint.safetensors"));
        let read = file.and_then(|file| file.take(1 << 16).read_to_end(&mut header));
        let mut places = header.windows(progress.len());
        read.is_ok() && places.any(|bytes| bytes == progress)
    };
    let killed = (0..20).any(|_| {
        let mut child = start(place, line);
        while !is_there() && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let in_time = is_there();
        if !in_time {
            fs::remove_dir_all(place.path("run")).unwrap();
        }
        in_time
    });
    assert!(killed, "never between two phases");
}

fn start(place: &Place, line: &str) -> Child {
    let mut command = place.command(line);
    command.stderr(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}
