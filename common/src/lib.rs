//! What `extract` and `train-head` share: image sources, decoding and
//! preprocessing, backbones and their executors, the feature cache, and heads.
//!
//! Data flows one way: [`source`] → [`image`] → [`engine`] (running a
//! [`backbone`]) → [`cache`] → [`head`]. [`embed`] joins the middle three.
//!
//! [`tail`] trains the last part of a backbone with its head.
//!
//! What both programs need beside that: [`program`] (command line, error line,
//! [`exit`] code), [`output`], [`progress`], [`interrupt`], and [`in_order`].

pub mod backbone;
pub mod cache;
pub mod digest;
pub mod embed;
pub mod engine;
pub mod exit;
pub mod head;
pub mod image;
pub mod in_order;
pub mod instructions;
pub mod interrupt;
pub mod output;
mod panel;
pub mod program;
pub mod progress;
pub mod publish;
pub mod random;
pub mod read;
pub mod source;
pub mod tail;
