//! Stop strings against StopStringCriteria on the GPT-2 tokenizer's tokens.

use decoding::StopStrings;

use crate::expected::cases;

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn stop_strings_equal_transformers() {
    for case in cases("stop_strings") {
        let words = case["stops"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_string());
        let stops = StopStrings::new(words.collect()).unwrap();
        let tokens: Vec<Vec<u8>> =
            case["tokens"].as_array().unwrap().iter().map(|token| bytes(token.as_str().unwrap())).collect();
        let (last, before) = tokens.split_last().unwrap();
        let before = before.concat();
        let found = stops.matched(&before, last);
        assert_eq!(found.is_some(), case["stopped"].as_bool().unwrap(), "{case}");
        // The end of the text before is enough.
        let near = &before[before.len().saturating_sub(stops.reach())..];
        assert_eq!(stops.matched(near, last), found, "{case}");
    }
}
