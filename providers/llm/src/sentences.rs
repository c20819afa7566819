//! Text to sentences and words, as far as picking needs it. Plain rules: letters, digits, full stops.

/// A sentence of a context, with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sentence<'a> {
    /// The text, trimmed.
    pub(crate) text: &'a str,
    /// Its distinct stems, sorted.
    pub(crate) stems: Vec<String>,
    /// How much it can say: 1 for prose, less for what only names a matter or asks about it.
    pub(crate) weight: f64,
}

/// Words that say nothing about the matter.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
    "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "how",
    "i", "if", "in", "into", "is", "it", "its", "may", "me", "more", "must", "my", "no", "not",
    "of", "on", "one", "only", "or", "our", "out", "shall", "should", "so", "some", "such", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "up",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "whose", "why", "will",
    "with", "would", "you", "your",
];

/// Splits at ends of sentences, blank lines, list items and headings.
pub(crate) fn sentences(text: &str) -> Vec<Sentence<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1).copied();
        let end = match byte {
            b'.' | b'!' | b'?' => next.is_none_or(|next| next.is_ascii_whitespace()),
            b'\n' => {
                let heading = text[start..at].trim_start().starts_with('#');
                heading
                    || matches!(next, None | Some(b'\n' | b'#' | b'*' | b'-' | b'|' | b'[' | b'`'))
            }
            _ => false,
        };
        if end {
            push(&text[start..=at], &mut found);
            start = at + 1;
        }
    }
    push(&text[start..], &mut found);
    found
}

fn push<'a>(piece: &'a str, found: &mut Vec<Sentence<'a>>) {
    let text = piece.trim();
    if text.chars().any(char::is_alphanumeric) {
        found.push(Sentence { text, stems: stems(text), weight: weight(text) });
    }
}

/// Headings and questions name a matter and say nothing of it; table rows and code say little in words.
fn weight(text: &str) -> f64 {
    if text.starts_with('#') || text.ends_with('?') {
        0.2
    } else if text.starts_with(['|', '`', '$', '{', '<']) || text.contains("```") {
        0.5
    } else {
        1.0
    }
}

/// The distinct stems of a text's meaningful words, sorted.
pub(crate) fn stems(text: &str) -> Vec<String> {
    let mut stems: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() > 1)
        .map(str::to_lowercase)
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .map(stem)
        .collect();
    stems.sort_unstable();
    stems.dedup();
    stems
}

/// Cuts the commonest endings, so that `restarts`, `restarted` and `restarting` meet.
fn stem(word: String) -> String {
    for ending in ["ing", "ies", "ed", "es", "s", "ly"] {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.chars().count() >= 3
        {
            return stem.to_owned();
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_where_a_reader_would() {
        let texts: Vec<_> =
            sentences("# Turn\nA turn ends. It commits 3.5 rows!\n\n- an item\n- two")
                .into_iter()
                .map(|sentence| sentence.text)
                .collect();
        assert_eq!(texts, ["# Turn", "A turn ends.", "It commits 3.5 rows!", "- an item", "- two"]);
    }

    #[test]
    fn forms_of_a_word_meet() {
        assert_eq!(stems("restarts restarted restarting"), ["restart"]);
        assert_eq!(stems("The what of it"), Vec::<String>::new());
    }
}
