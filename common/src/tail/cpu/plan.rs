//! A tail as operations on numbered values, with what the way back needs of each.

use super::{
    affine::Clip,
    conv::{ConvLayer, Kernel},
    depthwise::Depthwise,
    general::General,
    head::{Dense, Layers},
    packing::Packing,
    parameters::{Needed, ParameterId, Parameters},
    window::Window,
    winograd::Winograd,
};
use crate::{
    backbone::{Activation, Conv, Op, Padding, Shape},
    engine::cpu::isa::Isa,
    panel::LANES,
    tail::{Tail, Tensors, TrainerError},
};

/// An operation.
pub(super) enum Operation {
    Conv(Box<ConvLayer>),
    Add(Clip),
    MaxPool(Window),
    AveragePool,
}

/// An operation and the values that it reads; node i makes value i + 1, and value 0 comes in.
pub(super) struct Node {
    pub(super) operation: Operation,
    pub(super) inputs: Vec<usize>,
    /// Of one image's result.
    pub(super) shape: Shape,
}

/// All operations of a tail.
pub(super) struct Plan {
    pub(super) nodes: Vec<Node>,
    pub(super) head: Layers,
    pub(super) input: Shape,
    /// Whether something reads value 0 in panels; otherwise the first convolution reads images.
    pub(super) loads_input: bool,
    /// For each value, whether it has a gradient.
    pub(super) has_gradient: Vec<bool>,
    /// For each value, whether the way back reads it.
    pub(super) kept: Vec<bool>,
    /// For each value, the last node that reads it; the number of nodes for the head.
    pub(super) last_use: Vec<usize>,
}

/// Collects the tensors that layers ask for.
struct Builder<'a> {
    tail: &'a Tail,
    isa: Isa,
    needed: Vec<Needed>,
}

impl Builder<'_> {
    fn need(
        &mut self,
        name: String,
        shape: Vec<usize>,
        (packing, follows): (Packing, bool),
    ) -> ParameterId {
        self.needed.push(Needed {
            name,
            shape,
            packing,
            follows,
        });
        ParameterId(self.needed.len() - 1)
    }

    /// `planar`: it reads images of fewer channels than a panel has.
    fn conv(&mut self, conv: &Conv, shapes: [Shape; 2], planar: bool) -> ConvLayer {
        let window = Window::new((conv.kernel, conv.stride, conv.padding), shapes);
        let (outputs, taps) = (conv.out_channels, window.taps());
        let isa = self.isa;
        let (kernel, packing) = if conv.groups > 1 {
            let packing = Packing::Depthwise {
                channels: outputs,
                taps,
            };
            (Kernel::Depthwise(Depthwise { window, isa }), packing)
        } else {
            let inputs = conv.in_channels;
            let packing = if planar {
                Packing::Dense {
                    outputs,
                    inputs,
                    taps,
                }
            } else {
                Packing::ByPanels {
                    outputs,
                    inputs,
                    taps,
                }
            };
            let winograd = Winograd::suiting(window, [inputs, outputs], isa).filter(|_| !planar);
            let general = Kernel::General(General { window, isa });
            (winograd.map_or(general, Kernel::Winograd), packing)
        };
        let shape = vec![
            outputs,
            conv.in_channels / conv.groups,
            conv.kernel,
            conv.kernel,
        ];
        let weight = self.need(format!("{}.weight", conv.name), shape, (packing, false));
        let by_batch = self.tail.normalises_by_batch(conv);
        let vector = Packing::Vector { len: outputs };
        let norm = [
            ("weight", false),
            ("bias", false),
            ("running_mean", by_batch),
            ("running_var", by_batch),
        ];
        let norm = norm.map(|(tensor, follows)| {
            let name = format!("{}.{tensor}", conv.norm.name);
            self.need(name, vec![outputs], (vector, follows))
        });
        ConvLayer {
            kernel,
            weight,
            norm,
            eps: conv.norm.eps,
            clip: conv.activation.into(),
            by_batch,
            shape: shapes[1],
        }
    }

    fn head(&mut self) -> Layers {
        let options = self.tail.options();
        let sizes = options
            .head
            .layer_sizes(self.tail.features(), options.classes);
        let names = self.tail.head_layers();
        let last = names.len() - 1;
        let layers = names.into_iter().zip(sizes).enumerate();
        let list = layers.map(|(number, (name, (inputs, outputs)))| {
            let matrix = Packing::ByPanels {
                outputs,
                inputs,
                taps: 1,
            };
            let vector = Packing::Vector { len: outputs };
            Dense {
                weight: self.need(
                    format!("{name}.weight"),
                    vec![outputs, inputs],
                    (matrix, false),
                ),
                bias: self.need(format!("{name}.bias"), vec![outputs], (vector, false)),
                outputs,
                activation: if number < last {
                    Activation::Relu
                } else {
                    Activation::Identity
                },
            }
        });
        Layers {
            list: list.collect(),
            dropout: options.dropout,
        }
    }
}

impl Plan {
    /// Of `tail`, with the values in `tensors`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub(super) fn new(
        tail: &Tail,
        tensors: &Tensors,
        isa: Isa,
    ) -> Result<(Self, Parameters), TrainerError> {
        let start = tail.start().0;
        let input = tail.input_shape();
        let mut builder = Builder {
            tail,
            isa,
            needed: Vec::new(),
        };
        let reads_images = |node: &crate::backbone::Node| match &node.op {
            Op::Conv(conv) => conv.groups == 1,
            _ => false,
        };
        let mut of_input = tail
            .nodes()
            .filter(|(_, node)| node.inputs.iter().any(|value| value.0 == start));
        let is_used = tail.nodes().next().is_some();
        let planar =
            input.channels < LANES && is_used && of_input.all(|(_, node)| reads_images(node));
        let mut nodes = Vec::new();
        for (number, node) in tail.nodes() {
            let shape = tail.shape(crate::backbone::ValueId(number + 1));
            let shapes = [tail.shape(node.inputs[0]), shape];
            let operation = match &node.op {
                Op::Conv(conv) => {
                    let planar = planar && node.inputs[0].0 == start;
                    Operation::Conv(Box::new(builder.conv(conv, shapes, planar)))
                }
                Op::MaxPool(pool) => {
                    let geometry: (usize, usize, Padding) =
                        (pool.kernel, pool.stride, pool.padding);
                    Operation::MaxPool(Window::new(geometry, shapes))
                }
                Op::Add(activation) => Operation::Add((*activation).into()),
                Op::GlobalAvgPool => Operation::AveragePool,
            };
            let inputs = node.inputs.iter().map(|value| value.0 - start).collect();
            nodes.push(Node {
                operation,
                inputs,
                shape,
            });
        }
        let head = builder.head();
        let parameters = Parameters::new(tensors, builder.needed, &tail.trained())?;
        let mut plan = Self {
            has_gradient: vec![false; nodes.len() + 1],
            kept: vec![false; nodes.len() + 1],
            last_use: vec![0; nodes.len() + 1],
            nodes,
            head,
            input,
            loads_input: !planar,
        };
        plan.find_uses(&parameters);
        Ok((plan, parameters))
    }

    fn find_uses(&mut self, parameters: &Parameters) {
        for (number, node) in self.nodes.iter().enumerate() {
            let below = node.inputs.iter().any(|&value| self.has_gradient[value]);
            let (learns, clips) = match &node.operation {
                Operation::Conv(conv) => {
                    self.kept[node.inputs[0]] |= conv.keeps_input(parameters);
                    (conv.trains(parameters), !conv.clip.is_identity())
                }
                Operation::Add(clip) => (false, !clip.is_identity()),
                Operation::MaxPool(_) | Operation::AveragePool => (false, false),
            };
            self.has_gradient[number + 1] = below || learns;
            self.kept[number + 1] |= clips && (below || learns);
            for &value in &node.inputs {
                self.last_use[value] = number;
            }
        }
        self.last_use[self.nodes.len()] = self.nodes.len();
    }
}
