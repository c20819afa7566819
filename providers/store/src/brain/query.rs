//! What a user wrote, as words to look for. Words are bound and quoted: nobody can write full-text
//! syntax into a query.

use super::too_large;
use crate::limits::{QUERY_BYTES_MAX, TERMS_MAX};
use loket_turn::Failure;

/// Words that stand in nearly every English text and tell nothing apart. Sorted. They count when a
/// query has no others.
const STOP_WORDS: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could",
    "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if",
    "in", "into", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or", "our", "please",
    "s", "she", "should", "so", "t", "tell", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "to", "was", "we", "were", "what", "when", "where", "which",
    "who", "why", "will", "with", "would", "you", "your",
];

/// The different words of a query, in the order in which they come first.
///
/// Split only where ASCII says that a word ends: the index's tokenizer splits the rest, as it did
/// when the texts were added, so no table of another Unicode version can disagree with it.
///
/// # Errors
/// `too_large` with the limit.
pub(crate) fn terms(query: &str) -> Result<Vec<String>, Failure> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(too_large("the query", query.len(), QUERY_BYTES_MAX, "bytes"));
    }
    let mut all: Vec<String> = Vec::new();
    let words = query.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        if !all.contains(&word) {
            all.push(word);
        }
    }
    let telling: Vec<String> = all.iter().filter(|word| !is_stop_word(word)).cloned().collect();
    let terms = if telling.is_empty() { all } else { telling };
    if terms.len() > TERMS_MAX {
        return Err(too_large("the query", terms.len(), TERMS_MAX, "different words"));
    }
    Ok(terms)
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// The full-text expression for rows with any of these words.
pub(crate) fn any_of<'a>(terms: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = terms.into_iter().map(quoted).collect();
    quoted.join(" OR ")
}

/// A word as a full-text string.
pub(crate) fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stop_words_are_sorted_so_that_they_are_found() {
        assert!(STOP_WORDS.is_sorted());
        assert!(STOP_WORDS.iter().all(|word| is_stop_word(word)));
    }

    #[test]
    fn e2_syntax_in_a_query_is_only_words() {
        let hostile = "\"a\" OR text:x* NEAR(b, 2) ^c -d {e} + (f) AND NOT \u{0} g''";
        let words = terms(hostile).unwrap();
        assert_eq!(words, ["text", "x", "near", "b", "2", "c", "d", "e", "f", "g"]);
    }

    #[test]
    fn a_query_of_stop_words_keeps_them() {
        assert_eq!(terms("Who are you?").unwrap(), ["who", "are", "you"]);
        assert_eq!(terms("who is Ada?").unwrap(), ["ada"]);
        assert!(terms(" ?! ").unwrap().is_empty());
    }

    #[test]
    fn c7_too_many_words_are_refused_with_the_limit() {
        let many: Vec<String> = (0..=TERMS_MAX).map(|n| format!("w{n}")).collect();
        let refused = terms(&many.join(" ")).unwrap_err();
        assert_eq!(refused.code, "too_large");
        assert!(refused.message.contains("the limit is 64"), "{}", refused.message);
        assert_eq!(terms(&many[1..].join(" ")).unwrap().len(), TERMS_MAX);
        assert_eq!(terms(&"x".repeat(QUERY_BYTES_MAX + 1)).unwrap_err().code, "too_large");
    }
}
