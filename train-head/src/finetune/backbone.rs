//! The network that is fine-tuned, its weights, and where it is cut.

use std::path::Path;

use common::{
    backbone::{Network, Parameters, ValueId, registry},
    cache::{CacheReader, Identity},
    embed::{WeightSource, load_weights},
    engine::device::Precision,
    exit::Exit,
    image::Preprocess,
    tail::{Cut, Selection},
};

use crate::failure::{Failure, OrExit};

/// A network with weights.
pub(crate) struct Backbone {
    pub(crate) network: Network,
    pub(crate) parameters: Parameters,
    /// Rows and columns of its input.
    pub(crate) input: [usize; 2],
}

impl Backbone {
    /// The one that `identity`'s features come from, from `weights`. `place` says whose identity it is.
    pub(crate) fn load(
        identity: &Identity,
        weights: Option<&WeightSource>,
        place: &str,
    ) -> Result<Self, Failure> {
        let refuse = |problem: String| Failure::new(Exit::Mismatch, format!("{place}: {problem}"));
        if identity.precision == Precision::Int8.as_str() {
            let problem = "int8 activations cannot be trained on (extract with --precision f32)";
            return Err(refuse(problem.to_owned()));
        }
        let entry = registry::find(&identity.backbone)
            .map_err(|error| refuse(format!("backbone: {error}")))?;
        let preprocess: Preprocess = serde_json::from_value(identity.preprocessing.clone())
            .map_err(|error| refuse(format!("preprocessing: {error}")))?;
        let parameters = load_weights(entry, weights)
            .map_err(Failure::of)?
            .parameters;
        if parameters.digest() != identity.weights {
            let problem = format!(
                "made with other weights than these: SHA-256 {:.12}… there, {:.12}… here (name the right ones with --weights)",
                identity.weights,
                parameters.digest()
            );
            return Err(refuse(problem));
        }
        let side = preprocess.crop as usize;
        Ok(Self {
            network: entry.network(),
            parameters,
            input: [side, side],
        })
    }
}

/// The cached layer that training starts from: the one `asked` for, or the deepest before all that trains.
pub(crate) fn cached_start(
    reader: &CacheReader,
    network: &Network,
    (selection, patterns): (&Selection, &[String]),
    asked: Option<&str>,
) -> Result<Cut, Failure> {
    let manifest = reader.manifest();
    let place = format!("cache `{}`", reader.directory().display());
    let held: Vec<&str> = manifest
        .layers
        .iter()
        .map(|layer| layer.name.as_str())
        .collect();
    if let Some(name) = asked {
        if !held.contains(&name) {
            let message = format!("{place}: no layer `{name}` (it holds {})", held.join(", "));
            return Err(Failure::new(Exit::Input, message));
        }
        let stage = network.stage(name).or_exit(Exit::Input)?;
        return Ok(Cut {
            layer: Some(stage.name.clone()),
            value: stage.output,
        });
    }
    let cuts = selection.cuts(network);
    let is_held = |cut: &&Cut| {
        cut.layer
            .as_deref()
            .is_some_and(|layer| held.contains(&layer))
    };
    if let Some(cut) = cuts.iter().find(is_held) {
        return Ok(cut.clone());
    }
    let patterns = patterns.join(",");
    let message = match &cuts[0].layer {
        None => format!(
            "--unfreeze {patterns}: trains from the pixels on, which no cache holds (give the images with --source)"
        ),
        Some(layer) => format!(
            "{place}: holds {}, --unfreeze {patterns} needs `{layer}` (run `extract run SOURCE --out OTHER --backbone {} --layer {layer} --dtype f16` with the options of this cache, or give the images with --source)",
            held.join(", "),
            manifest.identity.backbone
        ),
    };
    Err(Failure::new(Exit::Input, message))
}

/// The deepest cut before all that trains.
pub(crate) fn deepest_cut(network: &Network, selection: &Selection) -> Cut {
    let pixels = Cut {
        layer: None,
        value: ValueId(0),
    };
    selection.cuts(network).into_iter().next().unwrap_or(pixels)
}

/// Says where an identity is from.
pub(crate) fn cache_place(directory: &Path) -> String {
    format!("cache `{}`", directory.display())
}
