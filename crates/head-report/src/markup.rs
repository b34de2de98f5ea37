//! From values to text in HTML: escaping and numbers. Class names and ids are hostile until they have been here.

use std::fmt;

/// A text that is safe between tags and within a quoted attribute.
pub(crate) struct Text<'a>(&'a str);

/// Escapes a text from outside.
pub(crate) fn text(raw: &str) -> Text<'_> {
    Text(raw)
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if is_unseen(c) => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// What a page shows as nothing or as a gap, and what turns the text around it about (bidirectional controls). They are
/// written as in Rust, `\t` or `\u{202e}`, so that two names which differ in them alone look different. The joiners U+200C
/// and U+200D stay: scripts and emoji are spelt with them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// As [`text`], cut behind `n` characters: for a title that is on the page thousands of times.
pub(crate) fn clipped(raw: &str, n: usize) -> String {
    match raw.char_indices().nth(n) {
        Some((end, _)) => format!("{}…", text(&raw[..end])),
        None => text(raw).to_string(),
    }
}

/// `0.8372` as `83.7 %`, with a no-break space; a dash for what is not a number.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.is_finite() { format!("{percent:.1}\u{a0}%") } else { "–".to_string() }
}

/// As [`percent`]; a dash for nothing.
pub(crate) fn percent_or_dash(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_string(), percent)
}

/// `12345` as `12,345`.
pub(crate) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(text("<b a='1'>&\"").to_string(), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;");
        assert_eq!(text("Zwergspinne 蜘蛛 \\ é").to_string(), "Zwergspinne 蜘蛛 \\ é");
    }

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(text("a\tb\r\n\0\u{1b}[1m").to_string(), r"a\tb\r\n\u{0}\u{1b}[1m");
        assert_eq!(
            text("\u{202e}gpj\u{2066}\u{200f}\u{feff}\u{85}").to_string(),
            r"\u{202e}gpj\u{2066}\u{200f}\u{feff}\u{85}"
        );
        assert_eq!(text("می\u{200c}خواهم").to_string(), "می\u{200c}خواهم", "a letter's joiner is spelling");
        assert_eq!((clipped("蜘蛛<網", 3), clipped("蜘蛛<網", 4)), ("蜘蛛&lt;…".to_string(), "蜘蛛&lt;網".to_string()));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!((percent(0.8372), percent_or_dash(None)), ("83.7\u{a0}%".to_string(), "–".to_string()));
        assert_eq!((percent(f64::NAN), percent(f64::INFINITY)), ("–".to_string(), "–".to_string()));
        assert_eq!((count(999), count(1_234_567)), ("999".to_string(), "1,234,567".to_string()));
    }
}
