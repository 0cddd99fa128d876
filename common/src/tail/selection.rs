//! Which parameters train, and where the network can be cut for it.
//!
//! A pattern selects every parameter whose name contains it, as the usual loop over
//! `named_parameters()` does, or, where it is the name of a stage, everything in that stage. `all`
//! selects everything; the head always trains.

use crate::backbone::{Conv, Network, Op, ValueId};

/// Selects every parameter.
const ALL: &str = "all";

/// What the head is called in patterns, whatever the network calls it.
const HEAD: &str = "fc";

/// The parameters of a backbone that train. The head trains besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// In execution order.
    trained: Vec<String>,
    /// The first node with one of them; the number of nodes when only the head trains.
    first_node: usize,
}

/// Where a network is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The stage; `None`: the pixels.
    pub layer: Option<String>,
    /// Its value.
    pub value: ValueId,
}

/// A pattern that selects nothing.
#[derive(Debug, thiserror::Error)]
#[error("--unfreeze {pattern}: no parameter of `{network}` has a name with it (there are {})", blocks.join(", "))]
pub struct SelectionError {
    pattern: String,
    network: String,
    blocks: Vec<String>,
}

impl Selection {
    /// What `patterns` select of `network`.
    ///
    /// # Errors
    /// A pattern that selects nothing.
    pub fn new(network: &Network, patterns: &[String]) -> Result<Self, SelectionError> {
        if let Some(pattern) = patterns.iter().find(|p| !selects_any(network, p)) {
            return Err(SelectionError {
                pattern: pattern.clone(),
                network: network.name().to_owned(),
                blocks: known(network),
            });
        }
        let mut selection = Self::head_alone(network);
        for (node, conv) in convs(network) {
            let stage = stage_of(network, node);
            for name in parameters_of(conv) {
                let selected = |pattern: &String| selects(pattern, &name, stage);
                if patterns.iter().any(selected) {
                    selection.first_node = selection.first_node.min(node);
                    selection.trained.push(name);
                }
            }
        }
        Ok(selection)
    }

    /// Nothing but the head.
    pub fn head_alone(network: &Network) -> Self {
        Self {
            trained: Vec::new(),
            first_node: network.nodes().len(),
        }
    }

    /// Names of the backbone's parameters that train, in execution order.
    pub fn trained(&self) -> &[String] {
        &self.trained
    }

    /// Whether the parameter `name` of the backbone trains.
    pub fn contains(&self, name: &str) -> bool {
        self.trained.iter().any(|trained| trained == name)
    }

    /// The first node with a trained parameter; the number of nodes when only the head trains.
    pub fn first_node(&self) -> usize {
        self.first_node
    }

    /// The stages that everything trained is behind, the deepest first, and the pixels: a cache of any
    /// of them will do, and the first makes the cheapest steps.
    pub fn cuts(&self, network: &Network) -> Vec<Cut> {
        let stages = network.stages().iter().rev();
        let before = stages.filter(|stage| stage.output.0 <= self.first_node);
        before
            .map(|stage| Cut {
                layer: Some(stage.name.clone()),
                value: stage.output,
            })
            .chain([Cut {
                layer: None,
                value: ValueId(0),
            }])
            .collect()
    }
}

/// The parameters of a convolution and its normalisation that can train.
pub(super) fn parameters_of(conv: &Conv) -> [String; 3] {
    [
        format!("{}.weight", conv.name),
        format!("{}.weight", conv.norm.name),
        format!("{}.bias", conv.norm.name),
    ]
}

/// The convolutions with their nodes.
fn convs(network: &Network) -> impl Iterator<Item = (usize, &Conv)> {
    let nodes = network.nodes().iter().enumerate();
    nodes.filter_map(|(node, content)| match &content.op {
        Op::Conv(conv) => Some((node, conv)),
        _ => None,
    })
}

/// The stage that a node belongs to.
fn stage_of(network: &Network, node: usize) -> Option<&str> {
    let stages = network.stages().iter();
    let mut behind = stages.skip_while(|stage| stage.output.0 <= node);
    behind.next().map(|stage| stage.name.as_str())
}

fn selects(pattern: &str, name: &str, stage: Option<&str>) -> bool {
    pattern == ALL || stage == Some(pattern) || name.contains(pattern)
}

fn selects_any(network: &Network, pattern: &str) -> bool {
    let of_head = pattern == HEAD || network.classifier().contains(pattern);
    let of_conv = |(node, conv): (usize, &Conv)| {
        let stage = stage_of(network, node);
        let names = parameters_of(conv);
        names.iter().any(|name| selects(pattern, name, stage))
    };
    !pattern.is_empty() && (of_head || convs(network).any(of_conv))
}

/// What can be selected: stages and blocks, and the head.
fn known(network: &Network) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for (node, conv) in convs(network) {
        let stage = stage_of(network, node).map(str::to_owned);
        for name in stage
            .into_iter()
            .chain([super::depth::block(&conv.name).to_owned()])
        {
            if !known.contains(&name) {
                known.push(name);
            }
        }
    }
    known.push(network.classifier().to_owned());
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::registry;

    fn select(backbone: &str, patterns: &[&str]) -> Result<(Selection, Network), SelectionError> {
        let network = registry::find(backbone).unwrap().network();
        let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
        Ok((Selection::new(&network, &patterns)?, network))
    }

    fn deepest_cut(backbone: &str, patterns: &[&str]) -> Option<String> {
        let (selection, network) = select(backbone, patterns).unwrap();
        selection.cuts(&network).remove(0).layer
    }

    #[test]
    fn layer4_trains_what_pytorchs_loop_over_names_would() {
        let (selection, _) = select("resnet18", &["layer4", "fc"]).unwrap();
        assert_eq!(selection.trained().len(), 15);
        assert!(selection.contains("layer4.0.downsample.1.bias"));
        assert!(!selection.contains("layer3.1.conv2.weight"));
    }

    #[test]
    fn the_cut_is_the_deepest_stage_before_all_that_trains() {
        assert_eq!(deepest_cut("resnet18", &["layer4"]).unwrap(), "layer3");
        assert_eq!(
            deepest_cut("resnet18", &["layer4", "layer2"]).unwrap(),
            "layer1"
        );
        assert_eq!(deepest_cut("resnet18", &["fc"]).unwrap(), "avgpool");
        assert_eq!(deepest_cut("resnet18", &["all"]), None);
        assert_eq!(deepest_cut("resnet18", &["conv1.weight"]), None);
        assert_eq!(
            deepest_cut("efficientnet-lite0", &["stage7", "head"]).unwrap(),
            "stage6"
        );
        assert_eq!(
            deepest_cut("mobilenet-v2", &["features.18"]).unwrap(),
            "stage7"
        );
    }

    #[test]
    fn a_pattern_without_a_match_is_refused_with_the_choices() {
        let error = select("resnet18", &["layer4", "layer5"])
            .err()
            .unwrap()
            .to_string();
        for word in ["--unfreeze layer5", "resnet18", "layer4.1", "fc"] {
            assert!(error.contains(word), "{error}");
        }
    }
}
