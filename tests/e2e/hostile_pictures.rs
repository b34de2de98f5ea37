//! Pictures that cost far more than they weigh: each is a reject, or a right picture, and memory stays small.

use std::collections::BTreeMap;
use std::fs;

use arrow_array::cast::AsArray;

use crate::program::{Dir, repository, table};

/// Address space for the whole run, threads and allocator included: a fifth of what the largest of them unpacks to.
const LIMIT_KB: usize = 400_000;

/// Bits in the order in which DEFLATE packs them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    n_bits: usize,
}

impl Bits {
    /// A Huffman code, its first bit first.
    fn code(&mut self, code: u32, length: usize) {
        for bit in (0..length).rev() {
            if self.n_bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((code >> bit & 1) as u8) << (self.n_bits % 8);
            self.n_bits += 1;
        }
    }
}

/// `n` zeros as zlib, a thousandth of their length: one literal, then copies of 258 bytes from one byte before, in one
/// block of fixed Huffman codes (RFC 1951).
fn zeros(n: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.code(0b110, 3);
    let (copies, literals) = ((n - 1) / 258, (n - 1) % 258 + 1);
    (0..literals).for_each(|_| bits.code(0b0011_0000, 8));
    (0..copies).for_each(|_| bits.code(0b1_1000_1010_0000, 13));
    bits.code(0, 7);
    let adler = ((n % 65_521) as u32) << 16 | 1;
    [&[0x78, 0x01], &bits.bytes[..], &adler.to_be_bytes()].concat()
}

/// `length, name, body, CRC`: one PNG chunk.
fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [name, body].concat();
    let crc = named.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    });
    [&(body.len() as u32).to_be_bytes()[..], &named, &(!crc).to_be_bytes()].concat()
}

/// A whole black PNG of one bit a pixel, with more chunks in front of its pixels.
fn png(side: u32, before: &[u8]) -> Vec<u8> {
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[1, 0, 0, 0, 0]].concat();
    let pixels = zeros(side as usize * (1 + side.div_ceil(8) as usize));
    let chunks = [&chunk(b"IHDR", &header), before, &chunk(b"IDAT", &pixels), &chunk(b"IEND", &[])].concat();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunks].concat()
}

#[test]
fn fault_18_bombs_among_pictures_are_reject_rows_in_little_memory() {
    let dir = Dir::new();
    for n in 0..8 {
        dir.picture(&format!("pictures/{}/{n}.png", n % 2), n);
    }
    // 900 megapixels in 700 kB, half a gigabyte of text, and 50 MB of a colour profile, which is unpacked.
    dir.write("pictures/0/bomb.png", png(30_000, &[]));
    let with = |name: &[u8; 4], n: usize| png(8, &chunk(name, &[b"a\0\0", &zeros(n)[..]].concat()));
    dir.write("pictures/1/text.png", with(b"zTXt", 500_000_000));
    dir.write("pictures/0/profile.png", with(b"iCCP", 50_000_000));
    let fixture = |name: &str| fs::read(repository().join("crates/picture/tests/fixtures").join(name)).unwrap();
    let wide = |name: &str, at: usize, bytes: &[u8]| {
        let mut picture = fixture(name);
        picture[at..at + bytes.len()].copy_from_slice(bytes);
        dir.write(&format!("pictures/1/wide-{name}"), picture);
    };
    let jpeg = fixture("baseline.jpg");
    let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    wide("baseline.jpg", frame + 5, &[0xEA, 0x60, 0xEA, 0x60]);
    wide("palette.gif", 6, &[0x60, 0xEA, 0x60, 0xEA]);
    wide("rgb.bmp", 18, &[0x60, 0xEA, 0, 0, 0x60, 0xEA, 0, 0]);
    let limited = format!(r#"ulimit -v {LIMIT_KB}; exec "$0" "$@""#);
    let sized = ["--size", "8", "--enlarge", "--split", "train=1", "--threads", "2", "--max-bad", "100%"];
    let prepare = || dir.data_prep().args(["--input", "pictures", "--run", "r"]).args(sized);
    // Also where more pixels are allowed than memory is.
    for pixels in [&[][..], &["--max-pixels", "10000000000"]] {
        prepare().args(pixels).under(&["bash", "-c", &limited]).code(0);
        let rejects = table(&dir.path("r/examples"), "rejects.parquet");
        let column = |name: &str| {
            rejects[0].column_by_name(name).unwrap().as_string::<i32>().iter().flatten().collect::<Vec<_>>()
        };
        let reasons: BTreeMap<_, _> = column("id").into_iter().zip(column("reason")).collect();
        for id in ["0/bomb.png", "1/wide-baseline.jpg", "1/wide-palette.gif", "1/wide-rgb.bmp"] {
            assert_eq!(reasons.get(id), Some(&"too-large"), "{id} of {reasons:?}");
        }
        assert_eq!(reasons.len(), 4, "{reasons:?}");
    }
}
