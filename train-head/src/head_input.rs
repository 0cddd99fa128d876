//! What an exported head expects of the features it is applied to.

use common::{
    cache::Identity,
    head::{Fitted, Normalisation, RunRecord},
};

/// What must be done to features before they reach the head.
pub(crate) fn preparation(record: &RunRecord) -> Fitted {
    match record.normalise_features {
        Normalisation::L2 => Fitted::L2,
        // A standardisation is in the weights.
        Normalisation::None | Normalisation::Standardise => Fitted::None,
    }
}

/// In what `features` are not of the kind the head was trained on; `None` where
/// they are.
pub(crate) fn difference(features: &Identity, record: &RunRecord) -> Option<String> {
    difference_of(features, &record.identity, &record.layer)
}

/// In what `features` of `layer` are not of the kind that `expected` says; `None` where they are.
pub(crate) fn difference_of(
    features: &Identity,
    expected: &Identity,
    layer: &str,
) -> Option<String> {
    let differences = comparable(features, layer).differences(&comparable(expected, layer));
    let listed: Vec<_> = differences.iter().map(ToString::to_string).collect();
    (!listed.is_empty()).then(|| listed.join("; "))
}

/// `identity` without what does not change the features of `layer`: which other
/// layers there are, and how training rows were augmented.
fn comparable(identity: &Identity, layer: &str) -> Identity {
    Identity {
        layers: vec![layer.to_owned()],
        views: 1,
        augment: None,
        seed: None,
        ..identity.clone()
    }
}
