//! Every operation by its definition, one image, f64.

use crate::backbone::{Activation, Conv, Network, Op, Parameters, Pool, Shape};

/// All values of the graph for one image, `[C, H, W]` each.
pub(super) fn run(
    network: &Network,
    parameters: &Parameters,
    (pixels, [height, width]): (&[f32], [usize; 2]),
) -> Vec<Vec<f64>> {
    let shapes = network.shapes(height, width);
    let mut values: Vec<Vec<f64>> = vec![pixels.iter().copied().map(f64::from).collect()];
    for (index, node) in network.nodes().iter().enumerate() {
        let from = node.inputs[0].0;
        let (input, shape, output) = (&values[from], shapes[from], shapes[index + 1]);
        let result: Vec<f64> = match &node.op {
            Op::Conv(conv) => convolve(conv, parameters, (input, shape), output),
            Op::MaxPool(pool) => max_pool(pool, (input, shape), output),
            Op::Add(activation) => input
                .iter()
                .zip(&values[node.inputs[1].0])
                .map(|(left, right)| activate(left + right, *activation))
                .collect(),
            Op::GlobalAvgPool => input
                .chunks(shape.height * shape.width)
                .map(|plane| plane.iter().sum::<f64>() / plane.len() as f64)
                .collect(),
        };
        values.push(result);
    }
    values
}

fn activate(value: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Identity => value,
        Activation::Relu => value.max(0.0),
        Activation::Relu6 => value.clamp(0.0, 6.0),
    }
}

fn convolve(
    conv: &Conv,
    parameters: &Parameters,
    (input, shape): (&[f64], Shape),
    output: Shape,
) -> Vec<f64> {
    let (scale, shift) = parameters.scale_and_shift(conv);
    let weight = parameters.weight(conv);
    let before = |size| conv.padding.along(size, conv.kernel, conv.stride).0;
    let (top, left) = (before(shape.height), before(shape.width));
    let group_inputs = conv.in_channels / conv.groups;
    let group_outputs = conv.out_channels / conv.groups;
    let mut result = Vec::with_capacity(output.len());
    for channel in 0..conv.out_channels {
        for y in 0..output.height {
            for x in 0..output.width {
                let mut sum = 0.0;
                for from in 0..group_inputs {
                    let plane = channel / group_outputs * group_inputs + from;
                    for ky in 0..conv.kernel {
                        for kx in 0..conv.kernel {
                            let row = (y * conv.stride + ky).wrapping_sub(top);
                            let column = (x * conv.stride + kx).wrapping_sub(left);
                            if row < shape.height && column < shape.width {
                                let at = (plane * shape.height + row) * shape.width + column;
                                let tap = (channel * group_inputs + from) * conv.kernel + ky;
                                let tap = f64::from(weight[tap * conv.kernel + kx]);
                                sum += input[at] * tap;
                            }
                        }
                    }
                }
                result.push(activate(
                    sum * scale[channel] + shift[channel],
                    conv.activation,
                ));
            }
        }
    }
    result
}

fn max_pool(pool: &Pool, (input, shape): (&[f64], Shape), output: Shape) -> Vec<f64> {
    let before = |size| pool.padding.along(size, pool.kernel, pool.stride).0;
    let (top, left) = (before(shape.height), before(shape.width));
    let mut result = Vec::with_capacity(output.len());
    for plane in input.chunks(shape.height * shape.width) {
        for y in 0..output.height {
            for x in 0..output.width {
                let mut largest = f64::NEG_INFINITY;
                for ky in 0..pool.kernel {
                    for kx in 0..pool.kernel {
                        let row = (y * pool.stride + ky).wrapping_sub(top);
                        let column = (x * pool.stride + kx).wrapping_sub(left);
                        if row < shape.height && column < shape.width {
                            largest = largest.max(plane[row * shape.width + column]);
                        }
                    }
                }
                result.push(largest);
            }
        }
    }
    result
}
