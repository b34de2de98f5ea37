//! One piece of an output, made by one thread: sites are gathered, multiplied with weights, and put where they belong.
//!
//! A *site* is what outputs are made together for: a tile of Winograd's algorithm, one pixel, or one image where pixels are few.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::aligned::Aligned;
use crate::kernel::Kernel;
use crate::product::Product;
use crate::shape::{Geometry, Images, Method};
use crate::tasks::Operands;
use crate::transform::{self, PATCH, TILE};

/// Memory of a thread between the phases of a task.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    gathered: Aligned,
    products: Aligned,
}

/// Some rows of sites of some images, in some blocks of output channels.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) method: Method,
    pub(crate) operands: Operands<'a>,
    /// Height and width of a whole output.
    pub(crate) output: [usize; 2],
    pub(crate) images: Range<usize>,
    /// Rows of sites.
    pub(crate) rows: Range<usize>,
    /// Blocks of output channels, whole pairs but for one that is left over at the end.
    pub(crate) blocks: Range<usize>,
}

/// A piece, with the memory that it is made in.
pub(crate) struct Task<'a, 'out> {
    pub(crate) piece: Piece<'a>,
    /// The piece's rows of the output, image after image and in these block after block.
    pub(crate) lines: &'a mut [&'out mut [f32]],
    pub(crate) buffers: &'a mut Buffers,
}

impl Buffers {
    /// Of each so many numbers, whatever they hold.
    pub(crate) fn at_least(&mut self, [gathered, products]: [usize; 2]) -> [&mut [f32]; 2] {
        [self.gathered.at_least(gathered), self.products.at_least(products)]
    }
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { piece, lines, buffers } = self;
        let (points, depth) = piece.kernel.points_and_depth();
        let n_sites = piece.n_sites();
        let n_products = points * piece.blocks.len() * n_sites * S::F32_LANES;
        let [gathered, products] = buffers.at_least([points * depth * n_sites, n_products]);
        match piece.method {
            Method::Tiles => {
                piece.gather_tiles(simd, S::as_mut_simd_f32s(gathered).0);
                piece.multiply(simd, gathered, S::as_mut_simd_f32s(products).0);
                piece.place_tiles(simd, S::as_simd_f32s(products).0, lines);
            }
            Method::Pixels => {
                piece.gather_pixels(simd, S::as_mut_simd_f32s(gathered).0);
                piece.multiply(simd, gathered, S::as_mut_simd_f32s(products).0);
                piece.place_pixels(simd, S::as_simd_f32s(products).0, lines);
            }
            Method::Places => {
                for row in piece.rows.clone() {
                    for column in 0..piece.output[1] {
                        piece.make_place(simd, (row, column), gathered, products, lines);
                    }
                }
            }
        }
    }
}

impl Piece<'_> {
    /// Sites of a row.
    fn columns(&self) -> usize {
        self.output[1].div_ceil(self.method.side())
    }

    fn n_sites(&self) -> usize {
        match self.method {
            Method::Places => self.images.len(),
            _ => self.images.len() * self.rows.len() * self.columns(),
        }
    }

    /// The first site of an image; the others follow row by row.
    fn first_site(&self, image: usize) -> usize {
        (image - self.images.start) * self.rows.len() * self.columns()
    }

    /// A block of channels of an input image.
    #[inline(always)]
    fn plane<S: Simd>(&self, image: usize, block: usize) -> &[S::f32s] {
        let (n_blocks, pixels) = (self.kernel.in_channels / S::F32_LANES, self.operands.images.pixels());
        &S::as_simd_f32s(self.operands.input).0[(image * n_blocks + block) * pixels..][..pixels]
    }

    /// Bᵀ d B of each tile's patch, into `[points, in_channels / L, n_sites]`.
    #[inline(always)]
    fn gather_tiles<S: Simd>(&self, simd: S, gathered: &mut [S::f32s]) {
        let Images { height, width, .. } = self.operands.images;
        let [top, left, ..] = self.kernel.geometry.pads;
        let (n_sites, n_blocks) = (self.n_sites(), self.kernel.in_channels / S::F32_LANES);
        for image in self.images.clone() {
            for block in 0..n_blocks {
                let plane = self.plane::<S>(image, block);
                let mut nth = block * n_sites + self.first_site(image);
                for row in self.rows.clone() {
                    let (rows, above) = within(row * TILE, top, height);
                    for column in 0..self.columns() {
                        let (columns, before) = within(column * TILE, left, width);
                        let patch = patch(simd, plane, width, (rows.clone(), above), (columns, before));
                        let points = transform::input(simd, patch);
                        for (point, value) in points.as_flattened().iter().enumerate() {
                            gathered[point * n_blocks * n_sites + nth] = *value;
                        }
                        nth += 1;
                    }
                }
            }
        }
    }

    /// What each output pixel looks at, into `[taps, in_channels / L, n_sites]`.
    #[inline(always)]
    fn gather_pixels<S: Simd>(&self, simd: S, gathered: &mut [S::f32s]) {
        let Images { height, width, .. } = self.operands.images;
        let Geometry { kernel, strides, dilations, pads } = self.kernel.geometry;
        let (n_sites, n_blocks) = (self.n_sites(), self.kernel.in_channels / S::F32_LANES);
        for image in self.images.clone() {
            for block in 0..n_blocks {
                let plane = self.plane::<S>(image, block);
                for tap in 0..kernel[0] * kernel[1] {
                    let mut nth = (tap * n_blocks + block) * n_sites + self.first_site(image);
                    for row in self.rows.clone() {
                        // What lies above or before the picture is beyond its end, too.
                        let y = (row * strides[0] + tap / kernel[1] * dilations[0]).wrapping_sub(pads[0]);
                        for column in 0..self.columns() {
                            let x = (column * strides[1] + tap % kernel[1] * dilations[1]).wrapping_sub(pads[1]);
                            let is_inside = y < height && x < width;
                            gathered[nth] = if is_inside { plane[y * width + x] } else { simd.splat_f32s(0.0) };
                            nth += 1;
                        }
                    }
                }
            }
        }
    }

    /// All products, `[points, blocks, n_sites]`.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, gathered: &[f32], products: &mut [S::f32s]) {
        let (n_sites, (_, depth), n_blocks) = (self.n_sites(), self.kernel.points_and_depth(), self.blocks.len());
        let order: Vec<usize> = (0..depth / S::F32_LANES).collect();
        let of_point = self.kernel.out_channels / S::F32_LANES * depth;
        let weights = S::as_simd_f32s(self.kernel.weights.as_slice()).0.chunks_exact(of_point);
        let points = gathered.chunks_exact(depth * n_sites).zip(products.chunks_exact_mut(n_blocks * n_sites));
        for ((left, products), weights) in points.zip(weights) {
            let weights = &weights[self.blocks.start * depth..][..n_blocks * depth];
            for (right, products) in weights.chunks(2 * depth).zip(products.chunks_mut(2 * n_sites)) {
                Product { left, n_sites, order: &order, right }.write(simd, products.len() / n_sites, products);
            }
        }
    }

    /// Aᵀ m A of each tile; what of it is beyond the output is dropped.
    #[inline(always)]
    fn place_tiles<S: Simd>(&self, simd: S, products: &[S::f32s], lines: &mut [&mut [f32]]) {
        let (n_sites, n_blocks) = (self.n_sites(), self.blocks.len());
        let [height, width] = self.output;
        for (at, line) in lines.iter_mut().enumerate() {
            let (image, block) = (self.images.start + at / n_blocks, at % n_blocks);
            let finish = self.finish(simd, image, block);
            let pixels = S::as_mut_simd_f32s(line).0;
            let mut nth = block * n_sites + self.first_site(image);
            for row in self.rows.clone() {
                let first = (row - self.rows.start) * TILE * width;
                let shown_rows = TILE.min(height - row * TILE);
                for column in 0..self.columns() {
                    let tile = transform::output(simd, |point| products[point * n_blocks * n_sites + nth]);
                    let shown = TILE.min(width - column * TILE);
                    for (y, tile) in tile[..shown_rows].iter().enumerate() {
                        finish.write(simd, first + y * width + column * TILE, &tile[..shown], pixels);
                    }
                    nth += 1;
                }
            }
        }
    }

    #[inline(always)]
    fn place_pixels<S: Simd>(&self, simd: S, products: &[S::f32s], lines: &mut [&mut [f32]]) {
        let (n_sites, n_blocks) = (self.n_sites(), self.blocks.len());
        for (at, line) in lines.iter_mut().enumerate() {
            let (image, block) = (self.images.start + at / n_blocks, at % n_blocks);
            let pixels = S::as_mut_simd_f32s(line).0;
            let products = &products[block * n_sites + self.first_site(image)..][..pixels.len()];
            self.finish(simd, image, block).write(simd, 0, products, pixels);
        }
    }

    /// One pixel of all images, from the taps that lie inside of the input: its left side is `[blocks of these, images]`.
    #[inline(always)]
    fn make_place<S: Simd>(
        &self,
        simd: S,
        (row, column): (usize, usize),
        gathered: &mut [f32],
        products: &mut [f32],
        lines: &mut [&mut [f32]],
    ) {
        let (geometry, Images { height, width, .. }) = (self.kernel.geometry, self.operands.images);
        let (n_sites, n_blocks) = (self.n_sites(), self.kernel.in_channels / S::F32_LANES);
        let values = S::as_mut_simd_f32s(gathered).0;
        let mut order = Vec::new();
        // Taps first and then channels: so the sums are the same whatever a block holds.
        for i in geometry.taps(0, row, height) {
            let y = row * geometry.strides[0] + i * geometry.dilations[0] - geometry.pads[0];
            for j in geometry.taps(1, column, width) {
                let x = column * geometry.strides[1] + j * geometry.dilations[1] - geometry.pads[1];
                for block in 0..n_blocks {
                    for (site, image) in self.images.clone().enumerate() {
                        values[order.len() * n_sites + site] = self.plane::<S>(image, block)[y * width + x];
                    }
                    order.push(block * self.kernel.n_taps() + i * geometry.kernel[1] + j);
                }
            }
        }
        let of_block = self.kernel.in_channels * self.kernel.n_taps();
        let weights = S::as_simd_f32s(self.operands.weight).0.chunks_exact(of_block).skip(self.blocks.start);
        let left = &gathered[..order.len() * n_sites * S::F32_LANES];
        let pixel = (row - self.rows.start) * self.output[1] + column;
        for (block, right) in (0..self.blocks.len()).zip(weights) {
            let products = S::as_mut_simd_f32s(products).0;
            Product { left, n_sites, order: &order, right }.write(simd, 1, products);
            for (site, image) in self.images.clone().enumerate() {
                let line = S::as_mut_simd_f32s(lines[site * self.blocks.len() + block]).0;
                line[pixel] = self.finish(simd, image, block).of(simd, pixel, products[site]);
            }
        }
    }

    /// What is done to the piece's part of an output plane.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, image: usize, block: usize) -> Finish<'_, S::f32s> {
        let block = self.blocks.start + block;
        let [height, width] = self.output;
        let plane = (image * (self.kernel.out_channels / S::F32_LANES) + block) * height;
        let first = (plane + self.rows.start * self.method.side()) * width;
        Finish {
            bias: match self.operands.bias {
                Some(bias) => S::as_simd_f32s(bias).0[block],
                None => simd.splat_f32s(0.0),
            },
            sum: match self.operands.sum {
                Some(sum) => Some(&S::as_simd_f32s(sum).0[first..]),
                None => None,
            },
            least: simd.splat_f32s(if self.operands.relu { 0.0 } else { f32::NEG_INFINITY }),
        }
    }
}

/// Six by six pixels of a plane, of which `rows` and `columns` are inside, behind as many lines of zeros as stand beside them.
#[inline(always)]
fn patch<S: Simd>(
    simd: S,
    plane: &[S::f32s],
    width: usize,
    (rows, above): (Range<usize>, usize),
    (columns, before): (Range<usize>, usize),
) -> [[S::f32s; PATCH]; PATCH] {
    if rows.len() == PATCH && columns.len() == PATCH {
        // Nearly all are such, and are read without going through memory once more.
        let line = |y: usize| {
            let pixels = &plane[(rows.start + y) * width + columns.start..][..PATCH];
            [pixels[0], pixels[1], pixels[2], pixels[3], pixels[4], pixels[5]]
        };
        return [line(0), line(1), line(2), line(3), line(4), line(5)];
    }
    let mut patch = [[simd.splat_f32s(0.0); PATCH]; PATCH];
    for (line, y) in patch[above..].iter_mut().zip(rows) {
        for (place, pixel) in line[before..].iter_mut().zip(&plane[y * width..][columns.clone()]) {
            *place = *pixel;
        }
    }
    patch
}

/// Where a patch of Winograd's algorithm lies inside of `length` pixels, and how many of its own lie before that.
#[inline(always)]
fn within(first: usize, pad: usize, length: usize) -> (Range<usize>, usize) {
    let start = first.saturating_sub(pad);
    let end = (first + PATCH).saturating_sub(pad).min(length);
    (start.min(length)..end, pad.saturating_sub(first).min(PATCH))
}

/// What stands between a sum and the output: bias, a tensor that is added, and a lower bound.
struct Finish<'a, V> {
    bias: V,
    sum: Option<&'a [V]>,
    least: V,
}

impl<V: Copy> Finish<'_, V> {
    #[inline(always)]
    fn write<S: Simd<f32s = V>>(&self, simd: S, at: usize, values: &[V], pixels: &mut [V]) {
        let pixels = &mut pixels[at..][..values.len()];
        for (place, value) in values.iter().enumerate() {
            pixels[place] = self.of(simd, at + place, *value);
        }
    }

    #[inline(always)]
    fn of<S: Simd<f32s = V>>(&self, simd: S, at: usize, value: V) -> V {
        let mut value = simd.add_f32s(value, self.bias);
        if let Some(sum) = self.sum {
            value = simd.add_f32s(value, sum[at]);
        }
        // Not a number stays what it is: of two operands x86 gives back the second one then.
        simd.max_f32s(self.least, value)
    }
}
