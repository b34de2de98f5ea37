//! Networks in 8 bits, and processors that add their products up exactly.

use ort::session::Session;

use crate::{Error, Result};

/// What a network that headstart put into 8 bits says of itself in its metadata.
const INT8: (&str, &str) = ("headstart.precision", "int8");

/// Whether this processor adds up four products of bytes exactly. Without that ONNX Runtime uses an instruction that
/// saturates at 16 bits.
#[must_use]
pub fn is_int8_exact() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    return true;
}

/// A network in 8 bits where its numbers would be wrong is not run. Those that other tools quantised are run as they are:
/// some make room for it.
pub(crate) fn check(session: &Session) -> Result<()> {
    let said = session.metadata().ok().and_then(|metadata| metadata.custom(INT8.0));
    if is_right(said.as_deref(), is_int8_exact()) { Ok(()) } else { Err(Error::Int8Saturates) }
}

fn is_right(precision: Option<&str>, is_int8_exact: bool) -> bool {
    is_int8_exact || precision != Some(INT8.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_int8_of_ours_on_a_processor_that_saturates_is_refused() {
        assert!(!is_right(Some("int8"), false));
        assert!(is_right(Some("int8"), true));
        assert!(is_right(Some("float32"), false));
        assert!(is_right(None, false));
    }
}
