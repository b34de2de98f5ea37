//! Element type and shape of a tensor as this crate shows them, and their way to and from the file.

use std::fmt;

use crate::ElementType;
use crate::proto::{
    Dimension, DimensionValue, TensorShapeProto, TensorType as TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};

/// Size of one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// The same in every run.
    Fixed(u64),
    /// Known by name only, such as `batch_size`.
    Named(String),
    /// Not known.
    Unknown,
}

impl Dim {
    /// The size, if it is fixed.
    pub fn fixed(&self) -> Option<u64> {
        match self {
            Self::Fixed(size) => Some(*size),
            Self::Named(_) | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            // Names come from files, and a terminal would obey some of their signs.
            Self::Named(name) => write!(f, "{}", name.escape_debug()),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// Element type and shape of a tensor, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorType {
    /// Element type.
    pub element: Option<ElementType>,
    /// One entry per axis; `None` if not even their number is known.
    pub shape: Option<Vec<Dim>>,
}

impl TensorType {
    /// The type that the file declares for a value.
    pub(crate) fn of(value: &ValueInfoProto) -> Self {
        let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            return Self::default();
        };
        let dim = |dim: &Dimension| match &dim.value {
            Some(DimensionValue::DimValue(size)) => u64::try_from(*size).map_or(Dim::Unknown, Dim::Fixed),
            Some(DimensionValue::DimParam(name)) if !name.is_empty() => Dim::Named(name.clone()),
            _ => Dim::Unknown,
        };
        Self {
            element: ElementType::from_code(tensor.elem_type()),
            shape: tensor.shape.as_ref().map(|shape| shape.dim.iter().map(dim).collect()),
        }
    }

    /// A declaration of this type for the file.
    pub(crate) fn declare(&self, name: &str) -> ValueInfoProto {
        let dim = |dim: &Dim| Dimension {
            value: match dim {
                Dim::Fixed(size) => Some(DimensionValue::DimValue(*size as i64)),
                Dim::Named(name) => Some(DimensionValue::DimParam(name.clone())),
                Dim::Unknown => None,
            },
            denotation: None,
        };
        let tensor = TensorTypeProto {
            elem_type: self.element.map(ElementType::code),
            shape: self.shape.as_ref().map(|shape| TensorShapeProto { dim: shape.iter().map(dim).collect() }),
        };
        ValueInfoProto {
            name: Some(name.to_owned()),
            r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None }),
            ..ValueInfoProto::default()
        }
    }

    pub(crate) fn element_text(&self) -> String {
        self.element.map_or_else(|| "unknown".to_owned(), |element| element.to_string())
    }

    /// The shape for people: `[batch, 512]`, or `unknown`.
    pub fn shape_text(&self) -> String {
        match &self.shape {
            Some(shape) => format!("[{}]", shape.iter().map(Dim::to_string).collect::<Vec<_>>().join(", ")),
            None => "unknown".to_owned(),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.element_text(), self.shape_text())
    }
}
