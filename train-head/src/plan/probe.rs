//! What a probe is to do.

use std::path::PathBuf;

use common::head::Normalisation;

use super::{Reporting, Settings, check, memory, reporting};
use crate::{cli::ProbeArgs, failure::Failure, features::Allowance};

#[derive(Debug)]
pub(crate) struct ProbePlan {
    pub(crate) cache: PathBuf,
    pub(crate) layer: Option<String>,
    /// At least one, none of them 0.
    pub(crate) neighbours: Vec<usize>,
    pub(crate) temperature: f64,
    /// Of the split and of the linear head.
    pub(crate) settings: Settings,
    pub(crate) memory: Allowance,
    pub(crate) report: Reporting,
}

pub(super) fn plan(args: ProbeArgs) -> Result<ProbePlan, Failure> {
    for &count in &args.neighbours {
        check("--neighbours", count, count > 0, "1 or more")?;
    }
    let temperature = args.temperature;
    let positive = temperature > 0.0 && temperature.is_finite();
    check("--temperature", temperature, positive, "a positive number")?;
    let settings = Settings {
        normalise: Normalisation::Standardise,
        val_fraction: args.val_fraction,
        seed: args.seed,
        ..Settings::default()
    };
    settings.check()?;
    Ok(ProbePlan {
        cache: args.cache,
        layer: args.layer,
        neighbours: args.neighbours,
        temperature,
        settings,
        memory: memory::allowance(args.memory),
        report: reporting(args.report),
    })
}
