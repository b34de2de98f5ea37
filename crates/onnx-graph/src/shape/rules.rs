//! Which rule tells the type of which operator's output.

use crate::ElementType;
use crate::proto::NodeProto;
use crate::tensor;
use crate::value::{Dim, TensorType};

use super::{Facts, Tensors, arithmetic, constant_facts, layout, shape_values, spatial};

/// What is known of output `index` of a node.
pub(super) fn output(node: &NodeProto, index: usize, tensors: &Tensors, opset: i64) -> Facts {
    // Only Split has several outputs that matter; masks, indices and running statistics do not.
    if index > 0 && node.standard_op() != "Split" {
        return Facts::default();
    }
    if node.standard_op() == "Constant" {
        return constant(node);
    }
    Facts {
        tensor: TensorType { element: element(node, tensors), shape: shape(node, index, tensors, opset) },
        entries: shape_values::of(node, tensors),
        constant: false,
    }
}

fn constant(node: &NodeProto) -> Facts {
    if let Some(value) = node.tensor("value") {
        return constant_facts(value);
    }
    if let Some(list) = node.ints("value_ints").filter(|list| !list.is_empty() && list.len() <= 64) {
        return constant_facts(&tensor::from_integers("", &[list.len() as u64], list));
    }
    if let Some(number) = node.int("value_int") {
        return constant_facts(&tensor::from_integers("", &[], &[number]));
    }
    let scalar = node.float("value_float").map(|_| Vec::new());
    let list = node.attr("value_floats").map(|a| vec![Dim::Fixed(a.floats.len() as u64)]);
    let shape = scalar.or(list);
    let element = shape.as_ref().map(|_| ElementType::F32);
    Facts { tensor: TensorType { element, shape }, ..Facts::default() }
}

fn element(node: &NodeProto, tensors: &Tensors) -> Option<ElementType> {
    let of = |index: usize| tensors.element(node.reads_at(index)?);
    match node.standard_op() {
        "Cast" => ElementType::from_code(i32::try_from(node.int("to")?).ok()?),
        "CastLike" | "Where" | "DequantizeLinear" => of(1),
        "QuantizeLinear" => of(2).or(Some(ElementType::U8)),
        "ConstantOfShape" => match node.tensor("value") {
            Some(value) => ElementType::from_code(value.data_type()),
            None => Some(ElementType::F32),
        },
        "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" => Some(ElementType::I64),
        "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" | "Xor" | "Not" | "IsNaN"
        | "IsInf" => Some(ElementType::Bool),
        // An operator of another domain may turn its input into anything.
        "" => None,
        "If" | "Loop" | "Scan" | "OneHot" | "EyeLike" | "Range" => None,
        _ => of(0),
    }
}

fn shape(node: &NodeProto, index: usize, tensors: &Tensors, opset: i64) -> Option<Vec<Dim>> {
    let same = || Some(tensors.shape(node.reads_at(0)?)?.to_vec());
    let op = node.standard_op();
    match op {
        "Relu"
        | "LeakyRelu"
        | "Elu"
        | "Selu"
        | "Celu"
        | "Sigmoid"
        | "Tanh"
        | "HardSigmoid"
        | "HardSwish"
        | "Gelu"
        | "Mish"
        | "Swish"
        | "Softplus"
        | "Softsign"
        | "ThresholdedRelu"
        | "Erf"
        | "Sqrt"
        | "Exp"
        | "Log"
        | "Abs"
        | "Neg"
        | "Reciprocal"
        | "Floor"
        | "Ceil"
        | "Round"
        | "Sign"
        | "Sin"
        | "Cos"
        | "Not"
        | "Clip"
        | "Identity"
        | "Dropout"
        | "Cast"
        | "CastLike"
        | "Softmax"
        | "LogSoftmax"
        | "BatchNormalization"
        | "InstanceNormalization"
        | "LayerNormalization"
        | "GroupNormalization"
        | "RMSNormalization"
        | "LRN"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "QuantizeLinear"
        | "DequantizeLinear"
        | "CumSum" => same(),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Min" | "Max" | "Sum" | "Mean" | "PRelu" | "Where"
        | "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" | "Xor" => {
            arithmetic::broadcast_inputs(node, tensors)
        }
        "MatMul" => arithmetic::matmul(node, tensors),
        "Gemm" => arithmetic::gemm(node, tensors),
        "Conv" => spatial::conv(node, tensors),
        "ConvTranspose" => spatial::conv_transpose(node, tensors),
        "MaxPool" | "AveragePool" | "LpPool" => spatial::pool(node, tensors),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => spatial::global_pool(node, tensors),
        "Resize" | "Upsample" => spatial::resize(node, tensors),
        "Pad" => spatial::pad(node, tensors),
        "Flatten" => layout::flatten(node, tensors),
        "Reshape" => layout::reshape(node, tensors),
        "Expand" => layout::expand(node, tensors),
        "Transpose" => layout::transpose(node, tensors),
        "Concat" => layout::concat(node, tensors),
        "Squeeze" => layout::squeeze(node, tensors),
        "Unsqueeze" => layout::unsqueeze(node, tensors),
        "Gather" => layout::gather(node, tensors),
        "Slice" => layout::slice(node, tensors),
        "Split" => layout::split(node, index, tensors),
        "Shape" => Some(vec![Dim::Fixed(tensors.shape(node.reads_at(0)?)?.len() as u64)]),
        "ConstantOfShape" => layout::constant_of_shape(node, tensors),
        // A list, whose length follows from numbers that are not known here.
        "Range" => Some(vec![Dim::Unknown]),
        "ArgMax" | "ArgMin" => layout::arg(node, tensors),
        _ if op.starts_with("Reduce") => layout::reduce(node, tensors, opset),
        _ => match (node.domain(), node.op_type()) {
            ("com.microsoft", "Gelu" | "FastGelu" | "BiasGelu" | "QuickGelu" | "SkipLayerNormalization") => same(),
            // The first output has the query's shape, where key and value are not packed into it.
            ("com.microsoft", "GroupQueryAttention") if node.reads_at(1).is_some() => same(),
            _ => None,
        },
    }
}
