//! The typed graph: operations, the values that flow between them, and named
//! stage boundaries.
//!
//! Value 0 is the network's input (`[3, H, W]` pixels); node *i* produces
//! value *i + 1*. Nodes stand in execution order, so every node reads only
//! values before its own.

use thiserror::Error;

/// Channels, height and width of one image's activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Feature maps.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// Number of values: channels × height × width.
    pub fn len(self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether the shape holds no value.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The shape that a cache records: `[C]` for a 1×1 map, else `[C, H, W]`.
    pub fn dimensions(self) -> Vec<usize> {
        if self.height == 1 && self.width == 1 {
            vec![self.channels]
        } else {
            vec![self.channels, self.height, self.width]
        }
    }
}

/// Which value a node reads: 0 is the input, `i + 1` the output of node `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// What is applied to the result of a convolution or an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
}

/// How a window is placed at the borders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// The same number of rows and columns on every side (PyTorch).
    Symmetric(usize),
    /// TensorFlow's "SAME": outputs `⌈n / stride⌉`, the odd row or column goes
    /// behind.
    Same,
}

impl Padding {
    /// Rows (or columns) of padding before and after an axis of `size`.
    pub fn along(self, size: usize, kernel: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Symmetric(padding) => (padding, padding),
            Self::Same => {
                let output = size.div_ceil(stride);
                let total = ((output - 1) * stride + kernel).saturating_sub(size);
                (total / 2, total - total / 2)
            }
        }
    }

    /// Length of the output axis.
    fn output(self, size: usize, kernel: usize, stride: usize) -> usize {
        let (before, after) = self.along(size, kernel, stride);
        (size + before + after).saturating_sub(kernel) / stride + 1
    }
}

/// Batch normalisation that follows a convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Prefix of its tensors: `NAME.weight`, `.bias`, `.running_mean`, `.running_var`.
    pub name: String,
    /// Added to the variance.
    pub eps: f64,
}

/// A square convolution without bias, its batch normalisation and activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Prefix of its tensor: `NAME.weight`, `[out, in / groups, kernel, kernel]`.
    pub name: String,
    /// Channels read.
    pub in_channels: usize,
    /// Channels written.
    pub out_channels: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Border policy.
    pub padding: Padding,
    /// 1, or `in_channels` for a depthwise convolution.
    pub groups: usize,
    /// Normalisation of the result.
    pub norm: Norm,
    /// Applied last.
    pub activation: Activation,
}

/// A square pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Side of the window.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Border policy; padded positions never win the maximum.
    pub padding: Padding,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Convolution, batch normalisation, activation.
    Conv(Conv),
    /// Maximum over a window.
    MaxPool(Pool),
    /// Sum of two values of one shape, then the activation.
    Add(Activation),
    /// Mean over rows and columns: `[C, H, W]` → `[C, 1, 1]`.
    GlobalAvgPool,
}

/// An operation and the values it reads (two for [`Op::Add`], else one).
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<ValueId>,
}

/// A named boundary: the value that a layer's name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// `stem`, `layer1` … `avgpool`, and the like.
    pub name: String,
    /// The value at the boundary.
    pub output: ValueId,
}

/// A layer name that the network does not have.
#[derive(Debug, Error)]
#[error("backbone `{network}` has no layer `{name}` (it has {})", known.join(", "))]
pub struct UnknownStage {
    network: String,
    name: String,
    known: Vec<String>,
}

/// A backbone's graph, without weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    name: String,
    nodes: Vec<Node>,
    stages: Vec<Stage>,
    classifier: String,
}

impl Network {
    /// Name of the architecture.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All operations in execution order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Stage boundaries in execution order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Prefix of the classifier's tensors in a weight file (`fc` for ResNets).
    pub fn classifier(&self) -> &str {
        &self.classifier
    }

    /// The boundary called `name`.
    ///
    /// # Errors
    /// [`UnknownStage`], which lists the names there are.
    pub fn stage(&self, name: &str) -> Result<&Stage, UnknownStage> {
        self.stages
            .iter()
            .find(|stage| stage.name == name)
            .ok_or_else(|| UnknownStage {
                network: self.name.clone(),
                name: name.to_owned(),
                known: self.stages.iter().map(|stage| stage.name.clone()).collect(),
            })
    }

    /// Shapes of all values for an input of `height` × `width`: entry 0 is the
    /// input, entry `i + 1` the output of node `i`.
    pub fn shapes(&self, height: usize, width: usize) -> Vec<Shape> {
        let mut shapes = Vec::with_capacity(self.nodes.len() + 1);
        shapes.push(Shape {
            channels: 3,
            height,
            width,
        });
        for node in &self.nodes {
            let input = shapes[node.inputs[0].0];
            shapes.push(output_shape(&node.op, input));
        }
        shapes
    }
}

fn output_shape(op: &Op, input: Shape) -> Shape {
    let windowed = |channels, padding: Padding, kernel, stride| Shape {
        channels,
        height: padding.output(input.height, kernel, stride),
        width: padding.output(input.width, kernel, stride),
    };
    match op {
        Op::Conv(conv) => windowed(conv.out_channels, conv.padding, conv.kernel, conv.stride),
        Op::MaxPool(pool) => windowed(input.channels, pool.padding, pool.kernel, pool.stride),
        Op::Add(_) => input,
        Op::GlobalAvgPool => Shape {
            channels: input.channels,
            height: 1,
            width: 1,
        },
    }
}

/// Builds a [`Network`] front to back.
pub struct NetworkBuilder {
    network: Network,
}

impl NetworkBuilder {
    /// Starts a graph; `classifier` is the prefix of the classifier's tensors.
    pub fn new(name: &str, classifier: &str) -> Self {
        Self {
            network: Network {
                name: name.to_owned(),
                nodes: Vec::new(),
                stages: Vec::new(),
                classifier: classifier.to_owned(),
            },
        }
    }

    /// The value produced last (the input at the start).
    pub fn last(&self) -> ValueId {
        ValueId(self.network.nodes.len())
    }

    /// Appends an operation on `input`.
    pub fn push(&mut self, op: Op, input: ValueId) -> ValueId {
        self.push_node(op, vec![input])
    }

    /// Appends the sum of `left` and `right`.
    pub fn add(&mut self, left: ValueId, right: ValueId, activation: Activation) -> ValueId {
        self.push_node(Op::Add(activation), vec![left, right])
    }

    /// Ends a stage at the value produced last.
    pub fn end_stage(&mut self, name: &str) {
        let output = self.last();
        self.network.stages.push(Stage {
            name: name.to_owned(),
            output,
        });
    }

    /// Appends the global average pool as the stage `avgpool` and ends the graph.
    pub fn finish(mut self) -> Network {
        let last = self.last();
        self.push(Op::GlobalAvgPool, last);
        self.end_stage("avgpool");
        self.network
    }

    fn push_node(&mut self, op: Op, inputs: Vec<ValueId>) -> ValueId {
        self.network.nodes.push(Node { op, inputs });
        self.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_row_behind() {
        assert_eq!(Padding::Same.along(224, 3, 2), (0, 1));
        assert_eq!(Padding::Same.along(225, 3, 2), (1, 1));
        assert_eq!(Padding::Same.along(56, 5, 1), (2, 2));
        assert_eq!(Padding::Same.output(7, 3, 2), 4);
    }
}
