//! `builtin:reader`: reads files into its memory and finds passages in it.
//!
//! | body | answer |
//! |---|---|
//! | `{"read": {"root", "path"}}`, or a path alone (root from the setting `root`) | `{"path",
//! "passages", "bytes", "lossy"?}` |
//! | `{"ask": question, "limit"?}`, or a plain text of kind `ask` | `{"hits": [...], "files_read":
//! n}` |
//! | `{"forget": path}` | `{"forgotten": rows}` |
//!
//! Each accepted `read` adds the file's rows once, and none asks whether they are there already:
//! that messages come once is the runtime's promise, and a check here would hide it when it is
//! broken. The rows of one file have `source` = its path and `meta` = `{"root", "part", "offset"}`,
//! the last one `"last"` too; their texts in order are the file. An empty file is one row with an
//! empty text. A file of more than 32 MiB is refused whole, with the failure `too_large`.

mod passages;

use loket_guest::{Answer, Failure, Map, Message, Value, fs, json, log, object, store};

use passages::Cutter;
pub use passages::PASSAGE_MAX_BYTES;

loket_guest::agent!(handle);

/// Bytes of a file asked for at once: bounds what an instance and a record hold, whatever the
/// file's size.
const RANGE_BYTES: u64 = 256 * 1024;

/// Bytes of a file read at most: one message is one turn, and the records of one turn are bounded
/// at twice this, whatever is written longer in JSON. Refused before anything is stored: a larger
/// file would end the turn, and be tried again for nothing.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Rows added by one call, so that its args stay in the order of [`RANGE_BYTES`].
const ROWS_PER_CALL: usize = 64;

/// Hits answered when the question does not say how many.
const HITS_DEFAULT: u64 = 4;

/// Hits answered at most.
const HITS_MAX: u64 = 50;

/// Where the brain keeps how many files were read.
const FILES_READ: &str = "files_read";

/// Answers one message.
///
/// # Errors
/// `bad_message`, and what a call answered.
pub fn handle(message: Message) -> Answer {
    if let Some(body) = message.object() {
        return command(&body);
    }
    let text = message.text()?.trim();
    match (message.kind.as_str(), text) {
        (_, "") => Err(not_understood()),
        ("ask", question) => ask(question, HITS_DEFAULT),
        (_, path) => read(store::settings()?.get("root", ""), path),
    }
}

fn command(body: &Map<String, Value>) -> Answer {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    if let Some(file) = body.get("read") {
        let path = file["path"].as_str().ok_or_else(not_understood)?;
        return match file["root"].as_str() {
            Some(root) => read(root, path),
            None => read(store::settings()?.get("root", ""), path),
        };
    }
    if let Some(question) = text("ask") {
        let limit = body.get("limit").and_then(Value::as_u64).unwrap_or(HITS_DEFAULT);
        return ask(question, limit.clamp(1, HITS_MAX));
    }
    if let Some(path) = text("forget") {
        return Ok(object! { "forgotten": store::memory::forget(path)? });
    }
    Err(not_understood())
}

fn not_understood() -> Failure {
    Failure::bad_message(
        r#"the reader knows {"read": {"root", "path"}}, {"ask": text}, {"forget": path}, PATH"#,
    )
}

/// The rows of one file on their way into memory.
struct Rows<'a> {
    root: &'a str,
    path: &'a str,
    part: usize,
    offset: usize,
    waiting: Vec<Value>,
}

impl Rows<'_> {
    fn take(&mut self, text: &str) {
        let meta = object! { "root": self.root, "part": self.part, "offset": self.offset };
        self.waiting.push(object! { "text": text, "source": self.path, "meta": meta });
        self.part += 1;
        self.offset += text.len();
    }

    /// Stores what waits but for the last row, which may turn out to be the file's last.
    fn store_full_calls(&mut self) -> Result<(), Failure> {
        while self.waiting.len() > ROWS_PER_CALL {
            store::memory::add(&self.waiting[..ROWS_PER_CALL])?;
            self.waiting.drain(..ROWS_PER_CALL);
        }
        Ok(())
    }

    fn store_all(mut self) -> Result<(), Failure> {
        self.store_full_calls()?;
        if let Some(row) = self.waiting.last_mut() {
            row["meta"]["last"] = json!(true);
        }
        store::memory::add(&self.waiting)
    }
}

fn read(root: &str, path: &str) -> Answer {
    if root.is_empty() {
        return Err(Failure::new("no_root", "a path alone needs the setting `root`"));
    }
    let mut rows = Rows { root, path, part: 0, offset: 0, waiting: Vec::new() };
    let mut cutter = Cutter::default();
    let (mut at, mut lossy) = (0, false);
    loop {
        let range = fs::read(root, path, at, RANGE_BYTES)?;
        if at == 0 && range.size > FILE_BYTES_MAX {
            return Err(too_large(path, range.size));
        }
        cutter.push(&range.text, &mut |text| rows.take(text));
        rows.store_full_calls()?;
        (at, lossy) = (range.next, lossy | range.lossy);
        if range.eof {
            break;
        }
    }
    cutter.finish(&mut |text| rows.take(text));
    let passages = rows.part;
    if passages == 0 {
        rows.take("");
    }
    rows.store_all()?;
    let files = store::count_up(FILES_READ)?;
    log::info(
        "file read",
        &object! { "path": path, "passages": passages, "bytes": at, "files_read": files },
    );
    let mut answer = object! { "path": path, "passages": passages, "bytes": at };
    if lossy {
        answer["lossy"] = json!(true);
    }
    Ok(answer)
}

fn too_large(path: &str, size: u64) -> Failure {
    let text = format!(
        "{path}: {size} bytes, and a reader takes at most {FILE_BYTES_MAX} in one message; \
         split the file"
    );
    Failure::new("too_large", &text)
}

fn ask(question: &str, limit: u64) -> Answer {
    let hits = store::memory::search(question, limit)?;
    let files = store::get(FILES_READ)?.as_u64().unwrap_or(0);
    Ok(object! { "hits": hits, "files_read": files })
}

#[cfg(test)]
mod tests;
