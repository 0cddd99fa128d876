//! The head before the first step.

use std::path::Path;

use common::{
    cache::{CacheReader, Identity},
    exit::Exit,
    head::{Bundle, Head, HeadKind, Normalisation},
};

use super::{backbone::Backbone, result::FEATURES};
use crate::{
    failure::{Failure, OrExit},
    head_input::difference,
};

/// A new head of shape `kind` behind `backbone`.
pub(crate) fn new_head(backbone: &Backbone, kind: HeadKind, classes: usize, seed: u64) -> Head {
    let [height, width] = backbone.input;
    let shapes = backbone.network.shapes(height, width);
    let features = shapes[shapes.len() - 1].channels;
    Head::random(kind, features, classes, seed)
}

/// The head of `run`, which is one on features of the same backbone and for the same `classes`.
pub(crate) fn head_of(
    run: &Path,
    reader: &CacheReader,
    classes: &[String],
) -> Result<Head, Failure> {
    let bundle = Bundle::load(run).or_exit(Exit::Input)?;
    let record = &bundle.record;
    let refuse = |problem: String| {
        let message = format!("run `{}`: {problem}", run.display());
        Err(Failure::new(Exit::Mismatch, message))
    };
    if !record.task.is_single_label() {
        return refuse(format!(
            "a {} head, fine-tuning is of one label",
            record.task.kind()
        ));
    }
    if record.layer != FEATURES {
        return refuse(format!("a head on `{}`, not on `{FEATURES}`", record.layer));
    }
    if record.classes != classes {
        return refuse("its classes are not those of the cache".to_owned());
    }
    let identity = Identity {
        dtype: record.identity.dtype,
        ..reader.manifest().identity.clone()
    };
    if let Some(difference) = difference(&identity, record) {
        return refuse(format!("trained on other features: {difference}"));
    }
    if record.normalise_features != Normalisation::None {
        return refuse(
            "a head on L2-normalised features, which a network does not have (train it with --normalise none or standardise)"
                .to_owned(),
        );
    }
    Ok(bundle.head)
}
