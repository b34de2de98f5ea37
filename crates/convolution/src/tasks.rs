//! An output cut into pieces that threads make by themselves.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;

use crate::kernel::Kernel;
use crate::shape::{Error, Images, Method, check_length};
use crate::task::{Buffers, Piece, Task};

/// Sites of a piece, about. With fewer, weights are read more often than they have to be; with more, what is gathered of the first
/// layers of a network (64 channels) does not stay in a core's cache of 1 MiB.
pub(crate) const SITES: usize = 56;

/// Pieces for each thread, at least, where there are so many: the last ones to finish leave others waiting.
const PIECES_PER_THREAD: usize = 2;

/// What a kernel is applied to.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// The weights that the kernel was made of.
    pub weight: &'a [f32],
    /// Float32 `[n, in_channels / L, height, width, L]`.
    pub input: &'a [f32],
    /// Its size.
    pub images: Images,
    /// Float32 `[out_channels]`.
    pub bias: Option<&'a [f32]>,
    /// What is added besides, of the output's shape.
    pub sum: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub relu: bool,
}

/// Memory that threads work in, kept from one convolution to the next.
#[derive(Debug, Default)]
pub struct Workspace(Mutex<Vec<Buffers>>);

impl Workspace {
    pub(crate) fn lend<R>(&self, work: impl FnOnce(&mut Buffers) -> R) -> R {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = free().pop().unwrap_or_default();
        let done = work(&mut buffers);
        free().push(buffers);
        done
    }
}

/// Writes an output, float32 `[n, out_channels / L, height, width, L]`: the convolution, plus bias, plus sum, and then at
/// least zero where that is asked for.
///
/// `run` is given a number and a function, and has to call that once with every integer below the number, from up to `threads`
/// threads; what it returns is returned.
///
/// # Errors
/// [`Error::NoOutput`] and [`Error::Length`] where operands do not fit.
pub fn convolve<R>(
    kernel: &Kernel,
    operands: Operands<'_>,
    output: &mut [f32],
    workspace: &Workspace,
    threads: usize,
    run: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
) -> Result<R, Error> {
    let pieces = pieces(kernel, operands, output, threads)?;
    let work = |nth: usize| {
        if let Some((piece, mut lines)) = pieces[nth].lock().unwrap_or_else(PoisonError::into_inner).take() {
            workspace.lend(|buffers| Arch::new().dispatch(Task { piece, lines: &mut lines, buffers }));
        }
    };
    Ok(run(pieces.len(), &work))
}

/// A piece and its rows of the output, until a thread takes it.
type Waiting<'a, 'out> = Mutex<Option<(Piece<'a>, Vec<&'out mut [f32]>)>>;

/// Cuts an output by rows of large images or between small ones, and by channels where that leaves threads without work: what is
/// gathered is then gathered once for each of them, which is little beside the products of many channels.
pub(crate) fn pieces<'a, 'out>(
    kernel: &'a Kernel,
    operands: Operands<'a>,
    output: &'out mut [f32],
    threads: usize,
) -> Result<Vec<Waiting<'a, 'out>>, Error> {
    let images = operands.images;
    let [height, width] = kernel.geometry.output(images)?;
    let n_outputs = images.n * kernel.out_channels * height * width;
    check_length("the input", operands.input, images.n * kernel.in_channels * images.pixels())?;
    check_length("the kernel", operands.weight, kernel.out_channels * kernel.in_channels * kernel.n_taps())?;
    check_length("the output", output, n_outputs)?;
    operands.bias.map_or(Ok(()), |bias| check_length("the bias", bias, kernel.out_channels))?;
    operands.sum.map_or(Ok(()), |sum| check_length("what is added", sum, n_outputs))?;
    if images.n == 0 {
        return Ok(Vec::new());
    }

    let method = kernel.geometry.method_for(images, [height, width]);
    let (side, blocks) = (method.side(), kernel.out_channels / kernel.lanes);
    let (rows, columns) = (height.div_ceil(side), width.div_ceil(side));
    let (band, group) = match method {
        Method::Places => (1, evenly(images.n, SITES)),
        // Where one image is cut, this is none of several.
        _ => (evenly(rows, SITES / columns), evenly(images.n, SITES / (rows * columns))),
    };
    let (bands, groups) = (rows.div_ceil(band), images.n.div_ceil(group));
    let slices = (PIECES_PER_THREAD * threads).div_ceil(bands * groups);
    let slice = 2 * blocks.div_ceil(2).div_ceil(slices);
    let slices = blocks.div_ceil(slice);

    let mut lines: Vec<Vec<&mut [f32]>> = Vec::new();
    lines.resize_with(groups * bands * slices, Vec::new);
    for (plane, pixels) in output.chunks_mut(height * width * kernel.lanes).enumerate() {
        let (image, block) = (plane / blocks, plane % blocks);
        for (nth, pixels) in pixels.chunks_mut(band * side * width * kernel.lanes).enumerate() {
            lines[(image / group * bands + nth) * slices + block / slice].push(pixels);
        }
    }
    let part = |nth: usize, size: usize, all: usize| nth * size..((nth + 1) * size).min(all);
    let piece = |nth: usize| Piece {
        kernel,
        method,
        operands,
        output: [height, width],
        images: part(nth / slices / bands, group, images.n),
        rows: part(nth / slices % bands, band, rows),
        blocks: part(nth % slices, slice, blocks),
    };
    Ok(lines.into_iter().enumerate().map(|(nth, lines)| Mutex::new(Some((piece(nth), lines)))).collect())
}

/// About `size` of `all` a piece, and of all pieces the same.
pub(crate) fn evenly(all: usize, size: usize) -> usize {
    all.div_ceil(all.div_ceil(size.clamp(1, all)))
}
