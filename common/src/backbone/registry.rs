//! The known backbones: architecture, where weights come from, and the
//! preprocessing that belongs to those weights.

use super::{
    Network,
    efficientnet_lite0::efficientnet_lite0,
    mobilenet_v2::{mobilenet_v2, older_name as mobilenet_v2_older_name},
    resnet::{Block, resnet},
};
use crate::image::{Interpolation, Preprocess, Resize};

/// The backbone that runs without any download.
pub const DEFAULT_BACKBONE: &str = "efficientnet-lite0";

/// A known set of weights for an architecture.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Name on the command line and in caches.
    pub name: &'static str,
    /// Where weights come from, for `extract backbones`.
    pub origin: &'static str,
    /// Weights compiled into the program: a safetensors file.
    pub embedded: Option<&'static [u8]>,
    /// An older name of a tensor, for files that predate the network's names.
    pub(super) older_name: fn(&str) -> String,
    network: fn() -> Network,
    preprocess: fn() -> Preprocess,
}

impl Entry {
    /// The architecture's graph.
    pub fn network(&self) -> Network {
        (self.network)()
    }

    /// The recipe that the weights were trained and evaluated with.
    pub fn preprocess(&self) -> Preprocess {
        (self.preprocess)()
    }
}

/// A backbone name that is not in the registry.
#[derive(Debug, thiserror::Error)]
#[error("unknown backbone `{name}` (known: {})", names().collect::<Vec<_>>().join(", "))]
pub struct UnknownBackbone {
    name: String,
}

/// Looks a backbone up by name; `_` and `-` are the same.
///
/// # Errors
/// [`UnknownBackbone`], which lists the known names.
pub fn find(name: &str) -> Result<&'static Entry, UnknownBackbone> {
    let wanted = name.replace('_', "-");
    ENTRIES
        .iter()
        .find(|entry| entry.name.replace('_', "-") == wanted)
        .ok_or_else(|| UnknownBackbone {
            name: name.to_owned(),
        })
}

/// All names, in the order of the registry.
pub fn names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.name)
}

/// All entries.
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

const TORCHVISION_V1: &str = "torchvision IMAGENET1K_V1";
const TORCHVISION_V2: &str = "torchvision IMAGENET1K_V2";

static ENTRIES: &[Entry] = &[
    Entry {
        name: DEFAULT_BACKBONE,
        origin: "embedded, ImageNet",
        embedded: Some(include_bytes!(
            "../../../data/weights/efficientnet-lite0.safetensors"
        )),
        older_name: str::to_owned,
        network: efficientnet_lite0,
        preprocess: efficientnet_lite0_preprocess,
    },
    mobilenet("mobilenet-v2", TORCHVISION_V1, Preprocess::imagenet),
    mobilenet("mobilenet-v2.v2", TORCHVISION_V2, imagenet_232),
    from_file("resnet18", TORCHVISION_V1, resnet18, Preprocess::imagenet),
    from_file("resnet18.a1", "timm resnet18.a1_in1k", resnet18, timm_a1),
    from_file("resnet34", TORCHVISION_V1, resnet34, Preprocess::imagenet),
    from_file("resnet50", TORCHVISION_V1, resnet50, Preprocess::imagenet),
    from_file("resnet50.v2", TORCHVISION_V2, resnet50, imagenet_232),
    from_file("resnet101", TORCHVISION_V1, resnet101, Preprocess::imagenet),
    from_file("resnet101.v2", TORCHVISION_V2, resnet101, imagenet_232),
    from_file("resnet152", TORCHVISION_V1, resnet152, Preprocess::imagenet),
    from_file("resnet152.v2", TORCHVISION_V2, resnet152, imagenet_232),
];

const fn from_file(
    name: &'static str,
    origin: &'static str,
    network: fn() -> Network,
    preprocess: fn() -> Preprocess,
) -> Entry {
    Entry {
        name,
        origin,
        embedded: None,
        older_name: str::to_owned,
        network,
        preprocess,
    }
}

const fn mobilenet(
    name: &'static str,
    origin: &'static str,
    preprocess: fn() -> Preprocess,
) -> Entry {
    Entry {
        older_name: mobilenet_v2_older_name,
        ..from_file(name, origin, mobilenet_v2, preprocess)
    }
}

fn resnet18() -> Network {
    resnet("resnet18", Block::Basic, [2, 2, 2, 2])
}

fn resnet34() -> Network {
    resnet("resnet34", Block::Basic, [3, 4, 6, 3])
}

fn resnet50() -> Network {
    resnet("resnet50", Block::Bottleneck, [3, 4, 6, 3])
}

fn resnet101() -> Network {
    resnet("resnet101", Block::Bottleneck, [3, 4, 23, 3])
}

fn resnet152() -> Network {
    resnet("resnet152", Block::Bottleneck, [3, 8, 36, 3])
}

/// `(pixel − 127) / 128` on the 0–255 scale, short side 256, crop 224.
fn efficientnet_lite0_preprocess() -> Preprocess {
    Preprocess {
        mean: [127.0 / 255.0; 3],
        std: [128.0 / 255.0; 3],
        ..Preprocess::imagenet()
    }
}

/// torchvision's second weights resize to 232 before the crop.
fn imagenet_232() -> Preprocess {
    Preprocess {
        resize: Resize::ShortSide(232),
        ..Preprocess::imagenet()
    }
}

/// timm's `a1` recipe: bicubic, crop fraction 0.95 of a short side of 235.
fn timm_a1() -> Preprocess {
    Preprocess {
        resize: Resize::ShortSide(235),
        interpolation: Interpolation::Bicubic,
        ..Preprocess::imagenet()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_ends_in_a_pooled_feature() {
        let widths = [
            1280, 1280, 1280, 512, 512, 512, 2048, 2048, 2048, 2048, 2048, 2048,
        ];
        for (entry, width) in entries().iter().zip(widths) {
            let network = entry.network();
            let shapes = network.shapes(224, 224);
            let output = network.stage("avgpool").unwrap().output;
            assert_eq!(shapes[output.0].dimensions(), [width], "{}", entry.name);
        }
    }

    #[test]
    fn names_are_found_with_either_separator() {
        assert_eq!(find("mobilenet_v2").unwrap().name, "mobilenet-v2");
        let error = find("resnet19").err().unwrap().to_string();
        assert!(error.contains("resnet19") && error.contains("resnet18"));
    }
}
