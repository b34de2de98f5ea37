//! An operator of ours in the runtime: `headstart.Conv`, the runtime's own blocked convolution with the arithmetic of `convolution`.

use std::sync::Arc;

use convolution::{Geometry, Images, Kernel as Weights, Operands, Workspace, convolve};
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput};
use ort::value::{TensorElementType, TensorValueType, ValueRef};

use crate::byte_operators::{MaxPool, QLinearConv, QLinearResize};

/// The domain of the operators.
const DOMAIN: &str = "headstart";

/// The operators that a session needs to run what `onnx-graph` has put them into.
pub(crate) fn domain(threads: usize) -> ort::Result<OperatorDomain> {
    let conv = Conv { threads, workspace: Arc::default() };
    let of_bytes = QLinearConv { threads, workspace: Arc::clone(&conv.workspace) };
    OperatorDomain::new(DOMAIN)?.add(conv)?.add(of_bytes)?.add(MaxPool)?.add(QLinearResize)
}

/// Inputs X, W, B and what is added, as the runtime's blocked convolution has them; attributes `strides`, `dilations` and `pads` as in
/// ONNX, and `relu`.
struct Conv {
    threads: usize,
    workspace: Arc<Workspace>,
}

impl Operator for Conv {
    type Kernel<'attr> = Loaded;

    fn name(&self) -> &str {
        "Conv"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        const F32: TensorElementType = TensorElementType::Float32;
        [
            OperatorInput::required(F32),
            OperatorInput::required(F32),
            OperatorInput::optional(F32),
            OperatorInput::optional(F32),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Loaded> {
        let weight = context.constant_input::<TensorValueType<f32>>(1)?;
        let (shape, weight) = weight.extract_tensor();
        let [out_channels, in_channels, height, width] = lengths(shape)?;
        let geometry = geometry(context, [height, width])?;
        Ok(Loaded {
            weights: Weights::new(weight, out_channels, in_channels, geometry).map_err(ort::Error::wrap)?,
            relu: context.get::<i64>("relu") == Some(1),
            threads: self.threads,
            workspace: Arc::clone(&self.workspace),
        })
    }
}

/// A convolution of a session.
struct Loaded {
    weights: Weights,
    relu: bool,
    threads: usize,
    workspace: Arc<Workspace>,
}

impl Kernel for Loaded {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let input = context.input(0)?.ok_or_else(missing)?;
        let (shape, input) = input.try_extract_tensor::<f32>()?;
        let [n, channels, height, width] = lengths(shape)?;
        let [in_channels, out_channels] = self.weights.channels();
        if channels != in_channels {
            return Err(ort::Error::new(format!("a convolution of {in_channels} channels was given {channels}")));
        }
        let images = Images { n, height, width };
        let [out_height, out_width] = self.weights.output(images).map_err(ort::Error::wrap)?;
        let mut output = context.output(0, [n, out_channels, out_height, out_width])?.ok_or_else(missing)?;
        let (_, output) = output.try_extract_tensor_mut::<f32>()?;
        let optional = |index: usize| if index < context.num_inputs()? { context.input(index) } else { Ok(None) };
        let (bias, sum) = (optional(2)?, optional(3)?);
        let weight = context.input(1)?.ok_or_else(missing)?;
        let operands = Operands {
            weight: numbers(&weight)?,
            input,
            images,
            bias: bias.as_ref().map(numbers).transpose()?,
            sum: sum.as_ref().map(numbers).transpose()?,
            relu: self.relu,
        };
        convolve(&self.weights, operands, output, &self.workspace, self.threads, |n, piece| {
            context.par_for(n, n, piece)
        })
        .map_err(ort::Error::wrap)?
    }
}

pub(crate) fn missing() -> ort::Error {
    ort::Error::new("a tensor of an operator is missing")
}

fn numbers<'a>(value: &'a ValueRef<'_>) -> ort::Result<&'a [f32]> {
    value.try_extract_tensor().map(|(_, numbers)| numbers)
}

pub(crate) fn lengths<const N: usize>(shape: &[i64]) -> ort::Result<[usize; N]> {
    let lengths: Option<Vec<usize>> = shape.iter().map(|length| usize::try_from(*length).ok()).collect();
    let found = || ort::Error::new(format!("expected {N} lengths, found {shape:?}"));
    lengths.and_then(|lengths| lengths.try_into().ok()).ok_or_else(found)
}

/// The attributes that say where a window of that height and width looks.
pub(crate) fn geometry(context: &KernelContext<'_>, kernel: [usize; 2]) -> ort::Result<Geometry> {
    geometry_of(context, "", kernel)
}

/// The same of attributes whose names begin so.
pub(crate) fn geometry_of(context: &KernelContext<'_>, prefix: &str, kernel: [usize; 2]) -> ort::Result<Geometry> {
    Ok(Geometry {
        kernel,
        strides: attribute(context, &format!("{prefix}strides"))?,
        dilations: attribute(context, &format!("{prefix}dilations"))?,
        pads: attribute(context, &format!("{prefix}pads"))?,
    })
}

pub(crate) fn attribute<const N: usize>(context: &KernelContext<'_>, name: &str) -> ort::Result<[usize; N]> {
    let values: Vec<i64> = context.get(name).ok_or_else(|| ort::Error::new(format!("no attribute {name}")))?;
    lengths(&values)
}
