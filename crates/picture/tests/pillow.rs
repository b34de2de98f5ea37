//! Pixels against Pillow's, for the fixtures that `make_expected.py` made (it states the version).

use std::path::PathBuf;

use picture::{Filter, Fit, Limits, Resize, Rgb, Scaler, decode, dimensions};
use serde_json::Value;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(path).expect(name)
}

fn cases(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_slice(&fixture("cases.json")).expect("JSON");
    all[kind].as_array().expect("a list").clone()
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|n| n.try_into().ok()).expect("a u32")
}

/// Largest and mean difference in levels.
fn difference(ours: &[u8], pillows: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), pillows.len());
    let levels = || ours.iter().zip(pillows).map(|(a, b)| a.abs_diff(*b));
    let mean = levels().map(f64::from).sum::<f64>() / ours.len() as f64;
    (levels().max().expect("a pixel"), mean)
}

/// The picture of `scene()` in make_expected.py: gradients, hard edges and noise.
fn scene(width: u32, height: u32) -> Rgb {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..3u32 {
                let n = x
                    .wrapping_mul(374_761_393)
                    .wrapping_add(y.wrapping_mul(668_265_263))
                    .wrapping_add(c.wrapping_mul(2_246_822_519));
                let n = (n ^ (n >> 13)).wrapping_mul(1_274_126_177);
                let smooth = ((x * x / 300 + y * 3 + c * 60 + x * y / 70) & 255) / 2;
                let checks = ((x / 17 + y / 23 + c) & 1) * 64;
                pixels.push((smooth + checks + ((n >> 24) & 63)) as u8);
            }
        }
    }
    Rgb { width, height, pixels }
}

#[test]
fn every_encoding_decodes_to_pillows_pixels() {
    let mut wrong = Vec::new();
    for case in cases("decode") {
        let name = case["file"].as_str().unwrap();
        let size = (number(&case["width"]), number(&case["height"]));
        let bytes = fixture(name);
        match decode(&bytes, &Limits::default()) {
            Err(rejected) => wrong.push(format!("{name}: {rejected}")),
            Ok(ours) if (ours.width, ours.height) != size => {
                wrong.push(format!("{name}: {}×{}, not {size:?}", ours.width, ours.height));
            }
            Ok(ours) => {
                let (max, mean) = difference(&ours.pixels, &fixture(&format!("{name}.rgb")));
                println!("{name}: max {max}, mean {mean:.3}");
                if u64::from(max) > case["tolerance"].as_u64().unwrap() || mean > 1.0 {
                    wrong.push(format!("{name}: off by up to {max}, {mean:.3} in the mean"));
                }
            }
        }
        if dimensions(&bytes) != Ok(size) {
            wrong.push(format!("{name}: header says {:?}, not {size:?}", dimensions(&bytes)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn kinds_that_are_not_read_say_so() {
    for case in cases("reject") {
        let name = case["file"].as_str().unwrap();
        let rejected = decode(&fixture(name), &Limits::default()).unwrap_err();
        assert_eq!(rejected.reason(), case["reason"].as_str().unwrap(), "{name}: {rejected}");
    }
}

#[test]
fn resizing_agrees_with_pillow_within_one_level() {
    let mut wrong = Vec::new();
    let mut scaler = Scaler::default();
    for case in cases("resize") {
        let name = case["file"].as_str().unwrap();
        let to = Resize {
            width: number(&case["to"][0]),
            height: number(&case["to"][1]),
            fit: match case["fit"].as_str().unwrap() {
                "squash" => Fit::Squash,
                _ => Fit::ShortestEdgeCrop,
            },
            filter: match case["filter"].as_str().unwrap() {
                "bilinear" => Filter::Bilinear,
                "bicubic" => Filter::Bicubic,
                "box" => Filter::Box,
                _ => Filter::Lanczos,
            },
            enlarge: true,
        };
        let source = scene(number(&case["from"][0]), number(&case["from"][1]));
        let ours = scaler.resize(source, &to).unwrap();
        let rows = ours.pixels.chunks_exact(to.width as usize * 3);
        let kept: Vec<u8> = rows.step_by(number(&case["every"]) as usize).flatten().copied().collect();
        let (max, mean) = difference(&kept, &fixture(name));
        println!("{name}: max {max}, mean {mean:.3}");
        if max > 1 || mean > 0.02 {
            wrong.push(format!("{name}: off by up to {max}, {mean:.3} in the mean"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
