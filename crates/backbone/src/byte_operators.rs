//! Operators of ours for a network in 8 bits: `headstart.QLinearConv` and `headstart.MaxPool`, uint8 images `[n, height, width, channels]`
//! in and out, and `headstart.QLinearResize` before them.

use std::fmt::Debug;
use std::sync::Arc;

use convolution::{
    ByteKernel, ByteResize, Enlarging, Error, Geometry, Images, Scale, Workspace, convolve_and_pool_bytes,
    convolve_bytes, max_pool_bytes, resize_bytes,
};
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::{PrimitiveTensorElementType, TensorElementType, TensorValueType};

use crate::convolve::{attribute, geometry, geometry_of, lengths, missing};

const U8: TensorElementType = TensorElementType::Uint8;

/// Where `QLinearConv` reads what. Behind a scale is its zero.
const INPUT_SCALE: usize = 1;
const WEIGHT: usize = 3;
const WEIGHT_SCALE: usize = 4;
const OUTPUT_SCALE: usize = 6;
const BIAS: usize = 8;

/// Where `QLinearResize` reads what. Behind the scale is its zero.
const FACTOR: usize = 1;
const OFFSET: usize = 2;
const SCALE: usize = 3;
const ROWS: usize = 5;
const COLUMNS: usize = 6;

/// Inputs as of ONNX's `QLinearConv`: X, its scale and zero, W int8, its scale and zero (which is 0), scale and zero of Y, and the
/// bias. All but X are constants. Attributes `strides`, `dilations` and `pads` as in ONNX; where there is `pool_kernel_shape`, the largest
/// of windows follows, with `pool_strides`, `pool_dilations` and `pool_pads`.
pub(crate) struct QLinearConv {
    pub(crate) threads: usize,
    pub(crate) workspace: Arc<Workspace>,
}

impl Operator for QLinearConv {
    type Kernel<'attr> = Convolution;

    fn name(&self) -> &str {
        "QLinearConv"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        use TensorElementType::{Float32, Int8, Int32};
        let all = [U8, Float32, U8, Int8, Float32, Int8, Float32, U8];
        all.map(OperatorInput::required).into_iter().chain([OperatorInput::optional(Int32)])
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(U8)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Convolution> {
        let (shape, weight) = constant::<i8>(context, WEIGHT)?;
        let [out_channels, in_channels, height, width] = lengths(&shape)?;
        let geometry = geometry(context, [height, width])?;
        let (input, (_, weight_scale), output) =
            (scale(context, INPUT_SCALE)?, constant::<f32>(context, WEIGHT_SCALE)?, scale(context, OUTPUT_SCALE)?);
        let bias = if context.inputs()?.len() > BIAS { Some(constant::<i32>(context, BIAS)?.1) } else { None };
        let channels = [out_channels, in_channels];
        let kernel = ByteKernel::new(&weight, channels, geometry, input, &weight_scale, output, bias.as_deref());
        let pool: Option<Vec<i64>> = context.get("pool_kernel_shape");
        Ok(Convolution {
            kernel: kernel.map_err(ort::Error::wrap)?,
            pool: pool.map(|kernel| geometry_of(context, "pool_", lengths(&kernel)?)).transpose()?,
            threads: self.threads,
            workspace: Arc::clone(&self.workspace),
        })
    }
}

/// The convolution of a session.
pub(crate) struct Convolution {
    kernel: ByteKernel,
    pool: Option<Geometry>,
    threads: usize,
    workspace: Arc<Workspace>,
}

impl Kernel for Convolution {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let Self { kernel, pool, threads, workspace } = self;
        let [in_channels, out_channels] = kernel.channels();
        on_images(
            context,
            |images, channels| {
                if channels != in_channels {
                    return Err(ort::Error::new(format!(
                        "a convolution of {in_channels} channels was given {channels}"
                    )));
                }
                let [height, width] = kernel.output(images).map_err(ort::Error::wrap)?;
                let between = Images { height, width, ..images };
                let sides = pool.map_or(Ok([height, width]), |pool| pool.output(between));
                Ok((sides.map_err(ort::Error::wrap)?, out_channels))
            },
            |input, images, _, output| {
                let run = |n: usize, piece: &(dyn Fn(usize) + Sync)| context.par_for(n, n, piece);
                match *pool {
                    Some(pool) => convolve_and_pool_bytes(kernel, pool, input, images, output, run),
                    None => convolve_bytes(kernel, input, images, output, (workspace, *threads), run),
                }
            },
        )
    }
}

/// Attributes `kernel_shape`, `strides`, `dilations` and `pads` as of ONNX's `MaxPool`.
pub(crate) struct MaxPool;

impl Operator for MaxPool {
    type Kernel<'attr> = Pooling;

    fn name(&self) -> &str {
        "MaxPool"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(U8)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(U8)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Pooling> {
        Ok(Pooling(geometry(context, attribute(context, "kernel_shape")?)?))
    }
}

/// The pooling of a session.
pub(crate) struct Pooling(Geometry);

impl Kernel for Pooling {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let Self(geometry) = *self;
        on_images(
            context,
            |images, channels| Ok((geometry.output(images).map_err(ort::Error::wrap)?, channels)),
            |input, images, channels, output| {
                max_pool_bytes(geometry, channels, input, images, output, |n, piece| context.par_for(n, n, piece))
            },
        )
    }
}

/// Inputs X, factor and offset of its three channels, scale and zero of Y, and the matrices that enlarge X as one product from the left
/// and one from the right, both of them or none. All but X are constants.
pub(crate) struct QLinearResize;

impl Operator for QLinearResize {
    type Kernel<'attr> = Resizing;

    fn name(&self) -> &str {
        "QLinearResize"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        const F32: TensorElementType = TensorElementType::Float32;
        let matrices = [F32; 2].map(OperatorInput::optional);
        [U8, F32, F32, F32, U8].map(OperatorInput::required).into_iter().chain(matrices)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(U8)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Resizing> {
        let of_channels = |at: usize| {
            let (shape, numbers) = constant::<f32>(context, at)?;
            let found = || ort::Error::new(format!("expected three numbers, found the shape {shape:?}"));
            numbers.try_into().map_err(|_| found())
        };
        let (factor, offset) = (of_channels(FACTOR)?, of_channels(OFFSET)?);
        let matrices = if context.inputs()?.len() > COLUMNS {
            Some((constant::<f32>(context, ROWS)?, constant::<f32>(context, COLUMNS)?))
        } else {
            None
        };
        let enlarging = match &matrices {
            Some(((of_rows, rows), (of_columns, columns))) => {
                let ([_, height], [width, _]) = (lengths(of_rows)?, lengths(of_columns)?);
                Some(Enlarging { from: [height, width], rows, columns })
            }
            None => None,
        };
        let resize = ByteResize::new(factor, offset, enlarging, scale(context, SCALE)?).map_err(ort::Error::wrap)?;
        tracing::debug!("preprocessing is one operator of headstart's");
        Ok(Resizing(resize))
    }
}

/// The preprocessing of a session.
pub(crate) struct Resizing(ByteResize);

impl Kernel for Resizing {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let Self(resize) = self;
        on_images(
            context,
            |images, channels| Ok((resize.output(images).map_err(ort::Error::wrap)?, channels)),
            |input, images, _, output| {
                resize_bytes(resize, input, images, output, |n, piece| context.par_for(n, n, piece))
            },
        )
    }
}

/// Reads the images and their channels, makes room for an output of the sides and channels that `shape` says of them, and has `run` write it.
fn on_images(
    context: &ComputeContext,
    shape: impl FnOnce(Images, usize) -> ort::Result<([usize; 2], usize)>,
    run: impl FnOnce(&[u8], Images, usize, &mut [u8]) -> Result<ort::Result<()>, Error>,
) -> ort::Result<()> {
    let input = context.input(0)?.ok_or_else(missing)?;
    let (found, input) = input.try_extract_tensor::<u8>()?;
    let [n, height, width, channels] = lengths(found)?;
    let images = Images { n, height, width };
    let ([height, width], out_channels) = shape(images, channels)?;
    let mut output = context.output(0, [n, height, width, out_channels])?.ok_or_else(missing)?;
    let (_, output) = output.try_extract_tensor_mut::<u8>()?;
    run(input, images, channels, output).map_err(ort::Error::wrap)?
}

/// A scale, and its zero behind it.
fn scale(context: &KernelContext<'_>, at: usize) -> ort::Result<Scale> {
    Ok(Scale { scale: number(context, at)?, zero: number(context, at + 1)? })
}

/// Shape and elements of a constant input.
fn constant<T: PrimitiveTensorElementType + Debug + Clone + 'static>(
    context: &KernelContext<'_>,
    at: usize,
) -> ort::Result<(Vec<i64>, Vec<T>)> {
    let value = context.constant_input::<TensorValueType<T>>(at)?;
    let (shape, elements) = value.extract_tensor();
    Ok((shape.to_vec(), elements.to_vec()))
}

/// A constant input of one element.
fn number<T: PrimitiveTensorElementType + Debug + Clone + 'static>(
    context: &KernelContext<'_>,
    at: usize,
) -> ort::Result<T> {
    let (shape, elements) = constant(context, at)?;
    elements.first().cloned().ok_or_else(|| ort::Error::new(format!("expected a number, found the shape {shape:?}")))
}
