//! int8: the engine on integers.
//!
//! Values between convolutions are integers times a scale that was found on a
//! sample of images ([`Ranges`]): bytes behind a ReLU, 13 bits where there is
//! none, 14 bits for pixels. Weights are integers with a scale an output.
//! Sums are exact, so every instruction set forms the same ones; what is done
//! to a sum afterwards (scale, bias, residual, clamp, rounding) are the same
//! single operations in f32 everywhere. Features are therefore bit-identical
//! on all instruction sets, not only within one.
//!
//! ```text
//!   step        factors                  product, exact in 32 bits
//!   direct      byte × 8-bit weight      vpmaddubsw, vpmaddwd (vpdpbusd)
//!               otherwise × 16 bits      vpmaddwd (vpdpwssd)
//!   winograd    16 × 16 bits             vpmaddwd (vpdpwssd), 4 times fewer
//!   depthwise   byte × 13 bits           f32, which is exact below 2²⁴
//! ```
//!
//! `vpmaddubsw` adds two products in 16 bits: weights are rounded such that these always hold
//! them.
//!
//! In memory every integer is an i16 in the layout of floats, and 0 is 0: a
//! border is zeros. `scales` decides what integers stand for, `weights` rounds
//! kernels, `product` and `tile` are the micro-kernel, `convolution` says what
//! becomes of a sum.

mod convolution;
mod depthwise;
mod direct;
mod integers;
mod lowering;
mod max_pool;
mod pack;
mod product;
mod ranges;
mod scales;
mod strip;
#[cfg(test)]
mod tests;
mod tile;
mod transform;
mod weights;
mod winograd;
mod work;

pub use ranges::{RangeFinder, Ranges, ValueRange};

pub(super) use self::{
    convolution::{Destination, Operands},
    integers::{Integers, rounded},
    scales::{Quantisation, Scales},
    work::Work,
};
