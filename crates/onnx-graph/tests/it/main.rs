//! Tests of the reader and the editor on small models that are built here. Nothing is run: what
//! edited graphs compute was checked against ONNX Runtime 1.31 and Pillow 13 when the rules were
//! written; these tests hold the structure and the constants that gave those results.

#![allow(clippy::unwrap_used, clippy::panic)] // In a test they are how it fails.

mod attention;
mod backbones;
mod build;
mod classifier;
mod damage;
mod decoder;
mod editing;
mod hostile;
mod input;
mod preprocessing;
mod quantise;
mod random;
mod reading;
mod shapes;
mod weights;
