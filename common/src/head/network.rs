//! The heads themselves: one linear layer, or two with a ReLU between them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Linear, forward::Pass};
use crate::random;

/// Hidden units of an MLP head unless told otherwise.
pub const DEFAULT_HIDDEN: usize = 512;

/// The shape of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "head", rename_all = "lowercase")]
pub enum HeadKind {
    /// `Linear(features, classes)`, called `fc`.
    Linear,
    /// `Sequential(Linear(features, hidden), ReLU, Linear(hidden, classes))`, called `fc`.
    Mlp {
        /// Hidden units.
        hidden: usize,
    },
}

impl HeadKind {
    /// Inputs and outputs of each layer, first to last.
    pub fn layer_sizes(self, features: usize, classes: usize) -> Vec<(usize, usize)> {
        match self {
            Self::Linear => vec![(features, classes)],
            Self::Mlp { hidden } => vec![(features, hidden), (hidden, classes)],
        }
    }

    /// What torchvision calls the layers of a `resnet.fc` replaced by this head.
    pub fn layer_names(self) -> &'static [&'static str] {
        match self {
            Self::Linear => &["fc"],
            Self::Mlp { .. } => &["fc.0", "fc.2"],
        }
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Linear => f.write_str("linear"),
            Self::Mlp { hidden } => write!(f, "mlp with {hidden} hidden units"),
        }
    }
}

/// A classification head: from features `[B, D]` to logits `[B, C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    kind: HeadKind,
    layers: Vec<Linear>,
}

impl Head {
    /// A head with all parameters zero; the shape of gradients and of
    /// optimizer state too.
    pub fn zeros(kind: HeadKind, features: usize, classes: usize) -> Self {
        let layers = kind
            .layer_sizes(features, classes)
            .into_iter()
            .map(|(inputs, outputs)| Linear::zeros(inputs, outputs))
            .collect();
        Self { kind, layers }
    }

    /// A fresh head; each layer draws from its own stream of `seed`.
    pub fn random(kind: HeadKind, features: usize, classes: usize, seed: u64) -> Self {
        let layers = kind
            .layer_sizes(features, classes)
            .into_iter()
            .zip(kind.layer_names())
            .map(|((inputs, outputs), name)| {
                let mut stream = random::stream(seed, &format!("head/init/{name}"));
                Linear::random(inputs, outputs, &mut stream)
            })
            .collect();
        Self { kind, layers }
    }

    /// A head of the given layers, which fit `kind` and one another.
    pub(super) fn from_layers(kind: HeadKind, layers: Vec<Linear>) -> Self {
        Self { kind, layers }
    }

    /// The shape of the head.
    pub fn kind(&self) -> HeadKind {
        self.kind
    }

    /// Width D of the features that the head takes.
    pub fn features(&self) -> usize {
        self.layers[0].inputs
    }

    /// Number C of classes.
    pub fn classes(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Linear] {
        &self.layers
    }

    /// The layers, to be changed in place.
    pub fn layers_mut(&mut self) -> &mut [Linear] {
        &mut self.layers
    }

    /// Logits `[B, C]` of `features` `[B, D]`, without dropout.
    ///
    /// # Panics
    /// When `features` is not a whole number of rows.
    pub fn logits(&self, features: &[f32]) -> Vec<f32> {
        let mut pass = Pass::new(self);
        pass.forward(self, features);
        pass.into_logits()
    }

    /// Whether every parameter is a finite number.
    pub fn is_finite(&self) -> bool {
        self.layers.iter().all(|layer| {
            layer
                .weight
                .iter()
                .chain(&layer.bias)
                .all(|v| v.is_finite())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_head_and_layers_differ() {
        let kind = HeadKind::Mlp { hidden: 4 };
        let head = Head::random(kind, 4, 4, 3);
        assert_eq!(head, Head::random(kind, 4, 4, 3));
        assert_ne!(head, Head::random(kind, 4, 4, 4));
        assert_ne!(head.layers()[0].weight, head.layers()[1].weight);
    }

    #[test]
    fn logits_of_a_row_do_not_depend_on_its_batch() {
        let head = Head::random(HeadKind::Mlp { hidden: 8 }, 6, 3, 1);
        let features: Vec<f32> = (0..18).map(|i| (i as f32).sin()).collect();
        let together = head.logits(&features);
        for (row, logits) in features.chunks(6).zip(together.chunks(3)) {
            for (alone, batched) in head.logits(row).iter().zip(logits) {
                assert!((alone - batched).abs() < 1e-6);
            }
        }
    }
}
