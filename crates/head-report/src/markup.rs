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
                // What a page cannot show, and what turns the text around it about (bidirectional controls).
                c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                    f.write_str("\u{fffd}")?;
                }
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// `0.8372` as `83.7 %`, with a no-break space.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}\u{a0}%", share * 100.0)
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
        assert_eq!(text("a\u{202e}b\0\u{1b}[1m").to_string(), "a\u{fffd}b\u{fffd}\u{fffd}[1m");
        assert_eq!(text("Zwergspinne 蜘蛛").to_string(), "Zwergspinne 蜘蛛");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!((percent(0.8372), percent_or_dash(None)), ("83.7\u{a0}%".to_string(), "–".to_string()));
        assert_eq!((count(999), count(1_234_567)), ("999".to_string(), "1,234,567".to_string()));
    }
}
