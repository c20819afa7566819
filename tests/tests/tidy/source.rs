//! The files of the checkout, and Rust text without its comments, strings and tests.
//!
//! It understands as much of Rust as is needed to tell code from words about code; it never expands a macro.

use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours, or what tools put there.
const NOT_OURS: [&str; 4] = ["target", ".git", ".cache", "node_modules"];

/// A text file of the checkout.
#[derive(Clone)]
pub(crate) struct Source {
    /// From the checkout's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The code, blanked where it is comment or string; positions and lines stay.
    pub(crate) fn code(&self) -> String {
        blank(&self.text)
    }

    /// The code without modules that are compiled for tests only.
    pub(crate) fn shipped(&self) -> String {
        without_tests(&self.code())
    }

    /// Whether the file is compiled for tests, examples or benches only.
    pub(crate) fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        let inside = &parts[..parts.len() - 1];
        let after_src = inside.iter().position(|part| *part == "src").map_or(0, |at| at + 1);
        inside[after_src..].iter().any(|part| ["tests", "examples", "benches"].contains(part))
            || parts.last() == Some(&"tests.rs")
    }
}

/// The checkout's root. Asked for when the test runs: `tests/mutations/tidy.sh` shows it broken copies.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).parent().unwrap().into()
}

/// Every file with this ending under this folder of the checkout (`""` is all of it), sorted by path.
pub(crate) fn files(under: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(under), ending, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // A symbolic link leads to a file that is seen elsewhere, or out of the checkout.
        if path.is_symlink() || NOT_OURS.contains(&&*name) || name.ends_with(".data") {
            continue;
        }
        if path.is_dir() {
            walk(&path, ending, found);
        } else if name.ends_with(ending) {
            // A file that goes away while we look was a temporary one.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            found.push(Source { path, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
}

/// A file that must be there.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Comments, strings and characters as spaces, byte for byte, so that what is left is code.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_end(bytes, at),
            b'"' => string_end(bytes, at + 1),
            b'r' if raw_start(bytes, at) => raw_end(bytes, at + 1),
            b'\'' => char_end(bytes, at),
            _ => at + 1,
        };
        if end > at + 1 {
            for byte in &mut out[at..end.min(bytes.len())] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end;
    }
    String::from_utf8(out.into_iter().map(|b| if b.is_ascii() { b } else { b' ' }).collect())
        .unwrap()
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n)
}

fn block_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Whether `r` begins a raw string and is not the end of a name (`br"` is one, `for"` cannot be).
fn raw_start(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|n| bytes[n]);
    let of_a_name =
        before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') && before != Some(b'b');
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    !of_a_name && bytes.get(at + 1 + hashes) == Some(&b'"')
}

fn raw_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at..].iter().take_while(|b| **b == b'#').count();
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let inside = at + hashes + 1;
    let found = bytes[inside..].windows(close.len()).position(|window| window == close);
    found.map_or(bytes.len(), |n| inside + n + close.len())
}

/// The end of a character, or of the tick of a lifetime.
fn char_end(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at + 1) == Some(&b'\\') {
        let tick = bytes[at + 3..].iter().position(|b| *b == b'\'');
        return tick.map_or(at + 1, |n| at + 4 + n);
    }
    let width = match bytes.get(at + 1) {
        Some(b) if *b >= 0xf0 => 4,
        Some(b) if *b >= 0xe0 => 3,
        Some(b) if *b >= 0xc0 => 2,
        _ => 1,
    };
    if bytes.get(at + 1 + width) == Some(&b'\'') { at + 2 + width } else { at + 1 }
}

/// Blanks what follows `#[cfg(test)]` to its closing brace or semicolon. Takes blanked code: braces in strings do not count.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let mut depth = 0_usize;
        let mut end = out.len();
        for (n, byte) in out.bytes().enumerate().skip(start) {
            match byte {
                b'{' => depth += 1,
                b'}' if depth == 1 => {
                    end = n + 1;
                    break;
                }
                b'}' => depth = depth.saturating_sub(1),
                b';' if depth == 0 => {
                    end = n + 1;
                    break;
                }
                _ => {}
            }
        }
        let hole: String =
            out[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        out.replace_range(start..end, &hole);
    }
    out
}

/// The lines, from 1, in which `word` stands as a whole word (`std::fs` is one; `unsafe_code` holds no `unsafe`).
pub(crate) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let stands = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next())
        })
    };
    code.lines().enumerate().filter(|(_, line)| stands(line)).map(|(n, _)| n + 1).collect()
}

#[test]
fn code_is_told_from_words_about_code() {
    let text = concat!(
        "let a = \"unsafe \\\" {\"; // unsafe\n",
        "let b = r#\"unsafe \" { \"#; /* unsafe /* { */ */ let c = '{';\n",
        "fn d<'a>(x: &'a str) { let e = '\\''; std::fs::read(x); }\n",
        "#[cfg(test)]\nmod tests { fn t() { std::net::x(); } }\nfn after() { unsafe_code(); }\n",
        "#[cfg(test)]\nmod more;\nfn last() { tokio::x() }\n",
    );
    let source = Source { path: "a/src/b.rs".into(), text: text.into() };
    let code = source.code();
    assert_eq!(code.len(), text.len());
    assert_eq!(lines_with(&code, "unsafe"), Vec::<usize>::new());
    assert_eq!(lines_with(&code, "std::fs"), [3]);
    assert_eq!(lines_with(&code, "std::net"), [5]);
    let shipped = source.shipped();
    assert_eq!(lines_with(&shipped, "std::net"), Vec::<usize>::new());
    assert_eq!(lines_with(&shipped, "after"), [6]);
    assert_eq!(lines_with(&shipped, "more"), Vec::<usize>::new());
    assert_eq!(lines_with(&shipped, "tokio"), [9]);
    assert_eq!(shipped.matches('{').count(), shipped.matches('}').count());
}
