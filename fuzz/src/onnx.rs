//! ONNX files: read, checked, edited in every way that the stages know, and what an edit leaves is read again.
//!
//! The first byte picks one way of editing and its options, the rest is the file.

use std::collections::HashSet;

use onnx_graph::proto::ModelProto;
use onnx_graph::{Bytes, FEATURE, Interpolation, Model, Pooling, Preprocessing, Range, Replacement, row_selection};
use prost::Message;

use crate::mutation::{Dice, Plain};
use crate::workbench;

mod structure;

/// Largest head that is appended; longer features are none of a real network.
const MOST_FEATURES: u64 = 1 << 14;

/// Larger graphs take more time than they show.
const MOST_BYTES: usize = 72 << 10;

/// Reads the file, looks at all it says, and edits it.
pub fn target(data: &[u8]) {
    let Some((which, file)) = data.split_first() else { return };
    let options = which / 4;
    if options >= 32 {
        beside_other_files(file);
    }
    let Ok(model) = Model::parse(file.to_vec(), "m.onnx") else { return };
    read_again(&model);
    look_at(&model);
    replaced(file);
    match which % 4 {
        0 => {
            if let Ok(classifier) = model.find_classifier() {
                as_classifier(model, &classifier.feature, options);
            }
        }
        1 => {
            if let Some(candidate) = model.candidates().get(usize::from(options % 8)) {
                as_classifier(model, &candidate.name, options);
            }
        }
        2 => as_decoder(model),
        _ => drawn_again(model, options),
    }
}

/// Random weights, then the first tensor that a node makes as feature, which no person would name.
fn drawn_again(mut model: Model, options: u8) {
    if model.randomise_weights(u64::from(options)).is_ok() {
        read_again(&model);
    }
    let first = model.proto().graph.iter().flat_map(|g| &g.node).flat_map(|n| &n.output).next().cloned();
    as_classifier(model, &first.unwrap_or_default(), options);
}

/// What an edit leaves has to pass the reader's checks, or a file is written that nobody can load.
fn read_again(model: &Model) {
    let bytes = model.encode().expect("it is far from 2 GiB");
    let again = Model::parse(bytes, "again.onnx").expect("what was edited is sound");
    assert_eq!(again.proto().encoded_len(), model.proto().encoded_len());
}

fn look_at(model: &Model) {
    let metadata = model.metadata();
    assert!(metadata.opset > 0);
    let _ = (model.image_input(), model.external_files(), model.decoder_contract());
    if let Ok(classifier) = model.find_classifier()
        && let Ok(layer) = model.last_layer(&classifier)
    {
        assert_eq!(layer.weight.len() as u64, classifier.n_classes * classifier.feature_dim);
        assert_eq!(layer.bias.len() as u64, classifier.n_classes);
    }
}

/// As a session edits a graph that the runtime has optimised.
fn replaced(file: &[u8]) {
    for (convolutions, bytes) in [(true, Bytes::None), (false, Bytes::First), (true, Bytes::All)] {
        let replace = Replacement { convolutions, bytes }.function();
        if let Some(replaced) = replace(file.to_vec(), 16) {
            let graph = ModelProto::decode(&replaced[..]).expect("it was just encoded").graph.expect("it was edited");
            // The reader refuses operators of ours: so only that what a node reads is there before.
            let mut known: HashSet<&str> = graph.initializer.iter().map(|constant| constant.name()).collect();
            known.extend(graph.input.iter().map(|input| input.name()));
            for node in &graph.node {
                let unknown = node.input.iter().find(|name| !name.is_empty() && !known.contains(name.as_str()));
                assert_eq!(unknown, None, "{node:?}");
                known.extend(node.output.iter().map(String::as_str));
            }
        }
    }
}

/// As feature-extract and head-train edit: cut, pool, preprocess, head.
fn as_classifier(mut model: Model, tensor: &str, options: u8) {
    if model.cut(tensor).is_err() {
        return;
    }
    read_again(&model);
    let interpolation =
        [Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Nearest][usize::from(options / 8) % 3];
    let side = |fixed: Option<u64>| fixed.unwrap_or(8);
    if let Ok(input) = model.image_input() {
        let (height, width) = (side(input.height), side(input.width));
        let preprocessing = Preprocessing {
            stored_height: height.div_ceil(2),
            stored_width: width,
            height,
            width,
            scale: 1.0 / 255.0,
            mean: [0.5, 0.25, 0.0],
            std: [0.5, 1.0, 2.0],
            interpolation,
        };
        if model.prepend_preprocessing(&preprocessing).is_ok() {
            read_again(&model);
        }
    }
    let pooling = [Pooling::Auto, Pooling::Average, Pooling::ClassToken, Pooling::Mean][usize::from(options % 4)];
    let Ok(feature_dim) = model.append_pooling(pooling) else { return };
    read_again(&model);
    if options & 4 != 0 {
        quantised(model.clone(), feature_dim, options);
    }
    model.prefix_metadata_props("backbone.");
    model.set_metadata_prop("headstart", "fuzz");
    let n = if feature_dim <= MOST_FEATURES { 2 * feature_dim as usize } else { 2 };
    if model.append_head(&vec![0.5; n], &[0.0, 1.0], 1.5).is_ok() {
        read_again(&model);
    }
}

/// As `--precision int8` edits, each tensor as if seen between −1 and 3, or what bit patterns of `options` are as floats.
fn quantised(mut model: Model, feature_dim: u64, options: u8) {
    let Ok(tensors) = model.prepare_quantisation() else { return };
    read_again(&model);
    let mut observed = model.clone();
    observed.observe_ranges(&tensors, FEATURE, feature_dim);
    read_again(&observed);
    let range = if options < 16 {
        Range { low: -1.0, high: 3.0 }
    } else {
        Range { low: f32::from_bits(u32::from(options) << 27), high: f32::from_bits(u32::from(options) << 25) }
    };
    if model.quantise(&vec![range; tensors.len()]).is_ok() {
        read_again(&model);
    }
}

/// As generate edits.
fn as_decoder(mut model: Model) {
    model.keep_last_logits();
    read_again(&model);
    let Ok(contract) = model.decoder_contract() else { return };
    let _ = (contract.takes_cache(), contract.cache_bytes_per_token());
    Model::parse(row_selection(&contract), "selection.onnx").expect("a graph of our own is sound");
    model.simplify_reshapes(&contract.input_ids);
    read_again(&model);
    if model.keep_cache_in_place(&contract) {
        read_again(&model);
        model.simplify_reshapes(&contract.input_ids);
        read_again(&model);
    }
}

/// Tensors may lie in files beside the model, and nowhere else.
fn beside_other_files(file: &[u8]) {
    workbench::with(|bench| {
        bench.write("m/weights.bin", &[0; 64]);
        let path = bench.write("m/m.onnx", file);
        if let Ok(mut model) = Model::read_with_external_data(&path) {
            for name in model.external_files() {
                assert_eq!(bench.path("m").join(&name).parent(), path.parent(), "{name:?} reaches outside");
            }
            model.rename_external_files(|name| format!("x-{name}"));
            assert!(model.external_files().iter().all(|name| name.starts_with("x-")));
        }
    });
}

/// Mutates the graph where there is one: bytes alone seldom leave a graph that passes the reader's checks.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32, plain: Plain) -> usize {
    let mut dice = Dice::new(seed);
    if size < 2 || dice.once_in(4) {
        return plain(data, size, max_size);
    }
    if dice.once_in(8) {
        data[0] = dice.roll() as u8;
        return size;
    }
    let Ok(mut model) = ModelProto::decode(data[1..size].to_vec().as_slice()) else {
        return plain(data, size, max_size);
    };
    for _ in 0..=dice.below(3) {
        structure::change(&mut model, &mut dice);
    }
    let bytes = model.encode_to_vec();
    if bytes.len() + 1 > max_size.min(data.len()).min(MOST_BYTES) {
        return plain(data, size, max_size);
    }
    data[1..=bytes.len()].copy_from_slice(&bytes);
    bytes.len() + 1
}
