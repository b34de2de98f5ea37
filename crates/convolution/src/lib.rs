//! Convolutions of float32 images on the CPU: with kernels of 3 × 3 and stride 1 by Winograd's algorithm, which multiplies a quarter as
//! often as the definition does, with others as one matrix product of what each output pixel looks at.
//!
//! Images are *blocked*: `[n, channels / L, height, width, L]`, where L = [`lanes`] is how many float32 numbers a vector of this
//! processor holds. A pixel of a block of channels is one vector, so that nothing here ever goes across a vector. It is the
//! layout that ONNX Runtime computes in (its NCHWc), and the numbers stay where they are.
//!
//! - `aligned` is memory that vectors do not straddle lines of the cache in;
//! - `shape` is the geometry: which input pixels an output pixel looks at;
//! - `kernel` holds weights, transformed once;
//! - `transform` is Winograd's three linear maps on vectors;
//! - `product` is the matrix product that all multiply-adds are in;
//! - `tasks` cuts an output into pieces that threads make by themselves;
//! - `task` makes one piece;
//! - `bytes` is the same for networks in 8 bits, whose images lie otherwise, with what comes before it and what pools behind it.
//!
//! Reference: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308.

mod aligned;
mod bytes;
mod kernel;
mod product;
mod shape;
mod task;
mod tasks;
mod transform;

#[cfg(test)]
mod tests;

use pulp::{Arch, Simd, WithSimd};

pub use bytes::{
    ByteKernel, ByteResize, Enlarging, Scale, convolve_and_pool_bytes, convolve_bytes, max_pool_bytes,
    multiplies_bytes, resize_bytes,
};
pub use kernel::Kernel;
pub use shape::{Error, Geometry, Images};
pub use tasks::{Operands, Workspace, convolve};

/// Channels in a block: how many float32 numbers a vector of this processor holds.
#[must_use]
pub fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            S::F32_LANES
        }
    }
    Arch::new().dispatch(Lanes)
}
