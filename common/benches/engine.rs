//! The steps of the CPU engine on one thread, each on the shape of a real layer:
//! the kernel alone (1×1), behind the Winograd transforms (3×3), behind gathered
//! rows (stride 2, the stem), and the depthwise loops.
//!
//! ```text
//! cargo bench --workspace --bench engine
//! ```
//!
//! Operations are counted by the definition of a convolution; Winograd does fewer.

#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark that cannot be set up may stop; criterion's macros make undocumented items"
)]

use std::time::Duration;

use common::{
    backbone::{Activation, Conv, NetworkBuilder, Norm, Op, Padding, Parameters},
    engine::cpu::{BLOCK_IMAGES, CpuEngine, Isa, RangeFinder, Settings},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const MEASURED: &str = "measured";

/// A convolution of a backbone.
struct Layer {
    name: &'static str,
    /// Rows and columns that it reads.
    side: usize,
    /// Read and written.
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    groups: usize,
}

const LAYERS: [Layer; 6] = [
    Layer {
        name: "winograd 3x3, 128 channels, 28x28",
        side: 28,
        channels: [128, 128],
        kernel: 3,
        stride: 1,
        groups: 1,
    },
    Layer {
        name: "winograd 3x3, 512 channels, 7x7",
        side: 7,
        channels: [512, 512],
        kernel: 3,
        stride: 1,
        groups: 1,
    },
    Layer {
        name: "kernel 1x1, 256 to 64 channels, 56x56",
        side: 56,
        channels: [256, 64],
        kernel: 1,
        stride: 1,
        groups: 1,
    },
    Layer {
        name: "direct 3x3 stride 2, 128 to 256 channels, 28x28",
        side: 28,
        channels: [128, 256],
        kernel: 3,
        stride: 2,
        groups: 1,
    },
    Layer {
        name: "stem 7x7 stride 2, 224x224",
        side: 224,
        channels: [3, 64],
        kernel: 7,
        stride: 2,
        groups: 1,
    },
    Layer {
        name: "depthwise 5x5, 240 channels, 28x28",
        side: 28,
        channels: [240, 240],
        kernel: 5,
        stride: 1,
        groups: 240,
    },
];

/// `in_channels` to `out_channels` on any window, with ReLU.
fn conv(name: &str, channels: [usize; 2], [kernel, stride, groups]: [usize; 3]) -> Op {
    Op::Conv(Conv {
        name: name.to_owned(),
        in_channels: channels[0],
        out_channels: channels[1],
        kernel,
        stride,
        padding: Padding::Symmetric(kernel / 2),
        groups,
        norm: Norm {
            name: format!("{name}.norm"),
            eps: 1e-5,
        },
        activation: Activation::Relu,
    })
}

/// The engine of a network that ends in `layer`, in f32 and in int8, and its input.
fn engines(layer: &Layer) -> ([(&'static str, CpuEngine); 2], Vec<f32>) {
    let mut builder = NetworkBuilder::new("bench", "fc");
    let mut last = builder.last();
    if layer.channels[0] != 3 {
        last = builder.push(conv("before", [3, layer.channels[0]], [3, 1, 1]), last);
    }
    let window = [layer.kernel, layer.stride, layer.groups];
    builder.push(conv(MEASURED, layer.channels, window), last);
    let network = builder.finish();
    let parameters = Parameters::synthetic(&network);
    let outputs = ["avgpool".to_owned()];
    let settings = Settings {
        input: [layer.side; 2],
        isa: Isa::from_environment().expect("an instruction set of this machine"),
    };
    let pixels: Vec<_> = (0..BLOCK_IMAGES * 3 * layer.side * layer.side)
        .map(|index| (index % 255) as f32 / 128.0 - 1.0)
        .collect();
    let finder = RangeFinder::new(&network, &parameters, &outputs, settings).expect("a network");
    let (ranges, _) = finder.observe(&pixels, BLOCK_IMAGES).expect("whole images");
    let floats = CpuEngine::new(&network, &parameters, &outputs, settings).expect("a network");
    let integers = CpuEngine::in_int8(&network, &parameters, &outputs, (settings, &ranges));
    let integers = integers.expect("a network and its ranges");
    ([("f32", floats), ("int8", integers)], pixels)
}

/// Time of the measured step over `rounds` calls, and its operations in one.
fn time(engine: &CpuEngine, pixels: &[f32], rounds: u64) -> (Duration, usize) {
    let (mut elapsed, mut operations) = (Duration::ZERO, 0);
    for _ in 0..rounds {
        let steps = engine.profile(pixels, BLOCK_IMAGES).expect("whole images");
        let step = steps.iter().find(|step| step.name == MEASURED);
        let step = step.expect("the convolution is a step of its own");
        elapsed += step.elapsed;
        operations = step.flops;
    }
    (elapsed, operations)
}

fn layers(criterion: &mut Criterion) {
    for layer in &LAYERS {
        let mut group = criterion.benchmark_group(layer.name);
        let (engines, pixels) = engines(layer);
        for (precision, engine) in &engines {
            let (_, operations) = time(engine, &pixels, 1);
            group.throughput(Throughput::Elements(operations as u64));
            group.bench_function(*precision, |bencher| {
                bencher.iter_custom(|rounds| time(engine, &pixels, rounds).0);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);
