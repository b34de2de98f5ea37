//! tokenizer.json from anywhere: read or refused, and then texts to ids and back.
//!
//! The file; behind it, after a NUL byte, perhaps a text.

use serde_json::{Map, Value, json};
use text::{Error, Tokenizer};

use crate::workbench;

/// Longest text; what is tested is the file.
const MOST_BYTES: usize = 200;

/// Reads the tokenizer and turns texts into ids and back.
pub fn target(data: &[u8]) {
    let (file, text) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b"A cat, 2 caf\xc3\xa9s <s> \xe4\xbb\x8a"[..]),
    };
    let path = workbench::with(|bench| bench.write("tokenizer.json", file));
    match Tokenizer::read(&path) {
        Ok(tokenizer) => there_and_back(&tokenizer, &String::from_utf8_lossy(&text[..text.len().min(MOST_BYTES)])),
        Err(error) => assert!(matches!(error, Error::NotATokenizer { .. }), "{error:?}"),
    }
}

fn there_and_back(tokenizer: &Tokenizer, text: &str) {
    assert!(tokenizer.vocab_size() > 0);
    let unusable = |error: &Error| matches!(error, Error::Unusable { .. });
    let mut ids = match tokenizer.encode(text) {
        Ok(ids) => ids,
        Err(error) => {
            assert!(unusable(&error), "{error:?}");
            Vec::new()
        }
    };
    ids.truncate(64);
    // And ids that the text did not give: a model may write any.
    ids.extend([0, 1, 2, 255, u32::MAX]);
    for id in &ids {
        let _ = (tokenizer.is_special(*id), tokenizer.token_of(*id));
    }
    let (prompt, new) = ids.split_at(ids.len() / 2);
    let results = [
        tokenizer.decode(&ids).err(),
        tokenizer.continuation(prompt, new).err(),
        tokenizer.tail(&ids, 12).err(),
        streamed(tokenizer, prompt, new).err(),
    ];
    assert!(results.iter().flatten().all(unusable), "{results:?}");
}

fn streamed(tokenizer: &Tokenizer, prompt: &[u32], new: &[u32]) -> text::Result<String> {
    let mut stream = tokenizer.stream(prompt)?;
    let mut text = String::new();
    for id in new {
        text += &stream.push(*id)?.unwrap_or_default();
    }
    Ok(text + &stream.finish()?)
}

/// A byte-level BPE with a few merges, a regular expression in front and a template behind.
#[must_use]
pub fn bytes() -> Value {
    let mut spare = (256..).filter_map(char::from_u32);
    let plain = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let alphabet: Vec<char> =
        (0..=255u8).map(|b| if plain(b) { char::from(b) } else { spare.next().unwrap_or('?') }).collect();
    let merges = ["t h", "th e", "Ġ the", "c a", "ca t"];
    let tokens = alphabet.iter().map(ToString::to_string).chain(merges.iter().map(|m| m.replace(' ', "")));
    let vocab: Map<String, Value> = tokens.zip(0..).map(|(token, id)| (token, json!(id))).collect();
    let n = vocab.len();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [added(n, "<s>")],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "\\d{1,3}| ?[^\\s\\d]+|\\s+(?!\\S)"}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [n], "tokens": ["<s>"]}},
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges,
        },
    })
}

/// A few whole words, and one token for all others.
#[must_use]
pub fn words() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added(0, "[UNK]"), added(4, "<s>")],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1, "cat": 2, ",": 3, "<s>": 4}, "unk_token": "[UNK]"},
    })
}

/// Pieces of words, as BERT has them.
#[must_use]
pub fn pieces() -> Value {
    json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [added(0, "[PAD]"), added(1, "[UNK]"), added(2, "[CLS]"), added(3, "[SEP]")],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 20,
                  "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "ca": 5, "##t": 6, ",": 7, "2": 8}},
    })
}

fn added(id: usize, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
           "special": true})
}
