//! How results look in a terminal: columns that fit its width, colours where there is one, sizes for people.

use std::borrow::Cow;
use std::io::IsTerminal;

/// Columns where there is no terminal to ask.
const WIDTH: usize = 100;

/// The narrowest that is laid out for; below it lines may run over.
const LEAST_WIDTH: usize = 40;

/// Where results are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Columns.
    pub(crate) width: usize,
    colours: bool,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tint {
    Good,
    Doubtful,
    Bad,
    Heading,
    Faint,
}

impl Screen {
    /// The terminal behind stdout; colours only there, and not where `NO_COLOR` is set.
    pub(crate) fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        let asked = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        let width = asked.or_else(|| {
            let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
            (size.ws_col > 0).then_some(usize::from(size.ws_col))
        });
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Self { width: width.unwrap_or(WIDTH).max(LEAST_WIDTH), colours: is_terminal && !plain }
    }

    /// The text in a colour.
    pub(crate) fn paint(self, tint: Tint, text: &str) -> String {
        let code = match tint {
            Tint::Good => "32",
            Tint::Doubtful => "33",
            Tint::Bad => "31",
            Tint::Heading => "1",
            Tint::Faint => "2",
        };
        if self.colours && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Names and values below each other, long values wrapped beside their names.
    pub(crate) fn pairs(self, indent: usize, pairs: &[(String, String)]) -> String {
        let widest = pairs.iter().map(|(name, _)| columns(name)).max().unwrap_or(0).min(self.width / 3);
        let mut text = String::new();
        for (name, value) in pairs {
            let start = " ".repeat(indent + widest + 2);
            let label = format!("{}{}", " ".repeat(indent), padded(name, widest + 2));
            let room = self.width.saturating_sub(start.len()).max(16);
            // A name that is longer than its column has a line of its own.
            let is_long = columns(name) > widest;
            if is_long {
                text += label.trim_end();
                text.push('\n');
            }
            for (i, line) in wrapped(value, room).iter().enumerate() {
                let front = if i == 0 && !is_long { &label } else { &start };
                text += format!("{front}{line}").trim_end();
                text.push('\n');
            }
        }
        text
    }

    /// Rows under a heading, if they fit the width after long cells were clipped; else nothing.
    pub(crate) fn table(self, indent: usize, heading: &[String], rows: &[Vec<String>]) -> Option<String> {
        /// A cell is still worth reading at this width.
        const LEAST: usize = 14;
        let all = || std::iter::once(heading).chain(rows.iter().map(Vec::as_slice));
        let widest = |c: usize| all().filter_map(|row| row.get(c)).map(|cell| columns(cell)).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..heading.len()).map(widest).collect();
        let room = self.width.checked_sub(indent + 2 * widths.len().saturating_sub(1))?;
        while widths.iter().sum::<usize>() > room {
            let (largest, width) = widths.iter_mut().enumerate().max_by_key(|(_, w)| **w)?;
            if *width <= LEAST.max(columns(&heading[largest])) {
                return None;
            }
            *width -= 1;
        }
        let mut text = String::new();
        for (r, row) in all().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| padded(&clipped(cell, *width), *width));
            let line = format!("{}{}", " ".repeat(indent), cells.collect::<Vec<_>>().join("  "));
            let line = line.trim_end();
            text += &if r == 0 { self.paint(Tint::Faint, line) } else { line.to_string() };
            text.push('\n');
        }
        Some(text)
    }
}

/// Columns that a text takes in a terminal: East Asian signs and pictures take two.
pub(crate) fn columns(text: &str) -> usize {
    let width = |c: char| match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff => 2,
        0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    };
    text.chars().map(width).sum()
}

/// The text with spaces behind it, up to `width` columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The text with spaces in front of it, up to `width` columns.
pub(crate) fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The text cut to `width` columns, with a sign that it was.
pub(crate) fn clipped(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_string();
    }
    let mut out = String::new();
    for c in text.chars() {
        if columns(&out) + columns(c.encode_utf8(&mut [0; 4])) + 1 > width {
            break;
        }
        out.push(c);
    }
    out + "…"
}

/// Lines of at most `width` columns, broken at spaces, and within a word only where it is longer than a line.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for mut word in text.split(' ') {
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let gap = usize::from(!line.is_empty());
            if columns(line) + gap + columns(word) <= width {
                line.push_str(&" ".repeat(gap));
                line.push_str(word);
                break;
            }
            if !line.is_empty() {
                lines.push(String::new());
                continue;
            }
            let mut fits = 0;
            let end = word.char_indices().find(|(i, c)| {
                fits += columns(&word[*i..*i + c.len_utf8()]);
                fits > width
            });
            let end = end.map_or(word.len(), |(i, c)| if i == 0 { c.len_utf8() } else { i });
            line.push_str(&word[..end]);
            word = &word[end..];
            lines.push(String::new());
        }
    }
    lines
}

/// A word as it is typed in a shell: in quotes where the shell would make something else of it.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    // A word that a person typed holds no NUL, the only sign that cannot be quoted.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

/// `5243000` as `5.2 MB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut unit = "";
    for next in UNITS {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// One or several, with the number.
pub(crate) fn counted(n: u64, one: &str, several: &str) -> String {
    format!("{} {}", stage::count(n), if n == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(width: usize) -> Screen {
        Screen { width, colours: false }
    }

    #[test]
    fn sizes_have_two_digits_that_count() {
        let shown: Vec<_> = [0, 999, 1000, 12_345, 999_600, 5_243_000, 3_000_000_000_000].map(size).into();
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "12 kB", "1.0 MB", "5.2 MB", "3.0 TB"]);
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        assert_eq!(["p/a-b.toml", "", "$x y", "a.b=[1]"].map(quoted), ["p/a-b.toml", "''", "'$x y'", "'a.b=[1]'"]);
    }

    #[test]
    fn text_is_wrapped_and_clipped_by_columns() {
        assert_eq!(wrapped("the quick brown fox", 9), ["the quick", "brown fox"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(clipped("今天天气不错", 7), "今天天…");
        assert_eq!(clipped("short", 5), "short");
        assert_eq!(padded("今天", 6), "今天  ");
    }

    #[test]
    fn a_table_gives_way_in_its_widest_column_and_then_up() {
        let (heading, rows) = (["id".to_string(), "text".to_string()], [vec!["1".to_string(), "x".repeat(60)]]);
        let table = screen(40).table(2, &heading, &rows).unwrap();
        assert!(table.lines().all(|line| columns(line) <= 40), "{table}");
        assert!(table.contains('…'));
        assert_eq!(table.lines().next(), Some("  id  text"));
        let heading: Vec<_> = (0..9).map(|c| format!("column {c}")).collect();
        assert_eq!(screen(40).table(2, &heading, &[vec!["x".repeat(60); 9]]), None);
    }

    #[test]
    fn values_hang_beside_their_names() {
        let pairs = [("a".to_string(), "one two".to_string()), ("bcd".to_string(), "three four five six".to_string())];
        assert_eq!(screen(20).pairs(1, &pairs), " a    one two\n bcd  three four five\n      six\n");
    }
}
