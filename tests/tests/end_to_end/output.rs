//! Standard output that cannot be written to: a full disk is an error, a reader
//! that has gone is none.

use std::{
    fs::OpenOptions,
    process::{Command, Stdio},
};

use end_to_end::{Ended, Workbench};

use crate::heads::bench_with_cache;

/// Commands of both programs that print on standard output, with a run and a cache.
const COMMANDS: [(&str, &[&str]); 9] = [
    ("extract", &["status", "cache"]),
    ("extract", &["status", "cache", "--json"]),
    ("extract", &["verify", "cache"]),
    ("extract", &["backbones"]),
    ("extract", &["--help"]),
    ("train-head", &["eval", "run", "cache"]),
    ("train-head", &["eval", "run", "cache", "--json"]),
    ("train-head", &["predict", "run", "images/test"]),
    ("train-head", &["predict", "run", "images/test", "--json"]),
];

fn bench_with_run() -> Workbench {
    let bench = bench_with_cache(&[]);
    bench
        .train_head(&["linear", "cache", "--out", "run"])
        .exited(0);
    bench
}

/// Runs `command` to its end with `stdout` as its standard output.
fn run_into(mut command: Command, stdout: impl Into<Stdio>) -> Ended {
    let command = command.stdout(stdout).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let bench = bench_with_run();
    for (program, arguments) in COMMANDS {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        run_into(bench.command(program, arguments), full)
            .exited(1)
            .saying(&["error: standard output", "No space left"]);
    }
}

#[test]
fn a_reader_that_has_gone_ends_the_printing_quietly() {
    let bench = bench_with_run();
    for (program, arguments) in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run_into(bench.command(program, arguments), writer).exited(0);
        assert_eq!(ended.stderr, "", "{program} {arguments:?}");
    }
}
