//! The element types of a tensor: their codes in the file, their names, and how many bits each takes.

use std::fmt;

/// Element type of a tensor; the discriminants are the codes of `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[allow(missing_docs, reason = "each variant is the type that it is called")]
#[repr(i32)]
pub enum ElementType {
    Undefined = 0,
    F32 = 1,
    U8 = 2,
    I8 = 3,
    U16 = 4,
    I16 = 5,
    I32 = 6,
    I64 = 7,
    String = 8,
    Bool = 9,
    F16 = 10,
    F64 = 11,
    U32 = 12,
    U64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    Bf16 = 16,
    Float8E4M3Fn = 17,
    Float8E4M3FnUz = 18,
    Float8E5M2 = 19,
    Float8E5M2FnUz = 20,
    U4 = 21,
    I4 = 22,
    Float4E2M1 = 23,
    Float8E8M0 = 24,
    U2 = 25,
    I2 = 26,
    Float6E2M3 = 27,
    Float6E3M2 = 28,
}

impl ElementType {
    /// The type behind a code in the file; `None` for "undefined" and for codes newer than this crate.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::try_from(code).ok().filter(|element| *element != Self::Undefined)
    }

    /// The code that stands for this type in the file.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Whether this is one of the floating-point types that a network computes in.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::F64 | Self::Bf16)
    }

    /// Bits per element in `raw_data`; `None` where elements have no fixed size (strings), or where
    /// the standard is too young to trust the packing (6-bit floats).
    pub(crate) fn bits(self) -> Option<u64> {
        use ElementType as E;
        Some(match self {
            E::Undefined | E::String | E::Float6E2M3 | E::Float6E3M2 => return None,
            E::U2 | E::I2 => 2,
            E::U4 | E::I4 | E::Float4E2M1 => 4,
            E::U8 | E::I8 | E::Bool | E::Float8E8M0 => 8,
            E::Float8E4M3Fn | E::Float8E4M3FnUz | E::Float8E5M2 | E::Float8E5M2FnUz => 8,
            E::U16 | E::I16 | E::F16 | E::Bf16 => 16,
            E::F32 | E::I32 | E::U32 => 32,
            E::F64 | E::I64 | E::U64 | E::Complex64 => 64,
            E::Complex128 => 128,
        })
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::F64 => "float64",
            Self::Bf16 => "bfloat16",
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::Bool => "bool",
            Self::String => "string",
            other => return fmt::Debug::fmt(other, f),
        })
    }
}
