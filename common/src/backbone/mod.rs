//! Backbones as data: a typed graph with named stages, the weights that fill
//! it, and the registry of known ones.
//!
//! A [`Network`] is a list of operations in execution order. Cutting at a
//! layer is slicing that list, so one definition serves every executor in
//! [`crate::engine`].

mod efficientnet_lite0;
mod inverted_residual;
mod load;
mod mobilenet_v2;
mod network;
mod parameters;
pub mod registry;
mod resnet;
pub mod synthetic;
pub mod weights;

pub use load::{LoadError, Loaded};
pub use network::{
    Activation, Conv, Network, NetworkBuilder, Node, Norm, Op, Padding, Pool, Shape, Stage,
    UnknownStage, ValueId,
};
pub use parameters::{NormParameters, Parameters};
