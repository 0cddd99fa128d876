//! What an audit is to do.

use std::path::PathBuf;

use common::head::Normalisation;

use super::{Existing, Reporting, Settings, check, existing, memory, reporting};
use crate::{cli::AuditArgs, failure::Failure, features::Allowance};

/// Cosine from which on two images count as near duplicates. Pooled features are not negative and
/// point much the same way, so that only the last hundredth means anything.
pub(crate) const DEFAULT_NEAR: f32 = 0.99;

/// Neighbours whose mean distance says how far off an image is, as cleanlab's.
pub(crate) const DEFAULT_OUTLIER_NEIGHBOURS: usize = 10;

/// Outliers that are listed.
pub(crate) const DEFAULT_OUTLIERS: usize = 100;

/// Folds of the heads that judge labels.
pub(crate) const DEFAULT_AUDIT_FOLDS: usize = 5;

/// Most folds and neighbours; beyond them a typing error is likelier.
const MOST: usize = 1000;

#[derive(Debug)]
pub(crate) struct AuditPlan {
    pub(crate) cache: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) existing: Existing,
    pub(crate) layer: Option<String>,
    /// Least cosine of near duplicates, above 0, at most 1.
    pub(crate) near: f32,
    pub(crate) neighbours: usize,
    pub(crate) outliers: usize,
    pub(crate) folds: usize,
    pub(crate) probabilities: Probabilities,
    /// Of the heads that judge labels.
    pub(crate) settings: Settings,
    pub(crate) memory: Allowance,
    pub(crate) report: Reporting,
}

/// Whether out-of-fold probabilities are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probabilities {
    Forget,
    Write,
}

pub(super) fn plan(args: AuditArgs) -> Result<AuditPlan, Failure> {
    let near = args.near;
    check(
        "--near",
        near,
        near > 0.0 && near <= 1.0,
        "above 0, at most 1",
    )?;
    let neighbours = args.neighbours;
    let few = (1..=MOST).contains(&neighbours);
    check("--neighbours", neighbours, few, "1 to 1000")?;
    let folds = args.folds;
    check("--folds", folds, (2..=MOST).contains(&folds), "2 to 1000")?;
    Ok(AuditPlan {
        cache: args.cache,
        out: args.out,
        existing: existing(args.overwrite),
        layer: args.layer,
        near,
        neighbours,
        outliers: args.outliers,
        folds,
        probabilities: if args.probabilities {
            Probabilities::Write
        } else {
            Probabilities::Forget
        },
        settings: Settings {
            normalise: Normalisation::Standardise,
            seed: args.seed,
            ..Settings::default()
        },
        memory: memory::allowance(args.memory),
        report: reporting(args.report),
    })
}
