//! Text from outside on its way to people: names of files, ids, classes and keys may hold anything, and a terminal
//! would obey some of it.

/// A name for a terminal, in one line: every sign that would be obeyed there and not shown is written as in Rust source
/// (`\n`, `\u{1b}`, `\u{202e}`).
///
/// Such signs are the control characters (C0, DEL and C1, line ends and tabs among them), the two separators that end a
/// line, and those that turn the direction of the text behind them, by which `gpj.exe` shows as `exe.jpg`. All others
/// stay, and so does what was made printable before. For JSON and for files there is no need of it.
#[must_use]
pub fn printable(text: &str) -> String {
    escaped(text, is_obeyed)
}

/// As [`printable`], for text of several lines, some of which may be indented by tabs.
pub(crate) fn printable_lines(text: &str) -> String {
    escaped(text, |c| is_obeyed(c) && !matches!(c, '\n' | '\t'))
}

/// As [`printable_lines`], for a line of the log: its colours are ours, and it has none of others.
pub(crate) fn printable_log(text: &str) -> String {
    escaped(text, |c| is_obeyed(c) && !matches!(c, '\n' | '\t' | '\x1b'))
}

fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, is_meant: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_meant(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(printable("a\n\t\r\u{1b}[31m"), "a\\n\\t\\r\\u{1b}[31m");
        // C1's own "control sequence introducer", DEL, the line separator.
        assert_eq!(printable("\u{9b}31m\u{7f}\u{2028}"), "\\u{9b}31m\\u{7f}\\u{2028}");
        for turned in ['\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            assert_eq!(printable(&format!("x{turned}y")), format!("x{}y", turned.escape_unicode()));
        }
    }

    #[test]
    fn what_is_only_shown_stays() {
        for text in ["äöü 今天 \\ '\"", "שלום", "👩‍🌾", "a\\n"] {
            assert_eq!(printable(text), text);
        }
        assert_eq!(printable(&printable("\u{1b}\n")), printable("\u{1b}\n"));
    }

    #[test]
    fn lines_stay_lines_and_the_log_keeps_its_colours() {
        assert_eq!(printable_lines("a\n\tb\u{1b}\r\u{202e}"), "a\n\tb\\u{1b}\\r\\u{202e}");
        assert_eq!(printable_log("\u{1b}[32m INFO\u{1b}[0m a\u{9b}\n"), "\u{1b}[32m INFO\u{1b}[0m a\\u{9b}\n");
    }
}
