//! Calling the programs and reading what they print for scripts.

use std::{
    ffi::OsString,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// What `extract run --json` says.
#[derive(Deserialize)]
pub(crate) struct Extracted {
    /// Images whose features were written.
    pub(crate) images: u64,
    /// From the first image to the last commit.
    pub(crate) seconds: f64,
    /// Their ratio.
    pub(crate) images_per_second: f64,
}

/// A head and its figures.
pub(crate) struct Trained {
    /// `linear` or `mlp`.
    pub(crate) kind: String,
    /// Time of training.
    pub(crate) seconds: f64,
    /// Top-1 accuracy on the validation split, 0 to 1.
    pub(crate) validation: f64,
    /// Top-1 accuracy on the test split, 0 to 1.
    pub(crate) test: f64,
}

/// The programs, which are this executable under another first argument.
pub(crate) struct Programs {
    executable: PathBuf,
}

#[derive(Deserialize)]
struct TrainSummary {
    seconds: f64,
    validation: Figures,
}

#[derive(Deserialize)]
struct EvalSummary {
    metrics: Figures,
}

#[derive(Deserialize)]
struct Figures {
    top1: f64,
}

impl Programs {
    pub(crate) fn new() -> Result<Self> {
        let executable = std::env::current_exe().context("the demo does not find itself")?;
        Ok(Self { executable })
    }

    pub(crate) fn extract(&self, source: &str, cache: &str) -> Result<Extracted> {
        self.json(&["extract", "run", source, "--out", cache])
    }

    pub(crate) fn train(&self, kind: &str, cache: &str, run: &str) -> Result<Trained> {
        let trained: TrainSummary = self.json(&["train-head", kind, cache, "--out", run])?;
        let test: EvalSummary =
            self.json(&["train-head", "eval", run, cache, "--split", "test"])?;
        Ok(Trained {
            kind: kind.to_owned(),
            seconds: trained.seconds,
            validation: trained.validation.top1,
            test: test.metrics.top1,
        })
    }

    /// Shows the command as a user would type it, runs it and parses its JSON.
    fn json<T: for<'de> Deserialize<'de>>(&self, arguments: &[&str]) -> Result<T> {
        let typed = arguments.join(" ");
        say(&format!("\n$ {typed}"));
        let arguments = arguments.iter().map(OsString::from);
        let output = Command::new(&self.executable)
            .args(arguments)
            .arg("--json")
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting `{typed}`"))?;
        if !output.status.success() {
            bail!("`{typed}` ended with {}", output.status);
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("reading what `{typed}` printed"))
    }
}

/// Prints a line on standard output.
pub(crate) fn say(text: &str) {
    // A closed pipe means that nobody reads any more.
    let _ = writeln!(std::io::stdout(), "{text}");
}
