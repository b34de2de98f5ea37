//! Applies the decoder edits to a model file: `edit_decoder IN OUT`. Prints what could be done.

#![allow(clippy::print_stdout)]

use onnx_graph::Model;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [input, output]: [String; 2] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "usage: edit_decoder IN OUT")?;
    let mut model = Model::read(&input)?;
    let contract = model.decoder_contract()?;
    println!("{contract:?}");
    println!("last logits: {}", model.keep_last_logits());
    println!("cache in place: {}", model.keep_cache_in_place(&contract));
    model.simplify_reshapes(&contract.input_ids);
    println!("{} nodes", model.metadata().n_nodes);
    std::fs::write(output, model.encode()?)?;
    Ok(())
}
