//! A signal in the middle of predictions, and before the long work has begun:
//! while a source is listed, a cache opened, images looked for.
//!
//! In the latter cases the program reads one of its files from a pipe and waits;
//! the signal comes then, the rest of the file after it.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::Path,
    process::{Command, Stdio},
};

use end_to_end::{Ended, Workbench};

use crate::heads::bench_with_cache;

/// Runs a program that reads `file` and ends it while it does. `before` is what
/// it can read until then, `after` what follows.
fn terminated_at(
    bench: &Workbench,
    (program, arguments): (&str, &[&str]),
    file: &Path,
    [before, after]: [&[u8]; 2],
) -> Ended {
    assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
    let child = bench
        .command(program, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // This returns once the program has opened the other end.
    let mut pipe: File = OpenOptions::new().write(true).open(file).unwrap();
    pipe.write_all(before).unwrap();
    crate::terminate(&child);
    // A program that has stopped between the two reads no more.
    match pipe.write_all(after) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    drop(pipe);
    child.wait_with_output().unwrap().into()
}

#[test]
fn listing_a_table_is_stopped() {
    let bench = Workbench::new();
    let text: [&[u8]; 2] = [b"path,label\na.png,1\n", b"b.png,2\n"];
    let table = bench.path("table.csv");
    let command = ("extract", &["run", "table.csv", "--out", "cache"][..]);
    terminated_at(&bench, command, &table, text)
        .exited(143)
        .saying(&["error: source `table.csv`", "stopped by a signal"]);
    assert!(!bench.path("cache").exists());
}

#[test]
fn loading_a_cache_is_stopped() {
    let bench = bench_with_cache(&[]);
    let record = bench.path("cache/parts/00000.json");
    let text = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    let command = ("train-head", &["linear", "cache", "--out", "run"][..]);
    terminated_at(&bench, command, &record, [b"", &text])
        .exited(143)
        .saying(&["error: stopped by a signal"]);
    assert!(!bench.path("run/run.json").exists());
}

#[test]
fn looking_for_images_is_stopped() {
    let bench = bench_with_cache(&[]);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    let record = bench.path("run/run.json");
    let text = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    let command = ("train-head", &["predict", "run", "images"][..]);
    let ended = terminated_at(&bench, command, &record, [b"", &text])
        .exited(143)
        .saying(&["error: stopped by a signal"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn predictions_end_cleanly_with_what_was_done() {
    const IMAGES: usize = 1000;
    let bench = bench_with_cache(&[]);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    let name = crate::sorted_names(&bench.path("images/test/bag")).remove(0);
    let image = format!("images/test/bag/{name}");
    let arguments = [&["predict", "run", "--json"][..], &[&image[..]; IMAGES]].concat();
    let mut child = bench
        .command("train-head", &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The whole result does not fit into a pipe: the program waits until it is read.
    let mut start = [0];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut start).unwrap();
    crate::terminate(&child);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    ended.exited(143).saying(&["stopped by a signal after"]);
    let predictions = crate::json(&format!("[{rest}"));
    assert_eq!(start, *b"[");
    assert!((1..IMAGES).contains(&predictions.as_array().unwrap().len()));
}
