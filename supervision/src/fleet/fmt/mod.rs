//! The fleet file in one form: indentation, spaces, commas. Words, values, comments, and where the writer broke lines stay.
//!
//! It never changes what the file says: what comes out has the same tokens as what went in, or nothing comes out. Start reading
//! at [`format`].

mod lex;
mod print;
mod tree;

use super::slice;

/// The text in its one form. Formatting it again changes nothing.
///
/// # Errors
/// In words with line and column, why the text is no RON.
pub fn format(text: &str) -> Result<String, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > super::MAX_TEXT_BYTES {
        return Err(format!("the file is longer than {} MiB", super::MAX_TEXT_BYTES >> 20));
    }
    if let Err(error) = slice::syntax(text) {
        let at = error.span.start;
        return Err(format!("{}:{}: {}", at.line, at.col, error.code));
    }
    let tokens = lex::tokens(text);
    let formatted = print::print(&tree::read(&tokens));
    if same(&tokens, &lex::tokens(&formatted)) && slice::syntax(&formatted).is_ok() {
        return Ok(formatted);
    }
    Err("this file cannot be formatted without changing what it says".to_owned())
}

/// What a piece of RON says, whatever its spaces and comments.
pub(crate) fn said(text: &str) -> String {
    let tokens = lex::tokens(text);
    bare(&tokens).0.join(" ")
}

/// Whether two texts have the same tokens and comments; a comma before a closing bracket says nothing.
fn same(a: &[lex::Token<'_>], b: &[lex::Token<'_>]) -> bool {
    bare(a) == bare(b)
}

/// The tokens that say something, in order, and the comments, sorted: they may move.
fn bare<'a>(tokens: &[lex::Token<'a>]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut values, mut comments) = (Vec::new(), Vec::new());
    for token in tokens {
        match token.kind {
            lex::Kind::Line | lex::Kind::Block => comments.push(token.text),
            lex::Kind::Close if values.last() == Some(&",") => {
                values.pop();
                values.push(token.text);
            }
            _ => values.push(token.text),
        }
    }
    comments.sort_unstable();
    (values, comments)
}
