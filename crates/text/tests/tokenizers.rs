//! Three small tokenizers, one of each kind, there and back; and files that are none.
//!
//! Expected ids and texts are those of the Python package, see `fixtures/make.py`.

#![allow(clippy::unwrap_used, clippy::panic)] // In a test they are how it fails.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use text::{Error, Stream, Tokenizer};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.json"))
}

fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::read(&fixture(name)).unwrap()
}

const KINDS: [&str; 3] = ["byte_level", "byte_fallback", "metaspace"];

/// The ids of the expected file, a text and its decoding each.
fn cases() -> Vec<(String, String, Vec<u32>, String)> {
    let expected: Value = serde_json::from_slice(&fs::read(fixture("expected")).unwrap()).unwrap();
    let text = |case: &Value, key: &str| case[key].as_str().unwrap().to_string();
    let ids = |case: &Value| case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
    let cases = expected["cases"].as_array().unwrap().iter();
    cases.map(|c| (text(c, "tokenizer"), text(c, "text"), ids(c), text(c, "decoded"))).collect()
}

/// All that a stream gives for these tokens.
fn streamed(mut stream: Stream, ids: &[u32]) -> String {
    let mut text = String::new();
    for id in ids {
        let given = stream.push(*id).unwrap();
        assert_ne!(given.as_deref(), Some(""), "nothing is None");
        text += &given.unwrap_or_default();
    }
    text + &stream.finish().unwrap()
}

#[test]
fn ids_and_texts_are_those_of_the_python_package() {
    let cases = cases();
    assert_eq!(cases.len(), 30);
    // Truncation, padding and dropout of the file would change nearly all of byte_level.
    for (name, text, ids, decoded) in cases {
        let tokenizer = tokenizer(&name);
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{name}: {text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), decoded, "{name}: {text:?}");
    }
}

#[test]
fn prompt_and_continuation_make_the_whole_wherever_it_is_cut() {
    for (name, text, ids, decoded) in cases() {
        let tokenizer = tokenizer(&name);
        for cut in 0..=ids.len() {
            let (prompt, new) = ids.split_at(cut);
            let continuation = tokenizer.continuation(prompt, new).unwrap();
            assert!(decoded.ends_with(&continuation), "{name}: {text:?} at {cut}: {continuation:?}");
            // What is in neither is an incomplete character at the end of the prompt.
            let before = &decoded[..decoded.len() - continuation.len()];
            let prompt_text = tokenizer.decode(prompt).unwrap();
            let agrees = prompt_text == before || prompt_text.trim_end_matches('\u{fffd}') == before;
            // A row of byte tokens is decoded whole or not at all.
            let is_unsaid = name == "byte_fallback" && prompt_text.ends_with('\u{fffd}');
            assert!(agrees || is_unsaid, "{name}: {text:?} at {cut}: {prompt_text:?} and {continuation:?}");
            assert_eq!(streamed(tokenizer.stream(prompt).unwrap(), new), continuation, "{name}: {text:?} at {cut}");
        }
    }
}

#[test]
fn a_stream_gives_whole_characters_as_soon_as_they_are() {
    let tokenizer = tokenizer("byte_level");
    let ids = tokenizer.encode("fox 今天🦊!").unwrap();
    let mut stream = tokenizer.stream(&[]).unwrap();
    let given: Vec<_> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    let none = [None, None, None];
    let expected = [
        &["fo", "x", " "].map(Some)[..],
        &none[..2],
        &[Some("今")],
        &none[..2],
        &[Some("天")],
        &none,
        &[Some("🦊")],
        &[Some("!")],
    ];
    assert_eq!(given.iter().map(Option::as_deref).collect::<Vec<_>>(), expected.concat());
    assert_eq!(stream.finish().unwrap(), "");
}

#[test]
fn a_stream_keeps_the_spaces_that_a_lone_decoding_drops() {
    for name in ["byte_fallback", "metaspace"] {
        let tokenizer = tokenizer(name);
        let token = |token| tokenizer.id_of(token).unwrap();
        let (once, fox) = (tokenizer.encode("Once").unwrap(), token("▁fox"));
        assert_eq!(tokenizer.decode(&[fox]).unwrap(), "fox");
        assert_eq!(tokenizer.continuation(&once, &[fox]).unwrap(), " fox", "{name}");
        let space = token("▁");
        // A special token, or a space, between the words is not the start of a text.
        let special = token("</s>");
        let ids = [fox, special, fox, space, space, fox];
        assert_eq!(streamed(tokenizer.stream(&once).unwrap(), &ids), " fox fox   fox", "{name}");
    }
}

#[test]
fn long_streams_are_the_continuation_whatever_stands_where_the_window_is_cut() {
    for name in KINDS {
        let tokenizer = tokenizer(name);
        let texts = ["the fox and 今天天气不错 ", "🦊🦊 ", "        ", "\n", "é", "a river "];
        // A walk over the texts that comes by every pair of them.
        let text: String = (0..300).map(|i| texts[(i * i / 7 + i) % texts.len()]).collect();
        let ids = tokenizer.encode(&text).unwrap();
        for cut in [0, 1, 7, 40] {
            let (prompt, new) = ids.split_at(cut);
            let continuation = tokenizer.continuation(prompt, new).unwrap();
            assert_eq!(streamed(tokenizer.stream(prompt).unwrap(), new), continuation, "{name} at {cut}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_given_in_the_end() {
    let tokenizer = tokenizer("byte_level");
    let ids = tokenizer.encode("天天").unwrap();
    let (first, second, third) = (ids[0], ids[1], ids[2]);
    for garbage in [
        &[third, third, third, third, third, third][..],
        &[first, second],
        &[first, first, first, first, first, second, third],
        &[second, first, second, third, second],
    ] {
        for prompt in [&[][..], &ids, &[first], &[first, second]] {
            let continuation = tokenizer.continuation(prompt, garbage).unwrap();
            assert_eq!(streamed(tokenizer.stream(prompt).unwrap(), garbage), continuation, "{prompt:?} {garbage:?}");
        }
    }
    assert_eq!(tokenizer.continuation(&[first, second], &[third]).unwrap(), "天");
    // With byte fallback the decoding takes the first character back, and a stream cannot.
    let tokenizer = self::tokenizer("byte_fallback");
    let ids = tokenizer.encode("天a").unwrap()[2..].to_vec();
    let garbage = [ids[0], ids[1], ids[2], ids[2], ids[3]];
    assert_eq!(tokenizer.decode(&garbage).unwrap(), "����a");
    assert_eq!(streamed(tokenizer.stream(&[]).unwrap(), &garbage), "天�a");
}

#[test]
fn the_tail_is_what_the_last_token_added_and_what_was_before() {
    for name in KINDS {
        let tokenizer = tokenizer(name);
        let text =
            "the fox and the heron wait 今天天气不错今天天气不错今天天气不错 at the river and the water of the wood";
        let ids = tokenizer.encode(text).unwrap();
        for n in 1..=ids.len() {
            let tail = tokenizer.tail(&ids[..n], 20).unwrap();
            let all = tokenizer.decode(&ids[..n]).unwrap();
            if name == "byte_fallback" && all.ends_with('\u{fffd}') {
                // Until the character is complete, those before it are not decoded either.
                assert_eq!(tail.added.trim_matches('\u{fffd}'), "");
                continue;
            }
            // The text's first space may be lost where the tail begins, and only there.
            let both = format!("{}{}", tail.before, tail.added);
            assert!(all.ends_with(&both), "{name}: {all:?}: {tail:?}");
            assert!(tail.before.len() >= 20.min(all.len() - tail.added.len()), "{name}: {all:?}: {tail:?}");
            assert_eq!(tail.added, tokenizer.continuation(&ids[..n - 1], &ids[n - 1..n]).unwrap(), "{name}: {all:?}");
        }
    }
    let tokenizer = tokenizer("byte_level");
    let ids = tokenizer.encode("天气").unwrap();
    assert_eq!(tokenizer.tail(&ids, 3).unwrap(), text::Tail { before: "天".into(), added: "气".into() });
    assert_eq!(tokenizer.tail(&[], 3).unwrap(), text::Tail::default());
    // Special tokens have no text, however many there are.
    let specials = [&ids[..], &[0; 50]].concat();
    assert_eq!(tokenizer.tail(&specials, 6).unwrap(), text::Tail { before: "天气".into(), added: String::new() });
}

#[test]
fn special_tokens_are_known_and_others_are_not() {
    let tokenizer = tokenizer("byte_level");
    assert_eq!(tokenizer.id_of("<|endoftext|>"), Some(0));
    assert!(tokenizer.is_special(0) && !tokenizer.is_special(1) && !tokenizer.is_special(9999));
    assert_eq!(tokenizer.token_of(259).as_deref(), Some("Ġthe"));
    assert_eq!(tokenizer.vocab_size(), 320);
    assert_eq!(tokenizer.decode(&[9999, 259, u32::MAX]).unwrap(), " the");
}

#[test]
fn the_file_is_found_in_a_folder_and_above_onnx() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("model");
    fs::create_dir_all(folder.join("onnx")).unwrap();
    let missing = |path: &Path| match Tokenizer::read(path) {
        Err(e @ Error::Missing { .. }) => e.to_string(),
        other => panic!("{path:?}: {other:?}"),
    };
    assert!(missing(&dir.path().join("nowhere")).contains("there is no such file or folder"));
    assert!(missing(&folder).contains("has no tokenizer.json"));
    fs::write(folder.join("vocab.json"), "{}").unwrap();
    assert!(missing(&folder).contains("has vocab.json and no tokenizer.json; make one with transformers"));
    fs::copy(fixture("byte_level"), folder.join("tokenizer.json")).unwrap();
    for path in [folder.join("tokenizer.json"), folder.clone(), folder.join("onnx"), folder.join("onnx/.")] {
        let read = Tokenizer::read(&path).unwrap();
        assert_eq!(fs::canonicalize(read.path()).unwrap(), fs::canonicalize(folder.join("tokenizer.json")).unwrap());
    }
    assert!(missing(&folder.join("tokenizer.json/x")).contains("no such file"));
}

#[test]
fn what_is_no_tokenizer_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let good: Value = serde_json::from_slice(&fs::read(fixture("byte_level")).unwrap()).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut json = good.clone();
        *json.pointer_mut(pointer).unwrap() = value;
        json.to_string()
    };
    let cases = [
        String::new(),
        "{".into(),
        "[]".into(),
        "{\"version\": \"1.0\"}".into(),
        changed("/version", json!("9.0")),
        changed("/model", json!({ "type": "BPE", "vocab": {}, "merges": [] })),
        changed("/model/merges", json!([["no", "such"]])),
        changed("/model/type", json!("Magic")),
        changed("/decoder", json!({ "type": "Magic" })),
    ];
    for content in cases {
        fs::write(&path, &content).unwrap();
        let found = Tokenizer::read(&path);
        // An empty vocabulary still has the added tokens; anything else is refused.
        let is_refused = matches!(&found, Err(Error::NotATokenizer { .. }));
        assert!(is_refused || content.contains("\"vocab\":{}"), "{}: {found:?}", &content[..content.len().min(80)]);
    }
    fs::write(&path, [0xff, 0xfe, 0]).unwrap();
    assert!(matches!(Tokenizer::read(&path), Err(Error::NotATokenizer { .. })));
}

#[test]
fn every_cut_and_many_flips_of_a_file_end_in_a_result() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let good = fs::read(fixture("byte_fallback")).unwrap();
    let try_all = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        if let Ok(tokenizer) = Tokenizer::read(&path) {
            let ids = tokenizer.encode("the fox 今").unwrap_or_default();
            let _ = tokenizer.continuation(&ids[..ids.len() / 2], &ids[ids.len() / 2..]);
        }
    };
    for length in (0..good.len()).step_by(97) {
        try_all(&good[..length]);
    }
    for at in (0..good.len()).step_by(13) {
        let mut bytes = good.clone();
        bytes[at] = b"0\"{}[],:x9"[at % 10];
        try_all(&bytes);
    }
}
