//! The graph as the engine runs it: an addition behind a convolution becomes
//! part of that convolution.

use crate::backbone::{Activation, Conv, Node, Op, Pool, ValueId};

/// One operation after fusion. It stands where its output was produced.
pub(super) struct Operation<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) input: ValueId,
    /// Added to the result, before the activation.
    pub(super) residual: Option<ValueId>,
    pub(super) output: ValueId,
}

/// What an [`Operation`] computes.
pub(super) enum Kind<'a> {
    /// Convolution and normalisation, the residual, this activation.
    Conv(&'a Conv, Activation),
    /// Maximum over a window.
    MaxPool(Pool),
    /// Input plus residual, activated.
    Add(Activation),
    /// Mean over all pixels.
    GlobalAvgPool,
}

/// Rewrites `nodes`; the values in `kept` are emitted and stay what they are.
pub(super) fn fuse<'a>(nodes: &'a [Node], kept: &[ValueId]) -> Vec<Operation<'a>> {
    let fusion = Fusion { nodes, kept };
    let absorbed: Vec<_> = nodes
        .iter()
        .map(|node| fusion.convolution_to_absorb(node))
        .collect();
    let mut operations = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let output = ValueId(index + 1);
        if absorbed.contains(&Some(output)) {
            continue;
        }
        let operation = match (&node.op, absorbed[index]) {
            (Op::Add(activation), Some(value)) => {
                fusion.residual_conv(node, value, *activation, output)
            }
            (op, _) => Operation {
                kind: kind(op),
                input: node.inputs[0],
                residual: node.inputs.get(1).copied(),
                output,
            },
        };
        operations.push(operation);
    }
    operations
}

fn kind(op: &Op) -> Kind<'_> {
    match op {
        Op::Conv(conv) => Kind::Conv(conv, conv.activation),
        Op::MaxPool(pool) => Kind::MaxPool(*pool),
        Op::Add(activation) => Kind::Add(*activation),
        Op::GlobalAvgPool => Kind::GlobalAvgPool,
    }
}

struct Fusion<'a, 'b> {
    nodes: &'a [Node],
    kept: &'b [ValueId],
}

impl<'a> Fusion<'a, '_> {
    /// The operand of an addition whose convolution can do the addition: it is
    /// read by nothing else, and the other operand is there before it.
    fn convolution_to_absorb(&self, node: &Node) -> Option<ValueId> {
        let (Op::Add(_), [left, right]) = (&node.op, node.inputs.as_slice()) else {
            return None;
        };
        let later = *left.max(right);
        let conv = self.conv(later)?;
        let absorbable = left != right
            && conv.groups == 1
            && conv.activation == Activation::Identity
            && !self.kept.contains(&later)
            && self.readers(later) == 1;
        absorbable.then_some(later)
    }

    fn residual_conv(
        &self,
        node: &Node,
        value: ValueId,
        activation: Activation,
        output: ValueId,
    ) -> Operation<'a> {
        let producer = &self.nodes[value.0 - 1];
        let other = node.inputs.iter().copied().find(|input| *input != value);
        match &producer.op {
            Op::Conv(conv) => Operation {
                kind: Kind::Conv(conv, activation),
                input: producer.inputs[0],
                residual: other,
                output,
            },
            _ => unreachable!("only convolutions are absorbed"),
        }
    }

    fn conv(&self, value: ValueId) -> Option<&'a Conv> {
        match &self.nodes[value.0.checked_sub(1)?].op {
            Op::Conv(conv) => Some(conv),
            _ => None,
        }
    }

    fn readers(&self, value: ValueId) -> usize {
        let inputs = self.nodes.iter().flat_map(|node| &node.inputs);
        inputs.filter(|input| **input == value).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::registry;

    #[test]
    fn every_addition_of_the_registry_is_absorbed() {
        for entry in registry::entries() {
            let network = entry.network();
            let operations = fuse(network.nodes(), &[]);
            let additions = operations
                .iter()
                .filter(|operation| matches!(operation.kind, Kind::Add(_)));
            assert_eq!(additions.count(), 0, "{}", entry.name);
        }
    }

    #[test]
    fn an_emitted_convolution_keeps_its_value() {
        let network = registry::find("resnet18").unwrap().network();
        let addition = network
            .nodes()
            .iter()
            .find(|node| matches!(node.op, Op::Add(_)))
            .unwrap();
        let kept = addition.inputs[0];
        let operations = fuse(network.nodes(), &[kept]);
        assert!(operations.iter().any(|operation| operation.output == kept));
    }
}
