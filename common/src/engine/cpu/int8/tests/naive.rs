//! Integer operations by their definition, one image, without borders, tiles
//! or vectors. Weights and scales are the engine's; sums are 64 bits wide and
//! checked to fit into 32.

use super::super::{
    super::{
        convolution::Folded,
        fusion::{Kind, Operation, fuse},
        winograd,
    },
    Quantisation, Ranges, Scales,
    convolution::Quantised,
    transform::{INPUT, bounds, transform_kernel},
    weights::{Limits, quantise},
};
use crate::backbone::{Activation, Conv, Network, Parameters, Pool, Shape, ValueId};

/// A value of one image, `[C, H, W]`.
#[derive(Clone, Debug)]
enum Value {
    Integers(Vec<i16>),
    Floats(Vec<f32>),
}

impl Value {
    fn integers(&self) -> &[i16] {
        match self {
            Self::Integers(integers) => integers,
            Self::Floats(_) => panic!("a value that convolutions read is integers"),
        }
    }
}

struct Graph<'a> {
    parameters: &'a Parameters,
    quantisation: Quantisation,
    shapes: Vec<Shape>,
    values: Vec<Option<Value>>,
}

/// The value `output` of one image.
pub(super) fn run(
    (network, parameters): (&Network, &Parameters),
    ranges: &Ranges,
    (pixels, [height, width]): (&[f32], [usize; 2]),
    output: ValueId,
) -> Vec<f32> {
    let quantisation = Quantisation::new(network, ranges, output.0).unwrap();
    let scale = quantisation.scales[0].unwrap().scale;
    let input = pixels
        .iter()
        .map(|pixel| (pixel * scale.recip()).round_ties_even() as i16);
    let mut graph = Graph {
        parameters,
        quantisation,
        shapes: network.shapes(height, width),
        values: vec![None; output.0 + 1],
    };
    graph.values[0] = Some(Value::Integers(input.collect()));
    for operation in fuse(&network.nodes()[..output.0], &[output]) {
        graph.values[operation.output.0] = Some(graph.compute(&operation));
    }
    match graph.values[output.0].take().unwrap() {
        Value::Floats(floats) => floats,
        Value::Integers(integers) => {
            let scale = graph.quantisation.scales[output.0].unwrap().scale;
            integers
                .into_iter()
                .map(|integer| f32::from(integer) * scale)
                .collect()
        }
    }
}

impl Graph<'_> {
    fn compute(&self, operation: &Operation<'_>) -> Value {
        let shapes = [operation.input, operation.output].map(|value| self.shapes[value.0]);
        let input = self.values[operation.input.0].as_ref().unwrap().integers();
        match operation.kind {
            Kind::Conv(conv, activation) => {
                let folded = Folded::new(conv, self.parameters, activation);
                let scales = |value: ValueId| self.quantisation.scales[value.0].as_ref();
                let quantised = Quantised {
                    folded: &folded,
                    input: scales(operation.input).unwrap(),
                    residual: operation.residual.map(|value| scales(value).unwrap()),
                    output: scales(operation.output),
                };
                let sums = if winograd::suits(conv) {
                    by_tiles(conv, &quantised, (input, shapes))
                } else {
                    let limits = limits(conv, quantised.input, activation);
                    by_definition(conv, &quantised, (input, shapes), limits)
                };
                let residual = operation
                    .residual
                    .map(|value| self.values[value.0].as_ref().unwrap().integers());
                finished(&quantised, sums, residual, &folded)
            }
            Kind::MaxPool(pool) => Value::Integers(max_pool(&pool, input, shapes)),
            Kind::Add(_) | Kind::GlobalAvgPool => panic!("not on integers"),
        }
    }
}

fn limits(conv: &Conv, input: &Scales, activation: Activation) -> Limits {
    if conv.groups > 1 {
        return Limits::shorts(input.largest() << 7);
    }
    let is_wide = activation == Activation::Identity || !input.fits_bytes();
    if is_wide {
        Limits::shorts(input.largest())
    } else {
        Limits::bytes(input.largest(), conv.kernel * conv.kernel)
    }
}

/// `(sum · scale + bias) + residual · scale`, one rounding an operation.
fn finished(
    conv: &Quantised<'_>,
    sums: Vec<f32>,
    residual: Option<&[i16]>,
    folded: &Folded,
) -> Value {
    let plane = sums.len() / folded.out_channels;
    let unit = conv.unit();
    let addend = conv
        .residual
        .map_or(0.0, |scales| (f64::from(scales.scale) / unit) as f32);
    let values = sums.into_iter().enumerate().map(|(at, sum)| {
        let mut value = sum + (f64::from(folded.bias[at / plane]) / unit) as f32;
        if let Some(residual) = residual {
            value += f32::from(residual[at]) * addend;
        }
        value
    });
    match conv.output {
        Some(scales) => {
            let [low, high] = scales.range.map(f32::from);
            let round = |value: f32| value.clamp(low, high).round_ties_even() as i16;
            Value::Integers(values.map(round).collect())
        }
        None => {
            let [low, high] = folded.clamp;
            Value::Floats(values.map(|value| value.clamp(low, high)).collect())
        }
    }
}

/// The input at `y`, `x`, which may lie outside.
fn at(input: &[i16], shape: Shape, (channel, y, x): (usize, usize, usize)) -> i64 {
    if y < shape.height && x < shape.width {
        i64::from(input[(channel * shape.height + y) * shape.width + x])
    } else {
        0
    }
}

/// Padding above and on the left.
fn before(conv: &Conv, shape: Shape) -> [usize; 2] {
    [shape.height, shape.width].map(|size| conv.padding.along(size, conv.kernel, conv.stride).0)
}

/// Scaled sums, `[out, H, W]`.
fn by_definition(
    conv: &Conv,
    quantised: &Quantised<'_>,
    (input, [shape, output]): (&[i16], [Shape; 2]),
    limits: Limits,
) -> Vec<f32> {
    let [top, left] = before(conv, shape);
    let taps = conv.kernel * conv.kernel;
    let mut sums = Vec::with_capacity(output.len());
    for to in 0..conv.out_channels {
        let (weights, scale) = quantise(&quantised.row(to), limits);
        let first = if conv.groups > 1 { to } else { 0 };
        for y in 0..output.height {
            for x in 0..output.width {
                let mut sum = 0;
                for (index, weight) in weights.iter().enumerate() {
                    let (from, tap) = (first + index / taps, index % taps);
                    let row = (y * conv.stride + tap / conv.kernel).wrapping_sub(top);
                    let column = (x * conv.stride + tap % conv.kernel).wrapping_sub(left);
                    sum += at(input, shape, (from, row, column)) * i64::from(*weight);
                }
                let sum = i32::try_from(sum).unwrap();
                sums.push(sum as f32 * (scale / quantised.unit()) as f32);
            }
        }
    }
    sums
}

/// The same through Winograd's transforms, whose sums are exact.
fn by_tiles(
    conv: &Conv,
    quantised: &Quantised<'_>,
    (input, [shape, output]): (&[i16], [Shape; 2]),
) -> Vec<f32> {
    let [top, left] = before(conv, shape);
    let bounds = bounds(quantised.input.range);
    let mut sums = vec![0.0; output.len()];
    for to in 0..conv.out_channels {
        let kernels = transform_kernel(&quantised.row(to));
        let points: Vec<_> = (0..36)
            .map(|point| {
                let row: Vec<_> = kernels.iter().map(|kernel| kernel[point]).collect();
                quantise(&row, Limits::shorts(bounds[point]))
            })
            .collect();
        for y in (0..output.height).step_by(4) {
            for x in (0..output.width).step_by(4) {
                let mut products = [[0.0; 6]; 6];
                for (point, (weights, scale)) in points.iter().enumerate() {
                    let sum: i64 = weights
                        .iter()
                        .enumerate()
                        .map(|(from, weight)| {
                            let pixel = |row: usize, column: usize| {
                                let row = (y + row).wrapping_sub(top);
                                at(input, shape, (from, row, (x + column).wrapping_sub(left)))
                            };
                            let transformed = transformed(point, pixel);
                            assert!(transformed.abs() <= bounds[point]);
                            transformed * i64::from(*weight)
                        })
                        .sum();
                    let sum = i32::try_from(sum).unwrap() as f32;
                    products[point / 6][point % 6] = sum * (scale / quantised.unit()) as f32;
                }
                for (dy, row) in outputs(products).into_iter().enumerate() {
                    for (dx, value) in row.into_iter().enumerate() {
                        if y + dy < output.height && x + dx < output.width {
                            sums[(to * output.height + y + dy) * output.width + x + dx] = value;
                        }
                    }
                }
            }
        }
    }
    sums
}

/// One point of `Bᵀ d B`.
fn transformed(point: usize, pixel: impl Fn(usize, usize) -> i64) -> i64 {
    let mut sum = 0;
    for (row, y) in INPUT[point / 6].into_iter().enumerate() {
        for (column, x) in INPUT[point % 6].into_iter().enumerate() {
            sum += y * x * pixel(row, column);
        }
    }
    sum
}

/// `Aᵀ m A`, columns first.
fn outputs(products: [[f32; 6]; 6]) -> [[f32; 4]; 4] {
    let mut columns = [[0.0; 6]; 4];
    for x in 0..6 {
        let line = output_line([0, 1, 2, 3, 4, 5].map(|y: usize| products[y][x]));
        for y in 0..4 {
            columns[y][x] = line[y];
        }
    }
    columns.map(output_line)
}

fn output_line(m: [f32; 6]) -> [f32; 4] {
    let (even_1, odd_1, even_2, odd_2) = (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]);
    [
        m[0] + even_1 + even_2,
        2.0 * odd_2 + odd_1,
        4.0 * even_2 + even_1,
        8.0 * odd_2 + odd_1 + m[5],
    ]
}

fn max_pool(pool: &Pool, input: &[i16], [shape, output]: [Shape; 2]) -> Vec<i16> {
    let before = |size| pool.padding.along(size, pool.kernel, pool.stride).0;
    let (top, left) = (before(shape.height), before(shape.width));
    let mut result = Vec::with_capacity(output.len());
    for plane in input.chunks(shape.height * shape.width) {
        for y in 0..output.height {
            for x in 0..output.width {
                let rows = y * pool.stride..y * pool.stride + pool.kernel;
                let columns = x * pool.stride..x * pool.stride + pool.kernel;
                let inside = rows.flat_map(|row| columns.clone().map(move |column| (row, column)));
                let values = inside.filter_map(|(row, column)| {
                    let (row, column) = (row.checked_sub(top)?, column.checked_sub(left)?);
                    (row < shape.height && column < shape.width)
                        .then(|| plane[row * shape.width + column])
                });
                result.push(values.max().unwrap());
            }
        }
    }
    result
}
