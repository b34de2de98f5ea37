//! Tells from the first bytes what a file is that was given in place of an ONNX model, because
//! "invalid wire type" helps nobody who passed a PyTorch checkpoint.

/// What the bytes are, in words, if they are surely something other than ONNX.
pub(crate) fn foreign_format(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 12] = [
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"\x89PNG", "a PNG picture"),
        (b"GIF8", "a GIF picture"),
        (b"PK\x03\x04", "a zip archive (a PyTorch checkpoint? export it with torch.onnx.export)"),
        (b"\x1f\x8b", "a gzip file; unpack it first"),
        (b"\x89HDF", "an HDF5 file (a Keras model? convert it with tf2onnx)"),
        (b"\x80\x02", "a Python pickle (a PyTorch checkpoint? export it with torch.onnx.export)"),
        (b"PAR1", "a Parquet file"),
        (b"GGUF", "a GGUF model"),
        (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
        (b"<!DOCTYPE", "a web page"),
        (b"<html", "a web page"),
    ];
    if bytes.is_empty() {
        return Some("an empty file");
    }
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(name);
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Some("a TensorFlow Lite model; convert it with tf2onnx");
    }
    if bytes.get(8..10) == Some(b"{\"") {
        return Some("a safetensors file, which holds weights without a graph");
    }
    let start = &bytes[..bytes.len().min(256)];
    // An ONNX file starts with the byte 8 (field 1, a number), which no text does.
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0x80..);
    start.iter().all(is_text).then_some("a text file")
}
