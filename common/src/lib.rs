//! What `extract` and `train-head` share: image sources, decoding and
//! preprocessing, backbones and their executors, the feature cache, and heads.
//!
//! Data flows one way: [`source`] → [`image`] → [`engine`] (running a
//! [`backbone`]) → [`cache`] → [`head`]. [`embed`] joins the middle three.

pub mod backbone;
pub mod cache;
pub mod digest;
pub mod embed;
pub mod engine;
pub mod exit;
pub mod head;
pub mod image;
pub mod interrupt;
pub mod publish;
pub mod random;
pub mod source;
