//! A tail in f64, forwards only, by the definitions: what finite differences are taken of.

use std::collections::HashMap;

use crate::{
    backbone::{Activation, Conv, Op, Pool, Shape},
    tail::{Tail, Tensors},
};

/// Tensors in f64.
pub(super) type Values = HashMap<String, Vec<f64>>;

pub(super) fn values(tensors: &Tensors) -> Values {
    let pairs = tensors.iter().map(|tensor| {
        let values = tensor.values.iter().copied().map(f64::from).collect();
        (tensor.name.clone(), values)
    });
    pairs.collect()
}

/// Σ of the rows' losses.
pub(super) fn loss(tail: &Tail, values: &Values, inputs: &[f32], targets: &[f32]) -> f64 {
    let classes = tail.options().classes;
    let logits = logits(tail, values, inputs, Norms::Train);
    let rows = logits
        .chunks_exact(classes)
        .zip(targets.chunks_exact(classes));
    rows.map(|(logits, targets)| {
        let partition: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let terms = targets.iter().zip(logits);
        terms
            .map(|(target, logit)| f64::from(*target) * (partition.ln() - logit))
            .sum::<f64>()
    })
    .sum()
}

/// What batch normalisations with trained parameters use, if the tail's options say so.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Norms {
    Train,
    Evaluate,
}

/// `[rows, classes]`
pub(super) fn logits(tail: &Tail, values: &Values, inputs: &[f32], norms: Norms) -> Vec<f64> {
    let start = tail.start().0;
    let mut all = vec![inputs.iter().copied().map(f64::from).collect::<Vec<f64>>()];
    let rows = inputs.len() / tail.input_shape().len();
    for (number, node) in tail.nodes() {
        let read: Vec<&[f64]> = node
            .inputs
            .iter()
            .map(|value| &all[value.0 - start][..])
            .collect();
        let shapes = [
            tail.shape(node.inputs[0]),
            tail.shape(crate::backbone::ValueId(number + 1)),
        ];
        let result = match &node.op {
            Op::Conv(conv) => {
                let products = convolve(
                    conv,
                    read[0],
                    &values[&format!("{}.weight", conv.name)],
                    (rows, shapes),
                );
                let by_batch = norms == Norms::Train && tail.normalises_by_batch(conv);
                normalise(conv, products, values, (rows, shapes[1], by_batch))
            }
            Op::Add(activation) => {
                let sums = read[0].iter().zip(read[1]);
                sums.map(|(a, b)| activate(*activation, a + b)).collect()
            }
            Op::MaxPool(pool) => max_pool(*pool, read[0], (rows, shapes)),
            Op::GlobalAvgPool => {
                let pixels = shapes[0].height * shapes[0].width;
                let planes = read[0].chunks_exact(pixels);
                planes
                    .map(|plane| plane.iter().sum::<f64>() / pixels as f64)
                    .collect()
            }
        };
        all.push(result);
    }
    let mut value = all.pop().unwrap();
    let names = tail.head_layers();
    let last = names.len() - 1;
    for (number, name) in names.iter().enumerate() {
        let (weight, bias) = (
            &values[&format!("{name}.weight")],
            &values[&format!("{name}.bias")],
        );
        let inputs = weight.len() / bias.len();
        let outputs = value.chunks_exact(inputs).flat_map(|row| {
            let outputs = weight.chunks_exact(inputs).zip(bias);
            outputs.map(move |(weights, bias)| {
                let sum = bias + weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>();
                if number < last { sum.max(0.0) } else { sum }
            })
        });
        value = outputs.collect();
    }
    value
}

fn activate(activation: Activation, value: f64) -> f64 {
    match activation {
        Activation::Identity => value,
        Activation::Relu => value.max(0.0),
        Activation::Relu6 => value.clamp(0.0, 6.0),
    }
}

/// Calls `visit` with output and input place, and the position of the kernel.
fn each_window(
    (kernel, stride, padding): (usize, usize, crate::backbone::Padding),
    [input, output]: [Shape; 2],
    mut visit: impl FnMut(usize, usize, usize),
) {
    let top = padding.along(input.height, kernel, stride).0 as isize;
    let left = padding.along(input.width, kernel, stride).0 as isize;
    for y in 0..output.height {
        for x in 0..output.width {
            for tap in 0..kernel * kernel {
                let row = (y * stride + tap / kernel) as isize - top;
                let column = (x * stride + tap % kernel) as isize - left;
                if (0..input.height as isize).contains(&row)
                    && (0..input.width as isize).contains(&column)
                {
                    let from = row as usize * input.width + column as usize;
                    visit(y * output.width + x, from, tap);
                }
            }
        }
    }
}

fn convolve(
    conv: &Conv,
    input: &[f64],
    weight: &[f64],
    (rows, shapes): (usize, [Shape; 2]),
) -> Vec<f64> {
    let [from, to] = shapes.map(|shape| shape.height * shape.width);
    let taps = conv.kernel * conv.kernel;
    let of_group = conv.in_channels / conv.groups;
    let mut output = vec![0.0; rows * shapes[1].len()];
    for image in 0..rows {
        for out in 0..conv.out_channels {
            let group = out / (conv.out_channels / conv.groups);
            for channel in 0..of_group {
                let plane = &input
                    [(image * conv.in_channels + group * of_group + channel) * from..][..from];
                let kernel = &weight[(out * of_group + channel) * taps..][..taps];
                let output = &mut output[(image * conv.out_channels + out) * to..][..to];
                each_window(
                    (conv.kernel, conv.stride, conv.padding),
                    shapes,
                    |to, from, tap| {
                        output[to] += plane[from] * kernel[tap];
                    },
                );
            }
        }
    }
    output
}

fn normalise(
    conv: &Conv,
    mut products: Vec<f64>,
    values: &Values,
    (rows, shape, by_batch): (usize, Shape, bool),
) -> Vec<f64> {
    let tensor = |name: &str| &values[&format!("{}.{name}", conv.norm.name)];
    let pixels = shape.height * shape.width;
    for channel in 0..shape.channels {
        let planes = (0..rows).map(|image| (image * shape.channels + channel) * pixels);
        let places: Vec<usize> = planes.flat_map(|first| first..first + pixels).collect();
        let (mean, variance) = if by_batch {
            let count = places.len() as f64;
            let mean = places.iter().map(|&place| products[place]).sum::<f64>() / count;
            let squares = places.iter().map(|&place| (products[place] - mean).powi(2));
            (mean, squares.sum::<f64>() / count)
        } else {
            (
                tensor("running_mean")[channel],
                tensor("running_var")[channel],
            )
        };
        for place in places {
            let normal = (products[place] - mean) / (variance + conv.norm.eps).sqrt();
            let value = normal * tensor("weight")[channel] + tensor("bias")[channel];
            products[place] = activate(conv.activation, value);
        }
    }
    products
}

fn max_pool(pool: Pool, input: &[f64], (rows, shapes): (usize, [Shape; 2])) -> Vec<f64> {
    let [from, to] = shapes.map(|shape| shape.height * shape.width);
    let mut output = vec![f64::NEG_INFINITY; rows * shapes[1].len()];
    for (output, input) in output.chunks_exact_mut(to).zip(input.chunks_exact(from)) {
        each_window(
            (pool.kernel, pool.stride, pool.padding),
            shapes,
            |to, from, _| {
                output[to] = output[to].max(input[from]);
            },
        );
    }
    output
}
