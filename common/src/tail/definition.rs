//! What a tail is: a network from a cut on, which of it trains and how, and a head.

use super::{Selection, Tensor, Tensors, depth::depths, selection::parameters_of};
use crate::{
    backbone::{Conv, Network, Node, Op, Parameters, Shape, ValueId, weights::Parameter},
    head::{Head, HeadKind},
};

/// Share of a batch's statistics in the new running ones, as in PyTorch.
pub const NORM_MOMENTUM: f64 = 0.1;

/// What batch normalisations with trained parameters do; all others use their running statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormMode {
    /// Running statistics, which stay as they are.
    Frozen,
    /// The batch's statistics; the running ones follow with [`NORM_MOMENTUM`].
    Train,
}

/// How a tail is trained.
#[derive(Clone, Copy, Debug)]
pub struct TailOptions {
    /// Rows and columns of the network's input.
    pub input: [usize; 2],
    /// What batch normalisations do.
    pub norm: NormMode,
    /// Shape of the head.
    pub head: HeadKind,
    /// Its outputs.
    pub classes: usize,
    /// Probability with which an input of a layer of the head is dropped, in [0, 1).
    pub dropout: f32,
}

/// A network from a value on, and a head.
#[derive(Clone, Debug)]
pub struct Tail {
    network: Network,
    start: ValueId,
    shapes: Vec<Shape>,
    selection: Selection,
    options: TailOptions,
}

/// A tail that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// Something trains before the cut.
    #[error(
        "--unfreeze: `{parameter}` lies before `{layer}`, whose activations are what comes in (it needs {needed})"
    )]
    TrainedBeforeStart {
        /// The first such parameter.
        parameter: String,
        /// The cut.
        layer: String,
        /// The stages that would do.
        needed: String,
    },
    /// Weights do not fit the network.
    #[error("tensor `{name}`: {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What was expected and found.
        problem: String,
    },
}

impl Tail {
    /// The tail of `network` behind `start`, the value of one of its stages or its input.
    ///
    /// # Errors
    /// When `selection` trains something before `start`.
    pub fn new(
        network: Network,
        start: ValueId,
        selection: Selection,
        options: TailOptions,
    ) -> Result<Self, TailError> {
        if selection.first_node() < start.0 {
            let stages = network.stages().iter();
            let mut at_start = stages.filter(|stage| stage.output == start);
            let cuts = selection.cuts(&network);
            let needed = cuts.iter().map(|cut| match &cut.layer {
                Some(layer) => format!("`{layer}`"),
                None => "the images".to_owned(),
            });
            return Err(TailError::TrainedBeforeStart {
                parameter: selection.trained()[0].clone(),
                layer: at_start
                    .next()
                    .map_or_else(String::new, |stage| stage.name.clone()),
                needed: needed.collect::<Vec<_>>().join(" or "),
            });
        }
        let [height, width] = options.input;
        Ok(Self {
            shapes: network.shapes(height, width),
            network,
            start,
            selection,
            options,
        })
    }

    /// The whole network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The value whose activations come in.
    pub fn start(&self) -> ValueId {
        self.start
    }

    /// The operations behind the cut, each with its number in the network. They read no value before
    /// [`Tail::start`].
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (usize, &Node)> {
        self.network.nodes().iter().enumerate().skip(self.start.0)
    }

    /// Shape of a value of the network.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.shapes[value.0]
    }

    /// Shape of what comes in.
    pub fn input_shape(&self) -> Shape {
        self.shape(self.start)
    }

    /// Width of the features that the head reads.
    pub fn features(&self) -> usize {
        self.shapes[self.shapes.len() - 1].channels
    }

    /// How it is trained.
    pub fn options(&self) -> &TailOptions {
        &self.options
    }

    /// The backbone's parameters that train.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Whether the batch normalisation of `conv` uses the batch's statistics and updates its own.
    pub fn normalises_by_batch(&self, conv: &Conv) -> bool {
        let [_, weight, bias] = parameters_of(conv);
        self.options.norm == NormMode::Train
            && (self.selection.contains(&weight) || self.selection.contains(&bias))
    }

    /// Whether one of them has a single value a row and channel: two rows at least have a variance.
    pub fn normalises_single_values(&self) -> bool {
        self.nodes().any(|(number, node)| {
            let shape = self.shape(ValueId(number + 1));
            let is_single = shape.height * shape.width == 1;
            matches!(&node.op, Op::Conv(conv) if is_single && self.normalises_by_batch(conv))
        })
    }

    /// Prefixes of the head's layers in the network's weight files, first to last: `fc`, or `fc.0` and `fc.2`.
    pub fn head_layers(&self) -> Vec<String> {
        let name = self.network.classifier();
        match self.options.head {
            HeadKind::Linear => vec![name.to_owned()],
            HeadKind::Mlp { .. } => vec![format!("{name}.0"), format!("{name}.2")],
        }
    }

    /// Names of all that trains, in execution order, the head's tensors last.
    pub fn trained(&self) -> Vec<String> {
        let layers = self.head_layers();
        let of_head = layers
            .iter()
            .flat_map(|layer| ["weight", "bias"].map(|tensor| format!("{layer}.{tensor}")));
        self.selection
            .trained()
            .iter()
            .cloned()
            .chain(of_head)
            .collect()
    }

    /// For each of [`Tail::trained`], how many blocks it is from the head; 0 for the head itself.
    pub fn depths(&self) -> Vec<usize> {
        let of_head = vec![0; 2 * self.head_layers().len()];
        // A normalisation learns with its convolution, whatever its own name.
        let weight = |name: &String| {
            let own = self.convs().find(|conv| belongs(conv, name));
            own.map_or_else(|| name.clone(), |conv| format!("{}.weight", conv.name))
        };
        let weights: Vec<String> = self.selection.trained().iter().map(weight).collect();
        [depths(weights.iter().map(String::as_str)), of_head].concat()
    }

    /// All tensors of the tail, trained or not, running statistics among them, from `parameters` and `head`.
    ///
    /// # Panics
    /// When `parameters` are another network's, or `head` has another shape than the options say.
    pub fn tensors(&self, parameters: &Parameters, head: &Head) -> Tensors {
        let layers = head.layers().iter();
        let mut of_head = layers.flat_map(|layer| [layer.weight.clone(), layer.bias.clone()]);
        let mut values = |name: &str| match parameters.get(name) {
            Some(values) => values.to_vec(),
            None => of_head.next().unwrap_or_default(),
        };
        let all = self.parameters().into_iter().map(|parameter| Tensor {
            values: values(&parameter.name),
            name: parameter.name,
            shape: parameter.shape,
        });
        all.collect()
    }

    /// Names and shapes of all tensors of the tail, in the order of [`Tail::tensors`]: of the backbone in
    /// execution order, then of the head.
    pub fn parameters(&self) -> Vec<Parameter> {
        let of_backbone = self.network.parameters().into_iter();
        let mut all: Vec<_> = of_backbone
            .filter(|parameter| self.convs().any(|conv| belongs(conv, &parameter.name)))
            .collect();
        let TailOptions { head, classes, .. } = self.options;
        let sizes = head.layer_sizes(self.features(), classes);
        for (name, (inputs, outputs)) in self.head_layers().into_iter().zip(sizes) {
            all.push(Parameter {
                name: format!("{name}.weight"),
                shape: vec![outputs, inputs],
            });
            all.push(Parameter {
                name: format!("{name}.bias"),
                shape: vec![outputs],
            });
        }
        all
    }

    /// The convolutions of the tail.
    pub fn convs(&self) -> impl Iterator<Item = &Conv> {
        self.nodes().filter_map(|(_, node)| match &node.op {
            Op::Conv(conv) => Some(conv),
            _ => None,
        })
    }
}

/// Whether the tensor `name` is one of `conv` or its normalisation.
fn belongs(conv: &Conv, name: &str) -> bool {
    let module = name.rsplit_once('.').map_or(name, |(module, _)| module);
    module == conv.name || module == conv.norm.name
}
