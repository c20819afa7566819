//! The tokens of RON, each with the line breaks before it. The text is valid RON by then.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `(`, `[`, `{`.
    Open,
    /// `)`, `]`, `}`.
    Close,
    /// `,`.
    Comma,
    /// `:`.
    Colon,
    /// `// ..`, without its line break.
    Line,
    /// `/* .. */`.
    Block,
    /// `#![..]`.
    Attribute,
    /// A name, a number, a string.
    Word,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Line breaks between the last token and this one.
    pub(super) breaks: usize,
}

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches(|c: char| {
            c.is_whitespace() || matches!(c, '\u{200E}' | '\u{200F}')
        });
        let space = &rest[..rest.len() - trimmed.len()];
        let breaks = space.matches('\n').count();
        let Some(first) = trimmed.chars().next() else { return all };
        let (kind, length) = match first {
            '(' | '[' | '{' => (Kind::Open, 1),
            ')' | ']' | '}' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            ':' => (Kind::Colon, 1),
            '#' if trimmed.starts_with("#!") => {
                (Kind::Attribute, trimmed.find(']').map_or(trimmed.len(), |at| at + 1))
            }
            '/' if trimmed.starts_with("//") => {
                (Kind::Line, trimmed.find('\n').unwrap_or(trimmed.len()))
            }
            '/' if trimmed.starts_with("/*") => (Kind::Block, block(trimmed)),
            _ => (Kind::Word, word(trimmed)),
        };
        let length = length.clamp(first.len_utf8(), trimmed.len());
        all.push(Token { kind, text: trimmed[..length].trim_end(), breaks });
        rest = &trimmed[length..];
    }
}

/// Length of a block comment; they nest.
fn block(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match text.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Length of a name, number, string or character.
fn word(text: &str) -> usize {
    let prefix = text.find(|c: char| !matches!(c, 'b' | 'r' | '#')).unwrap_or(text.len());
    let head = &text[..prefix];
    let hashes = head.bytes().filter(|b| *b == b'#').count();
    let rest = &text[prefix..];
    if rest.starts_with('"')
        && (head.is_empty() || matches!(head.trim_end_matches('#'), "r" | "b" | "br"))
    {
        let raw = head.contains('r');
        let end = if raw {
            let close = format!("\"{}", "#".repeat(hashes));
            rest[1..].find(&close).map(|at| 1 + at + close.len())
        } else {
            quoted(rest, b'"')
        };
        return prefix + end.unwrap_or(rest.len());
    }
    if rest.starts_with('\'') && matches!(head, "" | "b") {
        return prefix + quoted(rest, b'\'').unwrap_or(rest.len());
    }
    let stop = |c: char| c.is_whitespace() || "()[]{},:\"'/".contains(c);
    text.find(stop).unwrap_or(text.len()).max(1)
}

/// Length of a literal up to the first quote that no backslash escapes.
fn quoted(text: &str, quote: u8) -> Option<usize> {
    let mut escaped = false;
    let inner = text.bytes().skip(1).position(|byte| {
        let end = byte == quote && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    });
    inner.map(|at| at + 2)
}
