//! Constant tensors: is what they declare what they hold, and their elements as plain numbers.

use bytes::Bytes;
use half::{bf16, f16};

use crate::ElementType;
use crate::error::Problem;
use crate::proto::TensorProto;

/// Constant integer tensors longer than this are data and not shapes, and are not read as such.
const LONGEST_SHAPE: usize = 64;

/// Whether elements of tensors may be in other files than the model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum External {
    Refused,
    Allowed,
}

/// The file that holds a tensor's elements, if that is not the model's.
pub(crate) fn external_file(tensor: &TensorProto) -> Option<&str> {
    let location = tensor.external_data.iter().find(|entry| entry.key() == "location");
    is_external(tensor).then(|| location.map_or("", |entry| entry.value()))
}

/// Gives that file another name.
pub(crate) fn rename_external(tensor: &mut TensorProto, new_name: &dyn Fn(&str) -> String) {
    for entry in tensor.external_data.iter_mut().filter(|entry| entry.key() == "location") {
        entry.value = Some(new_name(entry.value()));
    }
}

fn is_external(tensor: &TensorProto) -> bool {
    // 1 is `EXTERNAL` of `TensorProto.DataLocation`.
    tensor.data_location() == 1 || !tensor.external_data.is_empty()
}

/// Refuses a tensor whose elements are elsewhere where they must not be, or are not as many as its shape says.
pub(crate) fn check(tensor: &TensorProto, external: External) -> Result<(), Problem> {
    let name = || tensor.name().to_owned();
    if is_external(tensor) {
        return match external {
            External::Allowed => Ok(()),
            External::Refused => Err(Problem::ExternalData { tensor: name() }),
        };
    }
    if tensor.segment.is_some() {
        return Err(Problem::Segmented { tensor: name() });
    }
    let code = tensor.data_type();
    let element = ElementType::from_code(code).ok_or_else(|| Problem::UnknownElement { tensor: name(), code })?;
    let impossible = || Problem::ImpossibleShape { tensor: name(), dims: tensor.dims.clone() };
    let n_elements = count(&tensor.dims).ok_or_else(impossible)?;
    let (unit, expected, found) = match (&tensor.raw_data, element.bits()) {
        (Some(raw), Some(bits)) if !raw.is_empty() => {
            let n_bits = n_elements.checked_mul(bits).ok_or_else(impossible)?;
            ("bytes", n_bits.div_ceil(8), raw.len() as u64)
        }
        _ => match typed_length(tensor, element, n_elements) {
            Some((expected, found)) => ("elements", expected, found as u64),
            None => return Ok(()),
        },
    };
    if expected != found {
        let dims = tensor.dims.clone();
        return Err(Problem::TensorSize { tensor: name(), dims, element, unit, expected, found });
    }
    Ok(())
}

/// Number of elements of a shape; `None` if an axis is negative or the product overflows.
pub(crate) fn count(dims: &[i64]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(u64::try_from(dim).ok()?))
}

/// Expected and found entries of the typed list that holds this element type.
fn typed_length(tensor: &TensorProto, element: ElementType, n: u64) -> Option<(u64, usize)> {
    use ElementType as E;
    Some(match element {
        E::F32 => (n, tensor.float_data.len()),
        E::Complex64 => (n.checked_mul(2)?, tensor.float_data.len()),
        E::F64 => (n, tensor.double_data.len()),
        E::Complex128 => (n.checked_mul(2)?, tensor.double_data.len()),
        E::I64 => (n, tensor.int64_data.len()),
        E::U32 | E::U64 => (n, tensor.uint64_data.len()),
        E::String => (n, tensor.string_data.len()),
        E::I32 | E::I16 | E::I8 | E::U16 | E::U8 | E::Bool | E::F16 | E::Bf16 => (n, tensor.int32_data.len()),
        // Types below a byte and 8-bit floats: tools differ in how they fill the typed lists.
        _ => return None,
    })
}

/// Elements as float32, row-major; `None` if the type is not a floating-point one.
pub(crate) fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    let raw = tensor.raw_data();
    let bits16 = || -> Vec<u16> {
        if raw.is_empty() {
            // Half floats ride in the low 16 bits of int32_data.
            return tensor.int32_data.iter().map(|&bits| bits as u16).collect();
        }
        raw.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
    };
    Some(match ElementType::from_code(tensor.data_type())? {
        ElementType::F32 if raw.is_empty() => tensor.float_data.clone(),
        ElementType::F32 => raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        ElementType::F64 if raw.is_empty() => tensor.double_data.iter().map(|&x| x as f32).collect(),
        ElementType::F64 => raw.chunks_exact(8).map(|b| f64::from_le_bytes(eight(b)) as f32).collect(),
        ElementType::F16 => bits16().into_iter().map(|bits| f16::from_bits(bits).to_f32()).collect(),
        ElementType::Bf16 => bits16().into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect(),
        _ => return None,
    })
}

fn eight(b: &[u8]) -> [u8; 8] {
    [b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]
}

/// Elements of a short int64 or int32 tensor (a shape, axes, sizes); `None` for anything else.
pub(crate) fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    if count(&tensor.dims)? > LONGEST_SHAPE as u64 {
        return None;
    }
    let raw = tensor.raw_data();
    Some(match ElementType::from_code(tensor.data_type())? {
        ElementType::I64 if raw.is_empty() => tensor.int64_data.clone(),
        ElementType::I64 => raw.chunks_exact(8).map(|b| i64::from_le_bytes(eight(b))).collect(),
        ElementType::I32 if raw.is_empty() => tensor.int32_data.iter().map(|&x| i64::from(x)).collect(),
        ElementType::I32 => {
            raw.chunks_exact(4).map(|b| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
        }
        _ => return None,
    })
}

/// A float32 tensor, row-major.
pub(crate) fn from_floats(name: &str, dims: &[u64], values: &[f32]) -> TensorProto {
    from_bytes(name, dims, ElementType::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// An int64 tensor; a scalar if `dims` is empty.
pub(crate) fn from_integers(name: &str, dims: &[u64], values: &[i64]) -> TensorProto {
    from_bytes(name, dims, ElementType::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A tensor of the given type, its elements row-major in little-endian order.
pub(crate) fn from_bytes(name: &str, dims: &[u64], element: ElementType, bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        dims: dims.iter().map(|&dim| dim as i64).collect(),
        data_type: Some(element.code()),
        name: Some(name.to_owned()),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    }
}

/// Puts new elements into a tensor, in the type that it has (float32, float16, bfloat16, float64).
pub(crate) fn overwrite(tensor: &mut TensorProto, values: &[f32]) {
    let raw: Vec<u8> = match ElementType::from_code(tensor.data_type()) {
        Some(ElementType::F16) => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        Some(ElementType::Bf16) => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        Some(ElementType::F64) => values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    tensor.float_data.clear();
    tensor.double_data.clear();
    tensor.int32_data.clear();
    tensor.raw_data = Some(Bytes::from(raw));
}
