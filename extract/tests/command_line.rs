//! The command line itself; what the commands do is in the end-to-end tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn extract(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_extract"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn help_shows_defaults_and_exit_codes() {
    let output = extract(&["run", "--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for word in ["efficientnet-lite0", "avgpool", "100000000", "1%", "1024"] {
        assert!(help.contains(word), "no {word} in {help}");
    }
    let help = String::from_utf8(extract(&["--help"]).stdout).unwrap();
    assert!(help.contains("Exit codes") && help.contains("143"));
}

#[test]
fn unknown_option_is_a_usage_error_on_standard_error() {
    let output = extract(&["run", "images", "--out", "cache", "--bach", "3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("--bach"));
}

#[test]
fn backbones_are_listed_with_their_layers() {
    let output = extract(&["backbones"]);
    let table = String::from_utf8(output.stdout).unwrap();
    for word in ["resnet152", "layer3 256×14×14", "avgpool 1280", "embedded"] {
        assert!(table.contains(word), "no {word} in {table}");
    }
}
