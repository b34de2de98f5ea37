//! Broken bytes never panic: whatever the reader lets through, the rest of the crate survives.

use onnx_graph::{Interpolation, Model, Pooling, Preprocessing};

use crate::build::{checked, network};

/// A small generator with a fixed seed (splitmix64), so that a failure comes back.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// Calls everything; errors are fine, panics are not.
fn exercise(model: &Model) {
    let _ = (model.metadata(), model.candidates(), model.image_input());
    let mut edited = model.clone();
    if let Ok(found) = model.find_classifier() {
        let _ = model.last_layer(&found);
        let _ = edited.cut(&found.feature);
    }
    let _ = edited.cut("flat");
    let _ = edited.append_pooling(Pooling::Auto);
    let _ = edited.prepend_preprocessing(&Preprocessing {
        stored_height: 4,
        stored_width: 4,
        height: 8,
        width: 8,
        scale: 1.0 / 255.0,
        mean: [0.5; 3],
        std: [0.5; 3],
        interpolation: Interpolation::Bicubic,
    });
    let _ = edited.randomise_weights(1);
    let _ = edited.encode();
}

#[test]
fn flipped_inserted_and_missing_bytes() {
    let sound = checked(network()).encode().expect("small");
    let mut numbers = Numbers(7);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..6000 {
        let mut bytes = sound.clone();
        for _ in 0..=numbers.below(3) {
            let at = numbers.below(bytes.len());
            match numbers.below(4) {
                0 => bytes.truncate(at.max(1)),
                1 => drop(bytes.remove(at)),
                2 => bytes[at] = numbers.below(256) as u8,
                _ => bytes[at] ^= 1 << numbers.below(8),
            }
            if bytes.is_empty() {
                break;
            }
        }
        match Model::parse(bytes, "damaged") {
            Ok(model) => {
                accepted += 1;
                exercise(&model);
            }
            Err(_) => refused += 1,
        }
    }
    // Both must happen, or the test exercises nothing.
    assert!(accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused");
}
