//! The calibration of an int8 run: the cache's own, another cache's, or a new
//! one.
//!
//! The first run into a folder measures, and the cache's identity keeps what
//! it found; every later run and every other shard takes it from there.

use std::{cmp::Ordering, path::Path};

use anyhow::Result;
use common::{
    cache::{Cache, CacheError, Difference, Identity},
    embed::{
        Calibrated, Calibration, Calibrator, Drift, EmbedderOptions, INT8_ROUNDING, sample_order,
    },
    engine::device::Precision,
    exit::UsageError,
    progress::{Verbosity, say},
    source::{Listing, Source},
};

use crate::plan::RunPlan;

/// An image that int8 changes too much.
#[derive(Debug, thiserror::Error)]
#[error(
    "int8 drifts too far from f32: at `{layer}` the worst of {images} images has a cosine of {worst:.4}, --min-cosine is {allowed} (use --precision f32, or lower --min-cosine)"
)]
pub(super) struct TooMuchDrift {
    layer: String,
    images: usize,
    worst: f64,
    allowed: f64,
}

/// What a run's backbone is made of, and how far it drifts if that was
/// measured now.
pub(super) struct Settled {
    pub(super) options: EmbedderOptions,
    pub(super) drift: Option<Vec<Drift>>,
}

/// Finds or makes the calibration that the plan's precision needs.
pub(super) fn settle(plan: &RunPlan, source: &Source, listing: &Listing) -> Result<Settled> {
    let mut settled = Settled {
        options: plan.embedder.clone(),
        drift: None,
    };
    if plan.embedder.precision != Precision::Int8 {
        return Ok(settled);
    }
    let settings = &plan.calibration;
    if let Some(cache) = &settings.from {
        settled.options.calibration = Some(of_another(cache)?);
    } else if let Some(identity) = existing(&plan.out)? {
        let kept = of_identity(&identity).ok_or_else(|| other_precision(&plan.out, identity))?;
        settled.options.calibration = Some(Calibration {
            images: settings.images,
            seed: settings.seed,
            ..kept
        });
    } else {
        let calibrated = measure(plan, source, listing)?;
        report(&calibrated.drift, plan.verbosity);
        refuse_too_much(&calibrated.drift, settings.min_cosine)?;
        settled.options.calibration = Some(calibrated.calibration);
        settled.drift = Some(calibrated.drift);
    }
    Ok(settled)
}

fn measure(plan: &RunPlan, source: &Source, listing: &Listing) -> Result<Calibrated> {
    let settings = &plan.calibration;
    let mut calibrator = Calibrator::new(plan.embedder.clone())?;
    let mut file = Vec::new();
    for row in sample_order(listing.samples.len(), settings.seed) {
        if calibrator.images() == settings.images as usize {
            break;
        }
        let sample = &listing.samples[row];
        // What cannot be used is passed over here and reported by the run.
        if sample.problem.is_none() && source.read(&sample.uri, &mut file).is_ok() {
            drop(calibrator.add(&file));
        }
    }
    say(
        plan.verbosity,
        &format!("calibrating int8 on {} images", calibrator.images()),
    );
    Ok(calibrator.finish((settings.images, settings.seed), plan.threads)?)
}

/// The identity of a cache that is there already.
fn existing(directory: &Path) -> Result<Option<Identity>> {
    if !directory.join("cache.json").exists() {
        return Ok(None);
    }
    Ok(Some(Cache::open(directory)?.manifest().identity.clone()))
}

/// The scales of a cache as they apply now, whatever weights were rounded like then.
fn of_identity(identity: &Identity) -> Option<Calibration> {
    let calibration: Calibration = serde_json::from_value(identity.calibration.clone()?).ok()?;
    Some(Calibration {
        rounding: INT8_ROUNDING,
        ..calibration
    })
}

fn of_another(cache: &Path) -> Result<Calibration> {
    let identity = Cache::open(cache)?.manifest().identity.clone();
    let calibration = of_identity(&identity).ok_or_else(|| {
        UsageError(format!(
            "--calibration-from `{}`: its precision is {}, it has no calibration (name an int8 cache)",
            cache.display(),
            identity.precision
        ))
    })?;
    Ok(calibration)
}

fn other_precision(directory: &Path, identity: Identity) -> CacheError {
    CacheError::Mismatch {
        path: directory.to_owned(),
        differences: vec![Difference {
            field: "precision".to_owned(),
            ours: identity.precision,
            theirs: Precision::Int8.to_string(),
        }],
    }
}

fn report(drift: &[Drift], verbosity: Verbosity) {
    for drift in drift {
        say(
            verbosity,
            &format!(
                "int8 against f32 at `{}`: cosine {:.4} median, {:.4} worst; without the mean {:.4} median, {:.4} worst",
                drift.layer, drift.median, drift.worst, drift.centred_median, drift.centred_worst
            ),
        );
    }
}

fn refuse_too_much(drift: &[Drift], allowed: f64) -> Result<(), TooMuchDrift> {
    let worst = drift.iter().min_by(|a, b| a.worst.total_cmp(&b.worst));
    match worst {
        // What cannot be compared is too much, too.
        Some(drift) if is_below(drift.worst, allowed) => Err(TooMuchDrift {
            layer: drift.layer.clone(),
            images: drift.images,
            worst: drift.worst,
            allowed,
        }),
        _ => Ok(()),
    }
}

fn is_below(worst: f64, allowed: f64) -> bool {
    worst.partial_cmp(&allowed).is_none_or(Ordering::is_lt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(layer: &str, worst: f64) -> Drift {
        Drift {
            layer: layer.to_owned(),
            images: 3,
            median: 1.0,
            worst,
            centred_median: 1.0,
            centred_worst: 0.5,
        }
    }

    #[test]
    fn the_worst_image_of_any_layer_decides() {
        let layers = [drift("layer3", 0.96), drift("avgpool", 0.99)];
        let refused = refuse_too_much(&layers, 0.97).unwrap_err().to_string();
        assert!(
            refused.contains("layer3") && refused.contains("0.9600"),
            "{refused}"
        );
        assert!(refuse_too_much(&layers, 0.96).is_ok());
        assert!(refuse_too_much(&[drift("avgpool", f64::NAN)], 0.0).is_err());
        assert!(refuse_too_much(&layers, f64::NAN).is_err());
    }
}
