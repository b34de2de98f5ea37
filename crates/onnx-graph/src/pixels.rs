//! The graph of no network at all: the pixels themselves are the feature.

use crate::element::ElementType;
use crate::error::{Error, Problem};
use crate::model::Model;
use crate::node::{Attr, node};
use crate::pool::FEATURE;
use crate::preprocess::PIXELS;
use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto};
use crate::tensor;
use crate::value::{Dim, TensorType};

/// Old enough for any runtime that is in use, and new enough for one Softmax over an axis.
const OPSET: i64 = 13;
const IR_VERSION: i64 = 8;

impl Model {
    /// A model that takes [`PIXELS`], uint8 `[N, height, width, 3]`, and gives [`FEATURE`], float32
    /// `[N, height · width · 3]`: every byte divided by 255, in the order of the bytes.
    ///
    /// # Errors
    /// If a side is 0, or the product does not fit.
    pub fn of_pixels(height: u64, width: u64) -> Result<Self, Error> {
        const NAME: &str = "raw pixels";
        let count = height.checked_mul(width).and_then(|n| n.checked_mul(3)).filter(|n| *n > 0);
        let count = count.filter(|n| i64::try_from(*n).is_ok()).ok_or_else(|| {
            let (found, expected) = (format!("{height}x{width}"), "1 pixel or more, and not beyond memory".to_owned());
            Problem::Preprocessing { what: "size of a picture", found, expected }.of(NAME)
        })?;
        let batch = Dim::Named("batch".to_owned());
        let declare = |name, element, mut dims: Vec<Dim>| {
            dims.insert(0, batch.clone());
            TensorType { element: Some(element), shape: Some(dims) }.declare(name)
        };
        let float = i64::from(ElementType::F32.code());
        let pixels = vec![Dim::Fixed(height), Dim::Fixed(width), Dim::Fixed(3)];
        let graph = GraphProto {
            name: Some("pixels".to_owned()),
            node: vec![
                node("Cast", &[PIXELS], "floats", &[("to", Attr::Int(float))]),
                node("Div", &["floats", "white"], "scaled", &[]),
                node("Flatten", &["scaled"], FEATURE, &[("axis", Attr::Int(1))]),
            ],
            initializer: vec![tensor::from_floats("white", &[], &[255.0])],
            input: vec![declare(PIXELS, ElementType::U8, pixels)],
            output: vec![declare(FEATURE, ElementType::F32, vec![Dim::Fixed(count)])],
            ..GraphProto::default()
        };
        let proto = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("headstart".to_owned()),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
            ..ModelProto::default()
        };
        Self::from_proto(proto, NAME)
    }
}
