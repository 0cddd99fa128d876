//! The programs as a user runs them: command line, files, exit codes.
//!
//! One test binary; each test works in a temporary directory of its own.
//! Images are embedded at 64×64 instead of 224×224, which changes nothing but
//! the time.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod decoding;
mod determinism;
mod extraction;
mod finetuning;
mod heads;
mod int8;
mod output;
mod predictions;
mod signals;
mod views;

use std::{
    path::Path,
    process::{Child, Command},
};

use end_to_end::{Ended, Run, Workbench};

/// Makes extraction quick.
const SMALL: [&str; 4] = ["--resize", "64", "--crop", "64"];

/// A folder `images` with `per_class` training images of each of the first
/// `classes` classes of the embedded set, below `train/`.
fn small_set(bench: &Workbench, classes: usize, per_class: usize) {
    for split in ["train", "val", "test"] {
        copy_images(
            bench,
            split,
            &format!("images/{split}"),
            [classes, per_class],
        );
    }
}

/// Copies `[classes, images a class]` of a split of the embedded set to `target`.
fn copy_images(bench: &Workbench, split: &str, target: &str, [classes, images]: [usize; 2]) {
    let source = end_to_end::data_path("fashion-mnist-mini").join(split);
    for class in sorted_names(&source).into_iter().take(classes) {
        let folder = bench.path(target).join(&class);
        std::fs::create_dir_all(&folder).unwrap();
        for image in sorted_names(&source.join(&class)).into_iter().take(images) {
            std::fs::copy(source.join(&class).join(&image), folder.join(&image)).unwrap();
        }
    }
}

fn sorted_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// `extract run images --out OUT` with [`SMALL`] and `options`.
fn extract_small(bench: &Workbench, out: &str, options: &[&str]) -> Ended {
    let arguments = [&["run", "images", "--out", out], &SMALL[..], options].concat();
    bench.extract(&arguments)
}

/// Runs a shell script beside the folder `disk`, a file system of `size` in a mount namespace of its own.
fn on_a_disk(bench: &Workbench, size: &str, script: &str) -> Ended {
    std::fs::create_dir(bench.path("disk")).unwrap();
    let script = format!("mount -t tmpfs -o size={size} none disk || exit 99\n{script}");
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(bench.path(""))
        .run()
}

/// Sends SIGTERM, which is how a cluster announces the end of a time limit.
fn terminate(child: &Child) {
    let status = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}
