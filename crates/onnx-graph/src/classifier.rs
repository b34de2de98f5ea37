//! Finds the last linear layer of a network by walking back from its output, so that features are
//! what that layer reads. Three endings are known: Gemm; MatMul with or without a bias; a 1x1
//! convolution before or after global average pooling (SqueezeNet, MobileNetV3).

use crate::error::{Error, Problem};
use crate::model::Model;
use crate::proto::NodeProto;
use crate::shape::Tensors;
use crate::validate::node_label;
use crate::value::Dim;
use crate::wiring::{Constant, Wiring};

/// Turn logits into something else without mixing in other tensors.
const ACTIVATIONS: [&str; 3] = ["Softmax", "LogSoftmax", "Sigmoid"];
/// Change type or layout but no number, at inference.
const LAYOUT_ONLY: [&str; 6] = ["Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze"];
/// Change nothing at all at inference.
const NO_OPS: [&str; 2] = ["Identity", "Dropout"];
const RECTIFIERS: [&str; 6] = ["Relu", "Clip", "LeakyRelu", "HardSwish", "Identity", "Dropout"];

/// How the last linear layer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassifierKind {
    /// `Gemm(feature, weight, bias)`.
    Gemm,
    /// `MatMul(feature, weight)`, with `Add(bias)` or without.
    MatMul,
    /// A 1x1 convolution, and an average over all positions before or after it.
    Convolution,
    /// As `Convolution`, with an activation between it and the average: the pooled features do not
    /// determine the logits, but are the usual features of such a network all the same.
    RectifiedConvolution,
}

/// The last linear layer of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    /// How the layer is written.
    pub kind: ClassifierKind,
    /// Tensor that the layer reads: the features (to be averaged over positions if `kind` is a
    /// convolution).
    pub feature: String,
    /// Tensor that the final Softmax reads; the output itself where there is none.
    pub logits: String,
    /// Number of classes.
    pub n_classes: u64,
    /// Length of the feature vector.
    pub feature_dim: u64,
    layer: Layer,
}

/// The weights of the last layer: `logits = weight · feature + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct LastLayer {
    /// `[n_classes, feature_dim]`, row-major.
    pub weight: Vec<f32>,
    /// `[n_classes]`; zeros where the model has none.
    pub bias: Vec<f32>,
}

/// Where the numbers of the layer are, and what they are multiplied by.
#[derive(Clone, Debug, PartialEq)]
struct Layer {
    label: String,
    weight: String,
    bias: Option<String>,
    /// Whether the weight is stored as `[feature_dim, n_classes]`.
    transposed: bool,
    alpha: f32,
    beta: f32,
}

impl Model {
    /// Finds the last linear layer before the first output.
    ///
    /// # Errors
    /// If the output does not come from one; the message names the output and what makes it.
    pub fn find_classifier(&self) -> Result<Classifier, Error> {
        let output = self.graph().output.first().map_or("", |output| output.name());
        self.find_classifier_before(output)
    }

    /// Finds the last linear layer before the tensor `output`.
    ///
    /// # Errors
    /// As [`Model::find_classifier`].
    pub fn find_classifier_before(&self, output: &str) -> Result<Classifier, Error> {
        let tensors = self.tensors();
        let search = Search { wiring: Wiring::of(self.graph()), tensors: &tensors };
        search.run(output).map_err(|why| {
            let maker = search.wiring.maker(output);
            self.fail(Problem::NoClassifier {
                output: output.to_owned(),
                shape: tensors.tensor(output).shape_text(),
                op: maker.map_or_else(|| "no node".to_owned(), node_label),
                why,
            })
        })
    }

    /// The weights of a classifier found in this model, as float32.
    ///
    /// # Errors
    /// If they are not stored as floats (a quantised model), or as more than a transposition of them.
    pub fn last_layer(&self, classifier: &Classifier) -> Result<LastLayer, Error> {
        let layer = &classifier.layer;
        let fail = |why| self.fail(Problem::LastLayerOpaque { node: layer.label.clone(), why });
        let wiring = Wiring::of(self.graph());
        let (Ok(n_classes), Ok(feature_dim)) =
            (usize::try_from(classifier.n_classes), usize::try_from(classifier.feature_dim))
        else {
            return Err(fail("it is larger than the memory"));
        };
        let stored = wiring
            .constant(&layer.weight)
            .ok_or_else(|| fail("its weight is not stored as plain floats (is the model quantised?)"))?;
        let weight = match layer.transposed {
            true => stored.transposed().ok_or_else(|| fail("its weight is not a matrix"))?,
            false => stored,
        };
        if weight.dims.get(..2) != Some(&[n_classes, feature_dim]) || weight.values.len() != n_classes * feature_dim {
            return Err(fail("its weight is not [n_classes, feature_dim]; is it another model's classifier?"));
        }
        let bias = match &layer.bias {
            None => vec![0.0; n_classes],
            Some(name) => {
                let Constant { values, .. } =
                    wiring.constant(name).ok_or_else(|| fail("its bias is not stored as plain floats"))?;
                match values.as_slice() {
                    &[same] => vec![same; n_classes],
                    _ if values.len() == n_classes => values,
                    _ => return Err(fail("its bias is not [n_classes]")),
                }
            }
        };
        Ok(LastLayer {
            weight: weight.values.into_iter().map(|w| w * layer.alpha).collect(),
            bias: bias.into_iter().map(|b| b * layer.beta).collect(),
        })
    }
}

struct Search<'a> {
    wiring: Wiring<'a>,
    tensors: &'a Tensors,
}

impl<'a> Search<'a> {
    fn run(&self, output: &str) -> Result<Classifier, &'static str> {
        let end = self.wiring.maker(output).ok_or("it is an input or a constant")?;
        let mut at: &'a str = end.output.iter().find(|name| *name == output).ok_or("it is not in the graph")?;
        let mut logits = at;
        let node = loop {
            let node = self.wiring.maker(at).ok_or("it is the model's input, reshaped")?;
            let op = node.standard_op();
            if !ACTIVATIONS.contains(&op) && !LAYOUT_ONLY.contains(&op) {
                break node;
            }
            at = node.reads_at(0).ok_or("a node on the way reads nothing")?;
            if ACTIVATIONS.contains(&op) {
                logits = at;
            }
        };
        match node.standard_op() {
            "Gemm" => self.gemm(node, logits),
            "MatMul" => self.matmul(node, None, logits),
            "Add" => self.matmul_and_bias(node, logits),
            "Conv" => self.convolution_of_a_point(node, logits),
            "GlobalAveragePool" | "ReduceMean" | "AveragePool" => self.pooled_convolution(node, logits),
            _ => Err("the last operator that computes is not Gemm, MatMul, Add after MatMul, or a pooled 1x1 Conv"),
        }
    }

    fn gemm(&self, node: &'a NodeProto, logits: &str) -> Result<Classifier, &'static str> {
        if node.int("transA").unwrap_or(0) != 0 {
            return Err("the Gemm transposes its input");
        }
        let layer = Layer {
            label: node_label(node),
            weight: node.reads_at(1).ok_or("the Gemm has no weight")?.to_owned(),
            bias: node.reads_at(2).map(str::to_owned),
            transposed: node.int("transB").unwrap_or(0) == 0,
            alpha: node.float("alpha").unwrap_or(1.0),
            beta: node.float("beta").unwrap_or(1.0),
        };
        self.finish(ClassifierKind::Gemm, node, layer, logits)
    }

    fn matmul(&self, node: &'a NodeProto, bias: Option<&str>, logits: &str) -> Result<Classifier, &'static str> {
        let layer = Layer {
            label: node_label(node),
            weight: node.reads_at(1).ok_or("the MatMul has no weight")?.to_owned(),
            bias: bias.map(str::to_owned),
            transposed: true,
            alpha: 1.0,
            beta: 1.0,
        };
        self.finish(ClassifierKind::MatMul, node, layer, logits)
    }

    /// The bias may stand on either side of the Add.
    fn matmul_and_bias(&self, add: &'a NodeProto, logits: &str) -> Result<Classifier, &'static str> {
        let (Some(a), Some(b)) = (add.reads_at(0), add.reads_at(1)) else {
            return Err("the Add has one operand");
        };
        let (product, bias) = if self.tensors.is_constant(a) { (b, a) } else { (a, b) };
        if !self.tensors.is_constant(bias) {
            return Err("the Add joins two branches instead of adding a bias");
        }
        let product = self.wiring.back_over(product, &NO_OPS);
        match self.wiring.maker(product).filter(|node| node.standard_op() == "MatMul") {
            Some(matmul) => self.matmul(matmul, Some(bias), logits),
            None => Err("the Add does not follow a MatMul"),
        }
    }

    fn pooled_convolution(&self, pool: &'a NodeProto, logits: &str) -> Result<Classifier, &'static str> {
        let output = pool.output.first().and_then(|name| self.tensors.shape(name));
        if !matches!(output, Some([_, _] | [_, _, Dim::Fixed(1), Dim::Fixed(1)])) {
            return Err("the last pooling does not average over all positions");
        }
        let pooled = pool.reads_at(0).ok_or("the last pooling reads nothing")?;
        let convolved = self.wiring.back_over(pooled, &RECTIFIERS);
        let kind = match self.wiring.back_over(pooled, &NO_OPS) == convolved {
            true => ClassifierKind::Convolution,
            false => ClassifierKind::RectifiedConvolution,
        };
        match self.wiring.maker(convolved).filter(|node| node.standard_op() == "Conv") {
            Some(conv) => self.convolution(conv, kind, logits),
            None => Err(
                "it is a pooled feature map: the model has no last linear layer, so its output may be the feature itself",
            ),
        }
    }

    /// Pooling came first, so the convolution sees one position.
    fn convolution_of_a_point(&self, conv: &'a NodeProto, logits: &str) -> Result<Classifier, &'static str> {
        let output = conv.output.first().and_then(|name| self.tensors.shape(name));
        match output {
            Some([_, _, Dim::Fixed(1), Dim::Fixed(1)]) => self.convolution(conv, ClassifierKind::Convolution, logits),
            _ => Err("the last Conv gives a map and not one vector per picture"),
        }
    }

    fn convolution(&self, conv: &'a NodeProto, kind: ClassifierKind, logits: &str) -> Result<Classifier, &'static str> {
        let weight = conv.reads_at(1).ok_or("the last Conv has no weight")?;
        let one_by_one = matches!(self.tensors.shape(weight), Some([_, _, Dim::Fixed(1), Dim::Fixed(1)]));
        if !one_by_one || conv.int("group").unwrap_or(1) != 1 {
            return Err("the last Conv is not a plain 1x1 one");
        }
        let layer = Layer {
            label: node_label(conv),
            weight: weight.to_owned(),
            bias: conv.reads_at(2).map(str::to_owned),
            transposed: false,
            alpha: 1.0,
            beta: 1.0,
        };
        self.finish(kind, conv, layer, logits)
    }

    fn finish(
        &self,
        kind: ClassifierKind,
        node: &'a NodeProto,
        layer: Layer,
        logits: &str,
    ) -> Result<Classifier, &'static str> {
        let input = node.reads_at(0).ok_or("the last layer reads nothing")?;
        if !self.tensors.is_constant(&layer.weight) {
            return Err("the last layer multiplies two computed tensors");
        }
        let feature = self.wiring.back_over(input, &NO_OPS);
        if self.tensors.is_constant(feature) {
            return Err("the last layer does not depend on the input");
        }
        let (rows, columns) = match self.tensors.shape(&layer.weight) {
            Some([rows, columns] | [rows, columns, _, _]) => (rows.fixed(), columns.fixed()),
            _ => (None, None),
        };
        let (Some(rows), Some(columns)) = (rows, columns) else {
            return Err("the shape of the last layer's weight is unknown");
        };
        let (n_classes, feature_dim) = if layer.transposed { (columns, rows) } else { (rows, columns) };
        let (feature, logits) = (feature.to_owned(), logits.to_owned());
        Ok(Classifier { kind, feature, logits, n_classes, feature_dim, layer })
    }
}
