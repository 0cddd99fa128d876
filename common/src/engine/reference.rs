//! The reference executor: one candle operation after the other, on any
//! device. It favours plainness over speed and is the judge of faster ones.
//!
//! Activations are `[B, C, H, W]`. Batch normalisation is applied as
//! `x · scale + shift` with scale and shift computed in f64.

use candle_core::{D, DType, Device, IndexOp, Result, Tensor};

use super::{
    EngineError, Executor, Layer,
    device::Precision,
    windows::{Window, pad, positions},
};
use crate::backbone::{
    Activation, Conv, Network, Node, Op, Parameters, Pool, UnknownStage, ValueId,
};

/// Images a call on the CPU: batches do not make candle's CPU backend faster.
pub const CPU_BATCH: usize = 8;

/// Most images a call on a GPU.
pub const MAX_GPU_BATCH: usize = 256;

/// A frozen backbone on a candle device.
pub struct Reference {
    nodes: Vec<Node>,
    convs: Vec<Option<ConvTensors>>,
    layers: Vec<Layer>,
    outputs: Vec<ValueId>,
    last_use: Vec<usize>,
    device: Device,
    dtype: DType,
    input: [usize; 2],
    batch: usize,
}

/// A convolution's tensors on the device.
struct ConvTensors {
    /// `[out, in / groups, k, k]`
    weight: Tensor,
    /// `[1, out, 1, 1]`
    scale: Tensor,
    /// `[1, out, 1, 1]`
    shift: Tensor,
}

/// Where and how a [`Reference`] runs.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The device.
    pub device: Device,
    /// The arithmetic.
    pub precision: Precision,
    /// Rows and columns of the input.
    pub input: [usize; 2],
}

/// Why a [`Reference`] could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A layer that the network does not have.
    #[error(transparent)]
    Layer(#[from] UnknownStage),
    /// The device refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Reference {
    /// Moves `parameters` to the device. `layers` are stage names; nothing
    /// beyond the last of them is computed.
    ///
    /// # Errors
    /// Unknown layer names, a precision that the device lacks, or a device
    /// out of memory.
    pub fn new(
        network: &Network,
        parameters: &Parameters,
        layers: &[String],
        placement: Placement,
    ) -> std::result::Result<Self, BuildError> {
        let dtype = placement.precision.dtype(&placement.device)?;
        let [height, width] = placement.input;
        let shapes = network.shapes(height, width);
        let outputs = layers
            .iter()
            .map(|name| network.stage(name).map(|stage| stage.output))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let length = outputs.iter().map(|output| output.0).max().unwrap_or(0);
        let nodes = network.nodes()[..length].to_vec();
        let convs = nodes
            .iter()
            .map(|node| match &node.op {
                Op::Conv(conv) => {
                    ConvTensors::new(conv, parameters, &placement.device, dtype).map(Some)
                }
                _ => Ok(None),
            })
            .collect::<Result<Vec<_>>>()
            .map_err(EngineError::from)?;
        let largest = shapes[..=length].iter().map(|shape| shape.len()).max();
        Ok(Self {
            last_use: last_uses(&nodes, &outputs),
            layers: Layer::list(layers, &outputs, &shapes),
            batch: preferred_batch(&placement.device, largest.unwrap_or(0)),
            nodes,
            convs,
            outputs,
            device: placement.device,
            dtype,
            input: placement.input,
        })
    }

    fn run(&self, pixels: &[f32], batch: usize) -> Result<Vec<Vec<f32>>> {
        let [height, width] = self.input;
        let input = Tensor::from_slice(pixels, (batch, 3, height, width), &self.device)?
            .to_dtype(self.dtype)?;
        let mut values: Vec<Option<Tensor>> = vec![None; self.nodes.len() + 1];
        values[0] = Some(input);
        for (index, node) in self.nodes.iter().enumerate() {
            let result = {
                let read = |position: usize| {
                    let id = node.inputs[position];
                    values[id.0].as_ref().ok_or_else(|| {
                        candle_core::Error::Msg(format!("value {} was freed too early", id.0))
                    })
                };
                match (&node.op, &self.convs[index]) {
                    (Op::Conv(conv), Some(tensors)) => tensors.apply(conv, read(0)?)?,
                    (Op::Conv(conv), None) => {
                        candle_core::bail!("convolution `{}` has no tensors", conv.name)
                    }
                    (Op::MaxPool(pool), _) => max_pool(pool, read(0)?)?,
                    (Op::Add(activation), _) => activate((read(0)? + read(1)?)?, *activation)?,
                    (Op::GlobalAvgPool, _) => {
                        read(0)?.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2)?
                    }
                }
            };
            values[index + 1] = Some(result);
            for input in &node.inputs {
                if self.last_use[input.0] == index {
                    values[input.0] = None;
                }
            }
        }
        self.outputs
            .iter()
            .map(|output| match &values[output.0] {
                Some(tensor) => tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1(),
                None => candle_core::bail!("output {} was freed too early", output.0),
            })
            .collect()
    }
}

impl Executor for Reference {
    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn preferred_batch(&self) -> usize {
        self.batch
    }

    fn forward(
        &self,
        pixels: &[f32],
        batch: usize,
    ) -> std::result::Result<Vec<Vec<f32>>, EngineError> {
        let [height, width] = self.input;
        let expected = batch * 3 * height * width;
        if pixels.len() != expected {
            return Err(EngineError::InputLength {
                expected,
                found: pixels.len(),
                batch,
                height,
                width,
            });
        }
        Ok(self.run(pixels, batch)?)
    }
}

impl ConvTensors {
    fn new(conv: &Conv, parameters: &Parameters, device: &Device, dtype: DType) -> Result<Self> {
        let (scale, shift) = parameters.scale_and_shift(conv);
        let per_channel = |values: Vec<f64>| {
            Tensor::from_vec(values, (1, conv.out_channels, 1, 1), device)?.to_dtype(dtype)
        };
        let shape = (
            conv.out_channels,
            conv.in_channels / conv.groups,
            conv.kernel,
            conv.kernel,
        );
        Ok(Self {
            weight: Tensor::from_slice(parameters.weight(conv), shape, device)?.to_dtype(dtype)?,
            scale: per_channel(scale)?,
            shift: per_channel(shift)?,
        })
    }

    fn apply(&self, conv: &Conv, input: &Tensor) -> Result<Tensor> {
        let padded = pad(input, conv.padding, window_of(conv), 0.0)?;
        let normalised = convolve(conv, &padded, &self.weight)?
            .broadcast_mul(&self.scale)?
            .broadcast_add(&self.shift)?;
        activate(normalised, conv.activation)
    }
}

/// The convolution of `padded` `[B, in, H, W]`, which has its border, with `weight`
/// `[out, in / groups, k, k]`.
pub(crate) fn convolve(conv: &Conv, padded: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if conv.groups == 1 {
        padded.conv2d(weight, 0, conv.stride, 1, 1)
    } else {
        depthwise(padded, weight, window_of(conv))
    }
}

/// The window of a convolution.
pub(crate) fn window_of(conv: &Conv) -> Window {
    Window {
        kernel: conv.kernel,
        stride: conv.stride,
    }
}

/// A depthwise convolution as a sum over the kernel's positions. candle would run
/// one convolution a channel instead, thousands a network.
///
/// `input`: `[B, C, H, W]` with its border; `weight`: `[C, 1, k, k]`.
fn depthwise(input: &Tensor, weight: &Tensor, window: Window) -> Result<Tensor> {
    let channels = input.dim(1)?;
    let mut sum: Option<Tensor> = None;
    for (position, read) in positions(input, window)?.into_iter().enumerate() {
        let (y, x) = (position / window.kernel, position % window.kernel);
        let factor = weight.i((.., 0, y, x))?.reshape((1, channels, 1, 1))?;
        let product = read.broadcast_mul(&factor)?;
        sum = Some(match sum {
            Some(sum) => (sum + product)?,
            None => product,
        });
    }
    sum.ok_or_else(|| candle_core::Error::Msg("empty kernel".to_owned()))
}

/// `input` `[B, C, H, W]` with the border of `pool`, which never wins a maximum.
pub(crate) fn pad_for_max(pool: &Pool, input: &Tensor) -> Result<Tensor> {
    let window = Window {
        kernel: pool.kernel,
        stride: pool.stride,
    };
    pad(input, pool.padding, window, f32::NEG_INFINITY)
}

fn max_pool(pool: &Pool, input: &Tensor) -> Result<Tensor> {
    pad_for_max(pool, input)?.max_pool2d_with_stride(pool.kernel, pool.stride)
}

fn activate(value: Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(value),
        Activation::Relu => value.relu(),
        Activation::Relu6 => value.clamp(0f32, 6f32),
    }
}

/// For each value the index of the last node that reads it; outputs are never
/// freed.
fn last_uses(nodes: &[Node], outputs: &[ValueId]) -> Vec<usize> {
    let mut last = vec![usize::MAX; nodes.len() + 1];
    for (index, node) in nodes.iter().enumerate() {
        for input in &node.inputs {
            last[input.0] = index;
        }
    }
    for output in outputs {
        last[output.0] = usize::MAX;
    }
    last
}

/// Images a call: on a GPU as many as fit its free memory, at most
/// [`MAX_GPU_BATCH`].
fn preferred_batch(device: &Device, largest_activation: usize) -> usize {
    if device.is_cpu() {
        return CPU_BATCH;
    }
    // A residual block holds input, shortcut and result, and a convolution
    // its padded input and workspace: eight of the largest, in f32, is ample.
    let image_bytes = (largest_activation * 4 * 8).max(1);
    free_device_bytes().map_or(MAX_GPU_BATCH / 4, |free| {
        (free / 2 / image_bytes).clamp(1, MAX_GPU_BATCH)
    })
}

#[cfg(feature = "cuda")]
fn free_device_bytes() -> Option<usize> {
    candle_core::cuda_backend::cudarc::driver::result::mem_get_info()
        .ok()
        .map(|(free, _total)| free)
}

#[cfg(not(feature = "cuda"))]
fn free_device_bytes() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backbone::registry, engine::golden::assert_matches_torch};

    /// Largest relative L2 error of a stage: the f32 rounding of some hundred
    /// layers stays below it.
    const TOLERANCE: f64 = 1e-5;

    fn reference(
        network: &Network,
        parameters: &Parameters,
        layers: &[String],
        input: [usize; 2],
    ) -> Reference {
        let placement = Placement {
            device: Device::Cpu,
            precision: Precision::F32,
            input,
        };
        Reference::new(network, parameters, layers, placement).unwrap()
    }

    #[test]
    fn every_architecture_agrees_with_torch() {
        for backbone in [
            "resnet18",
            "resnet34",
            "resnet50",
            "resnet101",
            "resnet152",
            "mobilenet-v2",
            "efficientnet-lite0",
        ] {
            assert_matches_torch(backbone, TOLERANCE, reference);
        }
    }

    #[test]
    fn an_image_embeds_alike_alone_and_in_a_batch() {
        let network = registry::find("mobilenet-v2").unwrap().network();
        let parameters = Parameters::synthetic(&network);
        let executor = reference(&network, &parameters, &["avgpool".to_owned()], [64, 64]);
        let image = 3 * 64 * 64;
        let pixels: Vec<f32> = crate::backbone::synthetic::uniform("batch")
            .take(3 * image)
            .map(|u| u as f32)
            .collect();
        let together = executor.forward(&pixels, 3).unwrap().remove(0);
        for (index, pixels) in pixels.chunks_exact(image).enumerate() {
            let alone = executor.forward(pixels, 1).unwrap().remove(0);
            assert_eq!(alone, together[index * 1280..(index + 1) * 1280]);
        }
    }

    #[test]
    fn wrong_input_length_is_refused() {
        let network = registry::find("resnet18").unwrap().network();
        let parameters = Parameters::synthetic(&network);
        let executor = reference(&network, &parameters, &["stem".to_owned()], [32, 32]);
        let error = executor.forward(&[0.0; 7], 1).unwrap_err().to_string();
        assert_eq!(
            error,
            "input holds 7 values, expected 3072 (1 images of 32×32)"
        );
    }
}
