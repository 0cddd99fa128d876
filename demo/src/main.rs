//! `cargo demo`: the whole job on the embedded data set, with the programs
//! that users run.

mod step;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};

use crate::{
    step::{Programs, Trained},
    table::Table,
};

/// Where the results stay, beside the workspace's `Cargo.toml`.
const RESULTS: &str = "demo-results";
const DATA: &str = "data/fashion-mnist-mini";

fn main() -> ExitCode {
    // The demo is all three programs in one: it calls itself as the other two.
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(program) if program == "extract" => {
            extract::run([program].into_iter().chain(arguments)).into()
        }
        Some(program) if program == "train-head" => {
            train_head::run([program].into_iter().chain(arguments)).into()
        }
        Some(argument) => {
            step::say(&format!(
                "`cargo demo` takes no options, found {argument:?}"
            ));
            ExitCode::from(2)
        }
        None => match demo() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                step::say(&format!("error: {error:#}"));
                ExitCode::FAILURE
            }
        },
    }
}

fn demo() -> Result<()> {
    let root = workspace()?;
    std::env::set_current_dir(&root).with_context(|| format!("entering `{}`", root.display()))?;
    // What the demo made itself is made anew; runs of the user's own stay.
    for name in ["cache", "linear", "mlp"] {
        let path = Path::new(RESULTS).join(name);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("removing `{}`", path.display()))?;
        }
    }
    fs::create_dir_all(RESULTS).with_context(|| format!("making `{RESULTS}`"))?;

    let programs = Programs::new()?;
    let cache = format!("{RESULTS}/cache");
    step::say("1. The frozen backbone runs over every image, once.");
    let extracted = programs.extract(DATA, &cache)?;
    step::say("2. Heads are trained on the cached features.");
    let heads = ["linear", "mlp"]
        .into_iter()
        .map(|kind| programs.train(kind, &cache, &format!("{RESULTS}/{kind}")))
        .collect::<Result<Vec<Trained>>>()?;
    let table = Table {
        extracted: &extracted,
        heads: &heads,
    };
    step::say(&format!("\n{table}\n{}", next_steps(&cache)));
    Ok(())
}

/// The checkout that the demo was built from.
fn workspace() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize()
        .with_context(|| format!("the checkout `{}` is gone", root.display()))
}

fn next_steps(cache: &str) -> String {
    format!(
        "\
Everything is in `{RESULTS}/`. Try next:
  cargo install --path extract && cargo install --path train-head
  train-head mlp {cache} --out {RESULTS}/wider --hidden 1024 --optimizer adamw --dropout 0.2
  train-head eval {RESULTS}/mlp {cache} --split test
  train-head predict {RESULTS}/linear {DATA}/test/bag
  extract run YOUR_IMAGES --out YOUR_CACHE        (class folders or a CSV table)"
    )
}
