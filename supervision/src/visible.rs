//! Text from outside, made safe for a terminal and a log: what is not seen, or turns around what is, is shown as an escape.

/// Whether a character does something to a terminal, or to the order of what is read, instead of being seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text with every hidden character as its escape, `\u{202e}` or `\n`, save those in `keep`.
pub fn visible(text: &str, keep: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) && !keep.contains(&c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_is_not_seen_is_shown_and_the_rest_is_left_alone() {
        let odd = "a\u{1b}[31mb\u{202e}c\u{9b}d\u{2066}e\u{feff}f\n\tg é \\ \"";
        let shown = "a\\u{1b}[31mb\\u{202e}c\\u{9b}d\\u{2066}e\\u{feff}f\\n\tg é \\ \"";
        assert_eq!(visible(odd, &['\t']), shown);
    }
}
