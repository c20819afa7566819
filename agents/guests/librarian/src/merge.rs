//! From the readers' hits to a question for a model, and from its answer back to the passages it
//! rests on.
//!
//! Pure: no calls. A citation's quote is always a verbatim piece of its passage.

use std::cmp::Ordering;

use loket_guest::{Value, object};

/// Citations when an answer cannot be traced sentence by sentence.
const CITATIONS_UNTRACED: usize = 2;

/// Words shorter than this say nothing about what a sentence is about.
const WORD_MIN_CHARS: usize = 4;

/// A piece of an answer is a quote when it has at least this many tokens, this many of them words:
/// less is a turn of phrase.
const QUOTE_MIN_TOKENS: usize = 4;
const QUOTE_MIN_WORDS: usize = 2;

/// Words that a sentence shares with an answer that is made of it: fewer is chance.
const NEAR_MIN_WORDS: usize = 3;

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
///
/// One long sentence and bare numbers, on purpose: a model that only picks sentences by their words
/// must not take an instruction or a file's name for an answer.
#[must_use]
pub fn instructions(passages: &[Passage]) -> String {
    let mut text = String::from(
        "Answer only from the numbered passages below, in their words where you can and naming \
         them by number such as [1], or say that they do not hold the answer",
    );
    for (n, passage) in passages.iter().enumerate() {
        let label = format!("\n\n[{}]\n\n", n + 1);
        text.push_str(&label);
        text.push_str(passage.text.trim());
    }
    text
}

/// What the answer rests on: the passages whose words it uses, in the order in which it does, then
/// those that it names by number. If that is none, the first passages that have a sentence near to
/// the answer.
#[must_use]
pub fn citations(answer: &str, passages: &[Passage]) -> Vec<Value> {
    let mut cited = quotes(answer, passages);
    for (n, passage) in passages.iter().enumerate() {
        let named = answer.contains(&format!("[{}]", n + 1));
        if named && !cited.iter().any(|(other, _)| *other == n) {
            cited.push((n, nearest(&passage.text, answer).0));
        }
    }
    if cited.is_empty() {
        let near =
            passages.iter().enumerate().map(|(n, passage)| (n, nearest(&passage.text, answer)));
        let near = near.filter(|(_, (_, shared))| *shared >= NEAR_MIN_WORDS);
        cited.extend(near.take(CITATIONS_UNTRACED).map(|(n, (quote, _))| (n, quote)));
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

/// The longest pieces of the answer that stand in a passage, whatever the white space between their
/// words.
fn quotes<'a>(answer: &str, passages: &'a [Passage]) -> Vec<(usize, &'a str)> {
    let said: Vec<&str> = answer.split_whitespace().collect();
    let texts: Vec<Vec<&str>> =
        passages.iter().map(|passage| passage.text.split_whitespace().collect()).collect();
    let mut quotes = Vec::new();
    let mut at = 0;
    while at < said.len() {
        let (tokens, n, from) = longest(&said[at..], &texts);
        let words = words(&said[at..at + tokens].join(" ")).len();
        if tokens >= QUOTE_MIN_TOKENS && words >= QUOTE_MIN_WORDS {
            let (first, last) = (texts[n][from], texts[n][from + tokens - 1]);
            let start = passages[n].text.as_ptr() as usize;
            let begin = first.as_ptr() as usize - start;
            let end = last.as_ptr() as usize - start + last.len();
            quotes.push((n, &passages[n].text[begin..end]));
            at += tokens;
        } else {
            at += 1;
        }
    }
    quotes
}

/// How many of the first tokens of `said` stand together somewhere, in which text, from which
/// token.
fn longest(said: &[&str], texts: &[Vec<&str>]) -> (usize, usize, usize) {
    let mut best = (0, 0, 0);
    for (n, text) in texts.iter().enumerate() {
        for from in 0..text.len() {
            let shared = text[from..].iter().zip(said).take_while(|(a, b)| a == b).count();
            if shared > best.0 {
                best = (shared, n, from);
            }
        }
    }
    best
}

/// The sentence of `text` that shares most words with `other`, and how many; the first of equals.
fn nearest<'a>(text: &'a str, other: &str) -> (&'a str, usize) {
    let wanted = words(other);
    let mut best = ("", 0);
    for sentence in sentences(text) {
        let shared = words(sentence).iter().filter(|word| wanted.contains(word)).count();
        if best.0.is_empty() || shared > best.1 {
            best = (sentence, shared);
        }
    }
    best
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
        assert_eq!(citations(answer, &passages), expected);
    }

    #[test]
    fn pieces_that_a_model_joins_without_a_full_stop_are_told_apart() {
        let passages = [
            passage("a.md", 0, 2.0, "Intro\n\n- the first item of a list\n- another"),
            passage("b.md", 1, 1.0, "| a table | has no full stop |\n"),
        ];
        let answer = "- the first item of a list | a table | has no full stop |";
        let quotes: Vec<_> =
            citations(answer, &passages).iter().map(|row| row["quote"].clone()).collect();
        assert_eq!(quotes, ["- the first item of a list", "| a table | has no full stop |"]);
    }

    #[test]
    fn a_number_is_a_citation_and_a_paraphrase_is_traced_to_what_is_near() {
        let passages = [
            passage("a.md", 0, 2.0, "Cats purr softly. Dogs bark loudly at night."),
            passage("b.md", 1, 1.0, "Cows give milk. Some moo."),
        ];
        let expected =
            [json!({ "path": "a.md", "part": 0, "quote": "Dogs bark loudly at night." })];
        assert_eq!(citations("Dogs do, says [1].", &passages), expected);
        assert_eq!(citations("Loudly, dogs bark.", &passages), expected);
        // Two words in a row are a turn of phrase and no quote.
        assert_eq!(citations("Dogs, they bark loudly indeed.", &passages), expected);
    }

    #[test]
    fn no_answer_has_no_citation() {
        let passages = [passage("a.md", 0, 2.0, "In any context a word does matter. So it is.")];
        assert_eq!(citations("The context does not say.", &passages), Vec::<Value>::new());
        assert_eq!(citations("", &passages), Vec::<Value>::new());
        assert_eq!(citations("Anything", &[]), Vec::<Value>::new());
    }
}
