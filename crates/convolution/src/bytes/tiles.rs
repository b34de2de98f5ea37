//! Pieces of an output that Winograd's algorithm makes, each by one thread.

use std::mem;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::Work;
use super::kernel::{ByteKernel, LANES};
use super::points::{DEPTH, Points};
use super::vnni::Vnni;
use crate::shape::Images;
use crate::tasks::{SITES, Workspace, evenly};
use crate::transform::{PATCH, POINTS, TILE};

/// Some rows of tiles of one image, or some whole images.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) kernel: &'a ByteKernel,
    pub(super) points: &'a Points,
    /// The images of the piece, uint8 `[n, height, width, in_channels]`.
    pub(super) input: &'a [u8],
    pub(super) images: Images,
    /// Height and width of a whole output.
    pub(super) sides: [usize; 2],
    /// Rows of tiles.
    pub(super) rows: Range<usize>,
    /// The piece's rows of the output, uint8 `[n, rows, width, out_channels]`.
    pub(super) output: &'a mut [u8],
}

/// Sixteen numbers of 32 bits, or twice as many of 16.
pub(super) type Vector = [i32; LANES];

/// A piece, with the memory that it is made in.
pub(super) struct Task<'a> {
    pub(super) piece: Piece<'a>,
    /// `[points, in_channels / 32, sites]`.
    pub(super) gathered: &'a mut [Vector],
    /// `[points, vectors, sites]`.
    pub(super) products: &'a mut [Vector],
}

/// The tiles of a piece that have a product at some point: the last of a row or column have fewer, where they have fewer outputs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sites {
    /// Those of the points before.
    pub(super) first: usize,
    /// Of them, in an image.
    rows: usize,
    columns: usize,
    /// Of them, in all images.
    pub(super) n: usize,
}

impl Sites {
    pub(super) fn nth(self, image: usize, row: usize, column: usize) -> usize {
        (image * self.rows + row) * self.columns + column
    }
}

impl Piece<'_> {
    /// Tiles of a row.
    pub(super) fn columns(&self) -> usize {
        self.sides[1].div_ceil(TILE)
    }

    /// Outputs of a tile along an axis.
    pub(super) fn size(&self, axis: usize, nth: usize) -> usize {
        TILE.min(self.sides[axis] - nth * TILE)
    }

    /// Of each point.
    pub(super) fn sites(&self) -> [Sites; POINTS] {
        let count = |axis: usize, all: Range<usize>, point: usize| {
            all.filter(|nth| has_point(self.size(axis, *nth), point)).count()
        };
        let mut first = 0;
        std::array::from_fn(|point| {
            let rows = count(0, self.rows.clone(), point / PATCH);
            let columns = count(1, 0..self.columns(), point % PATCH);
            let sites = Sites { first, rows, columns, n: self.images.n * rows * columns };
            first += sites.n;
            sites
        })
    }

    /// Vectors of input channels.
    pub(super) fn n_blocks(&self) -> usize {
        self.kernel.in_channels / DEPTH
    }

    /// Bytes from one line of patches to the next.
    pub(super) fn pitch(&self) -> usize {
        (self.columns() * TILE + PATCH - TILE) * self.kernel.in_channels
    }

    /// Memory for the lines that a row of patches is in.
    pub(super) fn lines(&self) -> Vec<u8> {
        vec![self.kernel.input_zero; PATCH * self.pitch()]
    }

    /// The lines of a row of patches of an image, with the input's zero around it.
    pub(super) fn copy(&self, image: usize, row: usize, lines: &mut [u8]) {
        let (Images { height, width, .. }, channels) = (self.images, self.kernel.in_channels);
        let [top, left, ..] = self.kernel.geometry.pads;
        let image = &self.input[image * self.images.pixels() * channels..][..self.images.pixels() * channels];
        let pixels = self.pitch() / channels;
        let (before, shown) = (left.min(pixels) * channels, pixels.saturating_sub(left).min(width) * channels);
        for (line, to) in lines.chunks_exact_mut(self.pitch()).enumerate() {
            // What lies above the picture is beyond its end, too.
            let from = (row * TILE + line).wrapping_sub(top);
            if from < height {
                to[before..][..shown].copy_from_slice(&image[from * width * channels..][..shown]);
            } else {
                to.fill(self.kernel.input_zero);
            }
        }
    }
}

/// Whether a tile of so many outputs along a line has a product at a point of it.
pub(super) fn has_point(size: usize, point: usize) -> bool {
    point <= size || point == PATCH - 1
}

/// Writes the output, uint8 `[n, height, width, out_channels]`, of operands that fit.
pub(super) fn convolve<R>(
    vnni: Vnni,
    (kernel, points): (&ByteKernel, &Points),
    (input, images): (&[u8], Images),
    (output, sides): (&mut [u8], [usize; 2]),
    (workspace, threads): (&Workspace, usize),
    run: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
) -> R {
    let [height, width] = sides;
    let (rows, columns) = (height.div_ceil(TILE), width.div_ceil(TILE));
    let (of_input, of_row) = (images.pixels() * kernel.in_channels, width * kernel.out_channels);
    // As many for each thread, and as large as each other. Where one image is cut, a piece is none of several.
    let groups = images.n.div_ceil((SITES / (rows * columns)).max(1)).next_multiple_of(threads.max(1)).min(images.n);
    let band = if groups == images.n { evenly(rows, SITES / columns) } else { rows };
    let (mut waiting, mut left) = (Vec::new(), output);
    for group in 0..groups {
        let (first, end) = (group * images.n / groups, (group + 1) * images.n / groups);
        let (input, images) = (&input[first * of_input..end * of_input], Images { n: end - first, ..images });
        for first in (0..rows).step_by(band) {
            let rows = first..rows.min(first + band);
            let n_lines = images.n * (height.min(rows.end * TILE) - rows.start * TILE);
            let (output, rest) = mem::take(&mut left).split_at_mut(n_lines * of_row);
            left = rest;
            waiting.push(Mutex::new(Some(Piece { kernel, points, input, images, sides, rows, output })));
        }
    }
    let work = |nth: usize| {
        if let Some(piece) = waiting[nth].lock().unwrap_or_else(PoisonError::into_inner).take() {
            let n_products: usize = piece.sites().iter().map(|sites| sites.n).sum();
            let lengths = [piece.n_blocks(), 2].map(|vectors| n_products * vectors);
            workspace.lend(|buffers| {
                let [gathered, products] = buffers.at_least(lengths.map(|length| length * LANES));
                let (gathered, products) = (bytemuck::cast_slice_mut(gathered), bytemuck::cast_slice_mut(products));
                vnni.run(Work::Task(&mut Task { piece, gathered, products }));
            });
        }
    };
    run(waiting.len(), &work)
}
