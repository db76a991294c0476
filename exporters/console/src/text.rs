//! Text from outside, made safe for a terminal and cut to a width.

use unicode_width::UnicodeWidthChar;

/// The columns a piece of already clean text takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|char| char.width().unwrap_or(0)).sum()
}

/// Makes text from outside harmless and cuts it to `columns`, with `…` at the
/// end when something was left out.
///
/// Control characters, line breaks and the characters that reorder text are
/// written as escapes, so that a span's name can neither send commands to the
/// terminal nor break the table.
pub(crate) fn clean(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    // Where to cut if one column is needed for the ellipsis.
    let mut cut = 0;
    // Combining marks take no column; without this bound a name could pile up
    // any number of them.
    let mut marks = 0;
    for char in text.chars() {
        let before = out.len();
        push_visible(&mut out, char);
        let taken = width(&out[before..]);
        marks = if taken == 0 { marks + 1 } else { 0 };
        if used + taken > columns || marks > MAX_MARKS {
            out.truncate(cut);
            out.push('…');
            return if columns == 0 { String::new() } else { out };
        }
        used += taken;
        if used < columns {
            cut = out.len();
        }
    }
    out
}

/// As [`clean`], padded with spaces to exactly `columns`.
pub(crate) fn pad(text: &mut String, columns: usize) {
    let missing = columns.saturating_sub(width(text));
    text.extend(core::iter::repeat_n(' ', missing));
}

fn push_visible(out: &mut String, char: char) {
    if is_harmful(char) {
        out.extend(char.escape_default());
    } else {
        out.push(char);
    }
}

/// C0, C1 and delete; line and paragraph separators; what reorders or hides text.
fn is_harmful(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Marks allowed on one character; no script needs more.
const MAX_MARKS: usize = 8;

#[cfg(test)]
mod tests {
    use super::{clean, width};

    #[test]
    fn text_that_fits_is_left_alone() {
        assert_eq!(clean("load", 4), "load");
        assert_eq!(clean("", 4), "");
    }

    #[test]
    fn long_text_is_cut_by_columns_and_not_by_bytes() {
        assert_eq!(clean("loading", 4), "loa…");
        assert_eq!(clean("日本語テキスト", 7), "日本語…");
        assert_eq!(clean("日本語テキスト", 6), "日本…");
        assert_eq!(width(&clean("日本語テキスト", 6)), 5);
        assert_eq!(clean("abc", 0), "");
        assert_eq!(clean("日本", 1), "…");
    }

    #[test]
    fn terminal_escapes_become_visible() {
        assert_eq!(clean("\x1b[31mred", 40), "\\u{1b}[31mred");
        assert_eq!(clean("a\nb\tc", 40), "a\\nb\\tc");
        assert_eq!(clean("\u{9b}2J", 40), "\\u{9b}2J");
        assert_eq!(clean("\u{202e}txt", 40), "\\u{202e}txt");
    }

    #[test]
    fn an_escape_is_never_cut_in_half() {
        assert_eq!(clean("abc\x1b", 6), "abc…");
    }

    #[test]
    fn marks_do_not_pile_up_without_end() {
        let pile = format!("a{}", "\u{301}".repeat(10_000));
        assert!(clean(&pile, 10).len() < 100);
    }
}
