//! What can be wrong with a model, or with what is asked of it. Every message names the tensor or
//! node, what was expected, what was found, and what to do.

use crate::proto;

/// A problem, and the model (usually its path) that has it.
#[derive(Debug, thiserror::Error)]
#[error("{model}: {problem}")]
pub struct Error {
    /// Path or name of the model.
    pub model: String,
    /// What is wrong.
    pub problem: Box<Problem>,
}

/// What is wrong. Fields hold the names and sizes that the message shows.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each field is shown, and so explained, by its variant's message")]
pub enum Problem {
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    #[error("is a pipe, socket or device, expected a regular file; save the model to one and give its path")]
    NotAFile,
    #[error(
        "takes {bytes} bytes, and an ONNX file of one piece holds at most 2147483647; use a smaller model, or a float16 copy"
    )]
    TooLarge { bytes: u64 },
    #[error("expected an ONNX model, found {found}")]
    NotOnnx { found: &'static str },
    #[error("is not readable as ONNX ({0}); the file is damaged, cut short or something else: fetch it again")]
    Damaged(proto::DecodeError),
    #[error("has no {what}, so it is not a complete ONNX model; export or fetch it again")]
    Incomplete { what: &'static str },
    #[error(
        "has IR version {found}, expected 3 to {newest}; save it again with the `onnx` package after setting `model.ir_version = 10`"
    )]
    IrVersion { found: i64, newest: i64 },
    #[error("node {node} uses operator set {domain:?}, which the model does not import; export it again")]
    OpsetMissing { node: String, domain: String },
    #[error(
        "imports operator set {found}, expected 7 or newer; convert it with `onnx.version_converter.convert_version(model, 13)`"
    )]
    OpsetTooOld { found: i64 },
    #[error(
        "imports operator set {found}, expected {newest} at most; convert it with `onnx.version_converter.convert_version(model, 20)`"
    )]
    OpsetTooNew { found: i64, newest: i64 },
    #[error(
        "node {node} is a custom operator of domain {domain:?}, and only standard ones (ai.onnx, ai.onnx.ml, com.microsoft) can run here; export the model without it"
    )]
    CustomOperator { node: String, domain: String },
    #[error(
        "tensor {tensor:?} is made twice (the second time by {second}), and ONNX allows each name one source; export the model again"
    )]
    MadeTwice { tensor: String, second: String },
    #[error(
        "node {node} reads tensor {tensor:?}, which nothing makes; the file is damaged or was edited badly: export it again"
    )]
    Dangling { node: String, tensor: String },
    #[error(
        "node {node} reads tensor {tensor:?} before any node has made it: the nodes form a cycle or are out of order, expected topological order; export the model again"
    )]
    OutOfOrder { node: String, tensor: String },
    #[error("declares output {tensor:?}, which no node makes; export the model again")]
    OutputNotMade { tensor: String },
    #[error(
        "keeps the elements of tensor {tensor:?} in another file; save the model as one file: `onnx.save(onnx.load(\"model.onnx\"), \"one.onnx\")` in Python"
    )]
    ExternalData { tensor: String },
    #[error(
        "tensor {tensor:?} is stored in segments, which no known tool writes; save it again with the `onnx` package"
    )]
    Segmented { tensor: String },
    #[error("tensor {tensor:?} has the element type code {code}, which is unknown here; expected one of ONNX 1.23")]
    UnknownElement { tensor: String, code: i32 },
    #[error("tensor {tensor:?} has the impossible shape {dims:?}; the file is damaged: fetch it again")]
    ImpossibleShape { tensor: String, dims: Vec<i64> },
    #[error(
        "tensor {tensor:?} of shape {dims:?} and type {element} needs {expected} {unit}, found {found}; the file is damaged: fetch it again"
    )]
    TensorSize {
        tensor: String,
        dims: Vec<i64>,
        element: crate::ElementType,
        unit: &'static str,
        expected: u64,
        found: u64,
    },
    #[error("has no tensor {tensor:?}{}; list the candidates with `--list`", did_you_mean(.nearest))]
    NoSuchTensor { tensor: String, nearest: Vec<String> },
    #[error("tensor {tensor:?} cannot become the output: it {why}; choose one that a node makes, see `--list`")]
    NotCuttable { tensor: String, why: &'static str },
    #[error(
        "output {output:?} (shape {shape}, made by {op}) does not come from a last linear layer: {why}; name the tensor to use as feature with `--feature NAME`, see `--list`"
    )]
    NoClassifier { output: String, shape: String, op: String, why: &'static str },
    #[error("the weights of the last layer {node} cannot be taken out: {why}")]
    LastLayerOpaque { node: String, why: &'static str },
    #[error(
        "takes {found} instead of one image; expected one input of shape [N, 3, H, W] or [N, H, W, 3] and type float32, float16 or uint8"
    )]
    NotAnImage { found: String },
    #[error("takes {} inputs ({}), expected one image; cut it at a tensor that needs the image only (`--feature NAME`)", .inputs.len(), few(.inputs))]
    SeveralInputs { inputs: Vec<String> },
    #[error("has {} outputs ({}), expected one; cut it first", .outputs.len(), few(.outputs))]
    SeveralOutputs { outputs: Vec<String> },
    #[error("tensor {tensor:?} (type {element}, shape {shape}) cannot become a feature vector: {why}")]
    NotPoolable { tensor: String, element: String, shape: String, why: &'static str },
    #[error("preprocessing: {what} is {found}, expected {expected}")]
    Preprocessing { what: &'static str, found: String, expected: String },
    #[error(
        "imports operator set {found}, and resizing inside the graph needs 11 or newer; convert it with `onnx.version_converter.convert_version(model, 13)`, or store pictures at the model's size with `data-prep --size`"
    )]
    ResizeNeedsOpset11 { found: i64 },
    #[error(
        "pictures of {stored_height}x{stored_width} (height x width) are larger than the model's input of {height}x{width}, and the graph only enlarges, because shrinking needs antialiasing; run data-prep with `--size {height}x{width}`"
    )]
    Downscaling { stored_height: u64, stored_width: u64, height: u64, width: u64 },
    #[error("head: {what} is {found}, expected {expected}")]
    Head { what: &'static str, found: String, expected: String },
    #[error(
        "keeps elements of its tensors in the file {file:?}, expected the plain name of a file in the model's folder; nothing outside it is opened"
    )]
    ExternalPath { file: String },
    #[error("keeps elements of its tensors in {file:?}, which is not in the model's folder; fetch it too")]
    ExternalMissing { file: String },
    #[error(
        "keeps elements of its tensors in {file:?}, which is a link to {target}, outside the model's folder; copy that file into the folder"
    )]
    ExternalOutside { file: String, target: String },
    #[error(
        "keeps elements of its tensors in {file:?}, which is the same file under {names} names (hard links), so it may be another's; replace it by a copy"
    )]
    ExternalShared { file: String, names: u64 },
    #[error("{why}")]
    NotADecoder { why: String },
    #[error(
        "has no float weights of Conv, ConvTranspose, Gemm or MatMul to draw again; expected a model that is not quantised"
    )]
    NothingToRandomise,
    #[error(
        "has no Conv, Gemm or MatMul of float32 activations with constant weights, so nothing of it can be put into int8; use `--precision float32`"
    )]
    NothingToQuantise,
    #[error(
        "imports operator set {found}, and int8 with a scale for each channel needs 13 or newer; convert it with `onnx.version_converter.convert_version(model, 13)`"
    )]
    QuantisingNeedsOpset13 { found: i64 },
    #[error(
        "the values of tensor {tensor:?} on the calibration pictures range over {found}, expected finite numbers; look at the preprocessing, or use `--precision float32`"
    )]
    RangeUnknown { tensor: String, found: String },
}

impl Problem {
    pub(crate) fn of(self, model: &str) -> Error {
        Error { model: model.to_owned(), problem: Box::new(self) }
    }
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    format!(", did you mean {}", nearest.join(" or "))
}

/// The first names of a list that may be long, without signs that a terminal would obey.
fn few(names: &[String]) -> String {
    let shown = names.iter().take(4).map(|name| name.escape_debug().to_string()).collect::<Vec<_>>().join(", ");
    if names.len() > 4 { format!("{shown}, …") } else { shown }
}
