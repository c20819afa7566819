//! The embedded default model: picks and joins the sentences of its context that best answer the last user message.
//!
//! It is no neural model and does not understand: it counts shared words, weighted by how rare they are in the context. It is
//! deterministic and offline, so that a newcomer, a test and a demonstration need no key and no server.

use crate::model::{ChatAnswer, ChatRequest, Finish, Role, Usage};
use crate::sentences::{Sentence, sentences, stems};
use loket_turn::Failure;
use std::collections::HashMap;

/// Sentences of one answer at most: more is no answer but the context.
const SENTENCES_MAX: usize = 3;

/// A sentence must score this share of the best one to stand beside it.
const SHARE_OF_BEST: f64 = 0.5;

/// What it says when no sentence shares a word with the question.
const NOTHING: &str = "The context does not say.";

/// See the module head.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extractive;

impl Extractive {
    /// Answers a chat: the last user message is the question, all before it is the context.
    ///
    /// # Errors
    /// `bad_args` when there is no user message.
    pub fn answer(self, request: &ChatRequest) -> Result<ChatAnswer, Failure> {
        let asked = request.messages.iter().rposition(|message| message.role == Role::User);
        let Some(asked) = asked else {
            return Err(Failure::new("bad_args", "there is no user message to answer"));
        };
        let question = stems(&request.messages[asked].content);
        let context: Vec<Sentence<'_>> = request.messages[..asked]
            .iter()
            .flat_map(|message| sentences(&message.content))
            .collect();
        let picked = pick(&question, &context);
        let mut content = picked.join(" ");
        if content.is_empty() {
            content = NOTHING.to_owned();
        }
        let (content, finish) = shorten(&content, request.max_output_tokens as usize);
        let input_tokens = request.messages.iter().map(|message| tokens(&message.content)).sum();
        let usage = Usage { input_tokens, output_tokens: tokens(&content) };
        Ok(ChatAnswer { model: request.model.clone(), content, finish, usage })
    }
}

/// The best sentences, in the order in which they stand.
fn pick<'a>(question: &[String], context: &[Sentence<'a>]) -> Vec<&'a str> {
    let mut holders: HashMap<&str, usize> = HashMap::new();
    for sentence in context {
        for stem in &sentence.stems {
            *holders.entry(stem).or_default() += 1;
        }
    }
    let mut scored: Vec<(f64, usize)> = context
        .iter()
        .enumerate()
        .map(|(at, sentence)| (score(question, sentence, &holders, context.len()), at))
        .filter(|(score, _)| *score > 0.0)
        .collect();
    scored.sort_by(|(a, at), (b, bt)| b.total_cmp(a).then(at.cmp(bt)));
    let Some((best, _)) = scored.first().copied() else { return Vec::new() };
    let mut chosen: Vec<usize> = scored
        .into_iter()
        .take_while(|(score, _)| *score >= best * SHARE_OF_BEST)
        .map(|(_, at)| at)
        .collect();
    chosen.dedup_by_key(|at| context[*at].text);
    chosen.truncate(SENTENCES_MAX);
    chosen.sort_unstable();
    chosen.into_iter().map(|at| context[at].text).collect()
}

/// Shared stems, each weighted by its rarity, over the square root of the sentence's length.
#[expect(clippy::cast_precision_loss, reason = "counts of sentences and words are small")]
fn score(
    question: &[String],
    sentence: &Sentence<'_>,
    holders: &HashMap<&str, usize>,
    total: usize,
) -> f64 {
    let shared: f64 = question
        .iter()
        .filter(|stem| sentence.stems.binary_search(stem).is_ok())
        .map(|stem| {
            let held = holders.get(stem.as_str()).copied().unwrap_or(1);
            (1.0 + total as f64 / held as f64).ln()
        })
        .sum();
    // Very short sentences say little, however well they match.
    let length = sentence.stems.len().max(5) as f64;
    sentence.weight * shared / length.sqrt()
}

/// Words stand for tokens: close enough to budget by, and said so in the docs.
fn tokens(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// Keeps whole words up to the limit; `Length` says that there would have been more.
fn shorten(text: &str, limit: usize) -> (String, Finish) {
    let cut = text
        .char_indices()
        .scan(false, |in_word, (at, c)| {
            let starts = !c.is_whitespace() && !*in_word;
            *in_word = !c.is_whitespace();
            Some((at, starts))
        })
        .filter(|(_, starts)| *starts)
        .nth(limit)
        .map(|(at, _)| at);
    match cut {
        Some(at) => (text[..at].trim_end().to_owned(), Finish::Length),
        None => (text.to_owned(), Finish::Stop),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::ChatMessage;

    fn ask(context: &str, question: &str, limit: u32) -> ChatAnswer {
        let message = |role, content: &str| ChatMessage { role, content: content.to_owned() };
        let request = ChatRequest {
            model: "default".to_owned(),
            messages: vec![message(Role::System, context), message(Role::User, question)],
            max_output_tokens: limit,
            key: None,
        };
        let answer = Extractive.answer(&request).unwrap();
        assert_eq!(
            answer,
            Extractive.answer(&request).unwrap(),
            "the same question, the same answer"
        );
        answer
    }

    const CONTEXT: &str = "A turn is the handling of one message by one agent. The kernel checks grants. \
        A brain is the agent's SQLite file. Whales are mammals.";

    #[test]
    fn picks_the_sentence_that_answers() {
        assert_eq!(
            ask(CONTEXT, "What is a brain?", 100).content,
            "A brain is the agent's SQLite file."
        );
        assert_eq!(ask(CONTEXT, "Who checks a grant?", 100).content, "The kernel checks grants.");
    }

    #[test]
    fn says_so_when_the_context_does_not() {
        let answer = ask(CONTEXT, "How tall is Everest?", 100);
        assert_eq!((answer.content.as_str(), answer.finish), (NOTHING, Finish::Stop));
    }

    #[test]
    fn what_only_names_or_asks_is_no_answer() {
        let context = "# What is a dead letter?\nWhat is a dead letter?\n\nA dead letter is a message that failed.";
        let answer = ask(context, "What is a dead letter?", 100);
        assert_eq!(answer.content, "A dead letter is a message that failed.");
    }

    #[test]
    fn a_token_limit_is_told_never_hidden() {
        let answer = ask(CONTEXT, "What is a turn?", 3);
        assert_eq!((answer.content.as_str(), answer.finish), ("A turn is", Finish::Length));
        assert_eq!(answer.usage.output_tokens, 3);
    }

    #[test]
    fn a_chat_without_a_question_is_refused() {
        let request = ChatRequest {
            model: "m".to_owned(),
            messages: Vec::new(),
            max_output_tokens: 1,
            key: None,
        };
        assert_eq!(Extractive.answer(&request).unwrap_err().code, "bad_args");
    }
}
