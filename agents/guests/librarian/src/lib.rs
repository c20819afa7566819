//! `builtin:librarian`: has a folder read by a pool of readers and answers questions from what they
//! found.
//!
//! | body | answer |
//! |---|---|
//! | `{"read_folder": {"root", "extensions"?, "readers"?}}` | `{"files", "readers", "skipped":
//! [...]}` |
//! | a question as plain text, or `{"ask": question}` | `{"answer", "citations": [{"path", "part",
//! "quote"}], "files_read", "notes"?}` |
//!
//! Settings: `pool` (supervisor of the readers, `readers`), `readers` (how many, 4), `model`
//! (`default`), `passages` (how many the model is given, 6), `name` (its own, where the store does
//! not say it).
//!
//! Start reading at [`handle`]; files are handed out by `folder`, answers put together by `merge`.

mod folder;
mod merge;

use loket_guest::{Answer, Failure, Message, Value, agents, json, llm, log, object, store};

use merge::Passage;

loket_guest::agent!(handle);

/// Readers in a pool at most: each question asks all of them, one after the other.
const READERS_MAX: u64 = 64;

/// Passages given to the model at most: 32 of 2,000 bytes are about 16,000 tokens.
const PASSAGES_MAX: u64 = 32;

/// How long a reader may take for an answer, in milliseconds: it first reads the files that came
/// before.
const READER_PATIENCE_MS: u64 = 120_000;

/// Answers one message.
///
/// # Errors
/// `bad_message`, `bad_setting`, and what a call answered that it cannot do without.
pub fn handle(message: Message) -> Answer {
    let settings = store::settings()?;
    if let Some(body) = message.object() {
        if let Some(order) = body.get("read_folder") {
            return folder::read(&settings, order);
        }
        if body.contains_key("continue") {
            return folder::go_on(&settings);
        }
        if let Some(question) = body.get("ask").and_then(Value::as_str) {
            return ask(&settings, question);
        }
        return Err(not_understood());
    }
    ask(&settings, message.text()?)
}

fn not_understood() -> Failure {
    Failure::bad_message(
        r#"the librarian knows {"read_folder": {"root"}}, {"ask": question} and a question"#,
    )
}

fn ask(settings: &store::Settings, question: &str) -> Answer {
    let question = question.trim();
    if question.is_empty() {
        return Err(not_understood());
    }
    let limit = settings.number("passages", 6, 1, PASSAGES_MAX)?;
    let mut findings = ask_readers(settings, question, limit)?;
    let passages = merge::best(findings.passages, limit as usize);
    let (answer, citations) = if passages.is_empty() {
        ("Nothing that was read so far says anything about it.".to_owned(), Vec::new())
    } else {
        let conversation =
            [llm::says("system", &merge::instructions(&passages)), llm::says("user", question)];
        let answer = llm::chat(settings.get("model", "default"), &conversation)?;
        let citations = merge::citations(&answer, &passages);
        (answer, citations)
    };
    if findings.readers == 0 {
        findings.notes.push("no folder was given to read yet".into());
    }
    log::info(
        "question answered",
        &object! { "question": question, "answer": &answer, "citations": &citations[..] },
    );
    let mut reply =
        object! { "answer": answer, "citations": citations, "files_read": findings.files_read };
    if !findings.notes.is_empty() {
        reply["notes"] = json!(findings.notes);
    }
    Ok(reply)
}

/// What the readers together know about a question.
#[derive(Default)]
struct Findings {
    passages: Vec<Passage>,
    readers: usize,
    files_read: u64,
    notes: Vec<String>,
}

/// Asks every reader. One that fails is noted and the others' findings are used.
fn ask_readers(
    settings: &store::Settings,
    question: &str,
    limit: u64,
) -> Result<Findings, Failure> {
    let readers = folder::readers(settings)?;
    let mut findings = Findings { readers: readers.len(), ..Findings::default() };
    let body = object! { "ask": question, "limit": limit };
    for reader in readers {
        match agents::call(&reader, "ask", &body, READER_PATIENCE_MS) {
            Ok(answer) => {
                let hits = answer["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
                if hits.is_empty() {
                    findings.notes.push(format!("{reader} found nothing"));
                }
                findings.passages.extend(hits.iter().filter_map(Passage::from_hit));
                findings.files_read += answer["files_read"].as_u64().unwrap_or(0);
            }
            Err(failure) => findings.notes.push(format!("{reader} did not answer: {failure}")),
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests;
