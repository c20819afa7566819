//! From the readers' hits to a question for a model, and from its answer back to the passages it
//! rests on.
//!
//! Pure: no calls. A citation's quote is always a verbatim piece of its passage.

use std::cmp::Ordering;

use loket_guest::{Value, object};

/// Citations when an answer cannot be traced sentence by sentence.
const CITATIONS_UNTRACED: usize = 2;

/// Words shorter than this say nothing about what a sentence is about.
const WORD_MIN_CHARS: usize = 3;

/// A passage that a reader found.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// The file.
    pub path: String,
    /// The number of the passage in the file, from 0.
    pub part: u64,
    /// What it says.
    pub text: String,
    /// How well it fits; higher is better.
    pub score: f64,
}

impl Passage {
    /// Reads a hit as `store.brain.memory.search` describes it; `None` for a row that no reader
    /// wrote.
    #[must_use]
    pub fn from_hit(hit: &Value) -> Option<Self> {
        Some(Self {
            path: hit["source"].as_str()?.into(),
            part: hit["meta"]["part"].as_u64()?,
            text: hit["text"].as_str()?.into(),
            score: hit["score"].as_f64().unwrap_or(0.0),
        })
    }
}

/// The `limit` best of all, best first; equal ones by path and part, whichever reader had them.
#[must_use]
pub fn best(passages: Vec<Passage>, limit: usize) -> Vec<Passage> {
    // By insertion, as `limit` is small: a general sort is a tenth of this module's code.
    let mut best: Vec<Passage> = Vec::new();
    for passage in passages {
        let at = best.partition_point(|other| order(other, &passage) == Ordering::Less);
        if at < limit && best.get(at).is_none_or(|other| order(other, &passage) != Ordering::Equal)
        {
            best.truncate(limit - 1);
            best.insert(at, passage);
        }
    }
    best
}

fn order(a: &Passage, b: &Passage) -> Ordering {
    let by_score = b.score.total_cmp(&a.score);
    by_score.then_with(|| (&a.path, a.part, &a.text).cmp(&(&b.path, b.part, &b.text)))
}

/// What the model is told before the question.
#[must_use]
pub fn instructions(passages: &[Passage]) -> String {
    let mut text = String::from(
        "Answer only from the passages below. Quote them where you can, and name them by \
         their number, such as [1]. If they do not hold the answer, say so.",
    );
    for (n, passage) in passages.iter().enumerate() {
        let label = format!("\n\n[{}] {}#{}\n\n", n + 1, passage.path, passage.part);
        text.push_str(&label);
        text.push_str(passage.text.trim());
    }
    text
}

/// What the answer rests on: for each of its sentences the first passage that holds it, then the
/// passages it names by number. If that is none, the passages that were given first, with their
/// sentence that is nearest to the question.
#[must_use]
pub fn citations(answer: &str, question: &str, passages: &[Passage]) -> Vec<Value> {
    let mut cited: Vec<(usize, &str)> = Vec::new();
    for sentence in sentences(answer) {
        if words(sentence).len() < 2 {
            continue;
        }
        let found = passages
            .iter()
            .enumerate()
            .find_map(|(n, passage)| Some((n, find(passage, sentence)?)));
        cited.extend(found);
    }
    for (n, passage) in passages.iter().enumerate() {
        if answer.contains(&format!("[{}]", n + 1)) && !cited.iter().any(|(other, _)| *other == n) {
            cited.push((n, nearest(&passage.text, answer)));
        }
    }
    if cited.is_empty() && !answer.trim().is_empty() {
        let first = passages.iter().enumerate().take(CITATIONS_UNTRACED);
        cited.extend(first.map(|(n, passage)| (n, nearest(&passage.text, question))));
    }
    let mut rows: Vec<Value> = Vec::new();
    for (n, quote) in cited {
        let row = object! { "path": &passages[n].path, "part": passages[n].part, "quote": quote };
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

/// The piece of the passage that says `sentence`, whatever the white space between its words.
fn find<'a>(passage: &'a Passage, sentence: &str) -> Option<&'a str> {
    let wanted: Vec<&str> = sentence.split_whitespace().collect();
    let text = passage.text.as_str();
    let start = text.as_ptr() as usize;
    let tokens: Vec<&str> = text.split_whitespace().collect();
    let at = tokens.windows(wanted.len().max(1)).position(|window| window == wanted)?;
    let last = tokens[at + wanted.len() - 1];
    let from = tokens[at].as_ptr() as usize - start;
    let to = last.as_ptr() as usize - start + last.len();
    Some(&text[from..to])
}

/// The sentence of `text` that shares most words with `other`; the first of equals.
fn nearest<'a>(text: &'a str, other: &str) -> &'a str {
    let wanted = words(other);
    let mut best = ("", 0);
    for sentence in sentences(text) {
        let shared = words(sentence).iter().filter(|word| wanted.contains(word)).count();
        if best.0.is_empty() || shared > best.1 {
            best = (sentence, shared);
        }
    }
    best.0
}

/// Sentences end with `.`, `?` or `!` before white space, and with an empty line.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let (sentence, after) = rest.split_at(sentence_end(rest));
        rest = after;
        Some(sentence.trim_end())
    })
}

fn sentence_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1);
        let ends = match byte {
            b'.' | b'?' | b'!' => next.is_none_or(u8::is_ascii_whitespace),
            b'\n' => next == Some(&b'\n') || bytes[at + 1..].starts_with(b"\r\n"),
            _ => false,
        };
        if ends {
            return at + 1;
        }
    }
    text.len()
}

/// The words of `text` in small letters, sorted, each once.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        if word.chars().count() < WORD_MIN_CHARS {
            continue;
        }
        let word: String = word.chars().flat_map(char::to_lowercase).collect();
        if let Err(at) = words.binary_search(&word) {
            words.insert(at, word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use loket_guest::json;

    use super::*;

    fn passage(path: &str, part: u64, score: f64, text: &str) -> Passage {
        Passage { path: path.into(), part, text: text.into(), score }
    }

    #[test]
    fn the_best_come_first_and_ties_do_not_depend_on_who_answered_first() {
        let a = passage("a.md", 1, 2.0, "a");
        let b = passage("b.md", 0, 2.0, "b");
        let c = passage("c.md", 0, 3.5, "c");
        let expected = vec![c.clone(), a.clone(), b.clone()];
        assert_eq!(best(vec![a.clone(), b.clone(), c.clone()], 9), expected);
        assert_eq!(best(vec![c.clone(), b.clone(), a.clone()], 9), expected);
        assert_eq!(best(vec![b, a, c.clone()], 1), vec![c]);
    }

    #[test]
    fn sentences_are_cut_at_their_ends_only() {
        let all: Vec<_> =
            sentences("One v1.2 thing. Two?\n Three\nlines\n\n# Head\n\nfour").collect();
        assert_eq!(all, ["One v1.2 thing.", "Two?", "Three\nlines", "# Head", "four"]);
        assert_eq!(sentences(" \n ").count(), 0);
    }

    #[test]
    fn an_answer_is_traced_to_the_passages_it_quotes() {
        let passages = [
            passage("a.md", 3, 2.0, "Intro. The ledger is\nthe truth. More."),
            passage("b.md", 0, 1.0, "Brains are SQLite files. Nothing else."),
        ];
        let answer = "The ledger is the truth. Brains are SQLite files. Of course.";
        let expected = [
            json!({ "path": "a.md", "part": 3, "quote": "The ledger is\nthe truth." }),
            json!({ "path": "b.md", "part": 0, "quote": "Brains are SQLite files." }),
        ];
        assert_eq!(citations(answer, "what is true?", &passages), expected);
    }

    #[test]
    fn a_number_in_the_answer_is_a_citation_and_without_any_the_first_passages_are() {
        let passages = [
            passage("a.md", 0, 2.0, "Cats purr. Dogs bark loudly."),
            passage("b.md", 1, 1.0, "Cows give milk. Some moo."),
            passage("c.md", 2, 0.5, "Unrelated."),
        ];
        let by_number = citations("They bark, says [1].", "dogs?", &passages);
        assert_eq!(by_number, [json!({ "path": "a.md", "part": 0, "quote": "Dogs bark loudly." })]);
        let untraced =
            citations("Woof and moo, I guess.", "which dogs bark, which cows moo?", &passages);
        let paths: Vec<_> = untraced.iter().map(|row| (&row["path"], &row["quote"])).collect();
        assert_eq!(
            paths,
            [
                (&json!("a.md"), &json!("Dogs bark loudly.")),
                (&json!("b.md"), &json!("Cows give milk."))
            ]
        );
        assert_eq!(citations("", "q", &passages), Vec::<Value>::new());
    }
}
