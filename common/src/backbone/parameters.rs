//! A network's tensors: what it needs, where they come from, and their
//! identity.

use std::collections::HashMap;

use super::{
    Conv, Network, Op,
    weights::{Parameter, tensor_digest},
};

/// The four tensors of a batch normalisation, `[C]` each.
#[derive(Clone, Copy, Debug)]
pub struct NormParameters<'a> {
    /// γ
    pub weight: &'a [f32],
    /// β
    pub bias: &'a [f32],
    /// Running mean.
    pub mean: &'a [f32],
    /// Running variance.
    pub variance: &'a [f32],
}

/// All tensors of a backbone (without its classifier), as f32.
pub struct Parameters {
    tensors: HashMap<String, Vec<f32>>,
    digest: String,
}

impl Network {
    /// The tensors of every operation, in execution order.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.convs().flat_map(conv_parameters).collect()
    }

    /// The convolutions, in execution order.
    pub fn convs(&self) -> impl Iterator<Item = &Conv> {
        self.nodes().iter().filter_map(|node| match &node.op {
            Op::Conv(conv) => Some(conv),
            _ => None,
        })
    }
}

fn conv_parameters(conv: &Conv) -> Vec<Parameter> {
    let mut parameters = vec![Parameter {
        name: format!("{}.weight", conv.name),
        shape: vec![
            conv.out_channels,
            conv.in_channels / conv.groups,
            conv.kernel,
            conv.kernel,
        ],
    }];
    for tensor in ["weight", "bias", "running_mean", "running_var"] {
        parameters.push(Parameter {
            name: format!("{}.{tensor}", conv.norm.name),
            shape: vec![conv.out_channels],
        });
    }
    parameters
}

impl Parameters {
    /// Identity of the weights: SHA-256 over names, shapes and values of the
    /// backbone's tensors, whatever file they came in.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The tensor called `name`, flattened.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.tensors.get(name).map(Vec::as_slice)
    }

    /// The kernel of `conv`: `[out, in / groups, k, k]`.
    pub fn weight(&self, conv: &Conv) -> &[f32] {
        self.tensor(&format!("{}.weight", conv.name))
    }

    /// The batch normalisation of `conv`.
    pub fn norm(&self, conv: &Conv) -> NormParameters<'_> {
        let tensor = |name: &str| self.tensor(&format!("{}.{name}", conv.norm.name));
        NormParameters {
            weight: tensor("weight"),
            bias: tensor("bias"),
            mean: tensor("running_mean"),
            variance: tensor("running_var"),
        }
    }

    /// Batch normalisation as `x · scale + shift`, `[C]` each, computed in f64:
    /// `scale = γ / √(σ² + ε)`, `shift = β − μ · scale`.
    pub fn scale_and_shift(&self, conv: &Conv) -> (Vec<f64>, Vec<f64>) {
        let norm = self.norm(conv);
        (0..conv.out_channels)
            .map(|channel| {
                let deviation = (f64::from(norm.variance[channel]) + conv.norm.eps).sqrt();
                let scale = f64::from(norm.weight[channel]) / deviation;
                let shift = f64::from(norm.bias[channel]) - f64::from(norm.mean[channel]) * scale;
                (scale, shift)
            })
            .unzip()
    }

    /// `conv` with its normalisation folded in: kernel `[out, in / groups, k, k]`
    /// and bias `[out]`.
    pub fn folded(&self, conv: &Conv) -> (Vec<f32>, Vec<f32>) {
        let (scale, shift) = self.scale_and_shift(conv);
        let weight = self.weight(conv);
        let per_channel = weight.len() / conv.out_channels;
        let weight = weight
            .iter()
            .enumerate()
            .map(|(index, value)| (f64::from(*value) * scale[index / per_channel]) as f32)
            .collect();
        (
            weight,
            shift.into_iter().map(|shift| shift as f32).collect(),
        )
    }

    fn tensor(&self, name: &str) -> &[f32] {
        // Loading binds every parameter of the network, so a lookup can only
        // fail for a convolution of another network.
        &self.tensors[name]
    }
}

impl Parameters {
    /// Collects every parameter of `network` from `read`, in execution order.
    ///
    /// # Errors
    /// The first error of `read`.
    ///
    /// # Panics
    /// Never for a `read` that returns as many values as the shape asks for.
    pub fn collect<E>(
        network: &Network,
        mut read: impl FnMut(&Parameter) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let mut tensors = HashMap::new();
        let mut order = Vec::new();
        for parameter in network.parameters() {
            tensors.insert(parameter.name.clone(), read(&parameter)?);
            order.push(parameter);
        }
        let digest = tensor_digest(order.iter().map(|parameter| {
            let values = tensors[&parameter.name].as_slice();
            (parameter.name.as_str(), parameter.shape.as_slice(), values)
        }));
        Ok(Self { tensors, digest })
    }
}
