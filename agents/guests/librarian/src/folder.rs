//! Hands the files of a folder to the readers, a batch per turn.
//!
//! The list of files is written down in the brain in the turn that took the order, as batches under
//! `todo/`; each turn hands one batch out, moves it to `done/` and sends itself the next order.
//! Before each further batch it asks every reader something: as an inbox is worked off in order, an
//! answer means that the batch before is read. So no inbox holds more than a batch, however large
//! the folder is, and questions find a turn between two batches.
//!
//! A file has one message key, its root and path: an order that is given again reads nothing twice.

use loket_guest::{Answer, Failure, Value, agents, fs, json, log, object, store};

/// Files handed out per turn: less than an inbox holds by default, even if one reader gets them
/// all.
const BATCH_FILES: usize = 128;

/// Entries asked for per page of a listing.
const PAGE_ENTRIES: u64 = 500;

/// Pages of one listing at most, so that a folder that grows while it is listed cannot hold the
/// turn.
const PAGES_MAX: usize = 2_000;

/// What could not be listed is named up to this number, and counted beyond.
const SKIPPED_NAMED_MAX: usize = 100;

/// Turns in a row that hand nothing out before the rest waits for the next order.
const STALLS_MAX: u64 = 16;

/// How long a reader may take to work off a batch, in milliseconds.
const BATCH_PATIENCE_MS: u64 = 600_000;

/// Brain keys. A batch's number is zero-padded, so that key order is the order of the batches.
const READERS: &str = "readers";
const BATCHES: &str = "batches";
const STALLS: &str = "stalls";
const TODO: &str = "todo/";
const DONE: &str = "done/";

/// Takes the order to read a folder.
///
/// # Errors
/// `bad_message`, `bad_setting`, and what `fs.list`, `agent.spawn` and the brain answered.
pub(crate) fn read(settings: &store::Settings, order: &Value) -> Answer {
    let root =
        order["root"].as_str().ok_or_else(|| Failure::bad_message("read_folder names no root"))?;
    let default = settings.number("readers", 4, 1, crate::READERS_MAX)?;
    let count = order["readers"].as_u64().unwrap_or(default).clamp(1, crate::READERS_MAX);
    let extensions: Vec<String> = order["extensions"]
        .as_array()
        .map(|all| all.iter().filter_map(|one| one.as_str().map(Into::into)).collect())
        .unwrap_or_default();

    let listing = list(root, &extensions)?;
    let readers = start_readers(settings, root, count)?;
    for batch in listing.files.chunks(BATCH_FILES) {
        let n = store::count_up(BATCHES)?;
        store::put(&format!("{TODO}{n:08}"), &object! { "root": root, "files": batch })?;
    }
    store::put(STALLS, &0.into())?;
    let files = listing.files.len();
    let mut answer =
        object! { "files": files, "readers": readers.len(), "skipped": listing.skipped };
    if listing.skipped_more > 0 {
        answer["skipped_more"] = json!(listing.skipped_more);
    }
    log::info("folder accepted", &object! { "root": root, "files": files });
    hand_out(settings, &readers)?;
    Ok(answer)
}

/// Waits for the batch before, then hands out the next one.
///
/// # Errors
/// What the brain answered.
pub(crate) fn go_on(settings: &store::Settings) -> Answer {
    let readers = readers(settings)?;
    for reader in &readers {
        // A question that costs the reader nothing; whoever does not answer is no reason to stop.
        if let Err(failure) =
            agents::call(reader, "ask", &object! { "ask": "?", "limit": 1_u64 }, BATCH_PATIENCE_MS)
        {
            log::warn(
                "a reader did not answer",
                &object! { "reader": reader, "failure": failure.code },
            );
        }
    }
    let handed_out = hand_out(settings, &readers)?;
    Ok(object! { "handed_out": handed_out })
}

/// The addresses of the readers that were started.
///
/// # Errors
/// What the brain answered.
pub(crate) fn readers(settings: &store::Settings) -> Result<Vec<String>, Failure> {
    let pool = settings.get("pool", READERS);
    let count = store::get(READERS)?.as_u64().unwrap_or(0);
    Ok((1..=count).map(|n| format!("{pool}/r{n}")).collect())
}

/// Starts the readers, and keeps those of an earlier, larger order: they hold what they have read.
fn start_readers(
    settings: &store::Settings,
    root: &str,
    count: u64,
) -> Result<Vec<String>, Failure> {
    let before = store::get(READERS)?.as_u64().unwrap_or(0);
    let pool = settings.get("pool", READERS);
    for n in 1..=count {
        agents::spawn(pool, &format!("r{n}"), &object! { "root": root })?;
    }
    store::put(READERS, &count.max(before).into())?;
    readers(settings)
}

/// What a folder holds.
#[derive(Default)]
struct Listing {
    files: Vec<String>,
    skipped: Vec<Value>,
    skipped_more: usize,
}

fn list(root: &str, extensions: &[String]) -> Result<Listing, Failure> {
    let mut listing = Listing::default();
    let mut after = String::new();
    for _ in 0..PAGES_MAX {
        let page = fs::list(root, &after, PAGE_ENTRIES, extensions)?;
        for skipped in page.skipped {
            if listing.skipped.len() < SKIPPED_NAMED_MAX {
                listing.skipped.push(skipped);
            } else {
                listing.skipped_more += 1;
            }
        }
        let paths =
            page.entries.iter().filter_map(|entry| Some((entry["path"].as_str()?, &entry["kind"])));
        let mut last = None;
        for (path, kind) in paths {
            if kind == "file" {
                listing.files.push(path.into());
            }
            last = Some(path);
        }
        match last {
            Some(last) if page.more => after = last.into(),
            None if page.more => {
                return Err(Failure::new("bad_answer", "fs.list: an empty page, and yet more"));
            }
            _ => return Ok(listing),
        }
    }
    Err(Failure::new(
        "folder_too_large",
        &format!("more than {PAGES_MAX} pages of {PAGE_ENTRIES} entries"),
    ))
}

/// Hands out the first batch and orders the next; returns how many files went out.
fn hand_out(settings: &store::Settings, readers: &[String]) -> Result<usize, Failure> {
    let waiting = store::list(TODO, 2)?;
    let Some((key, batch)) = waiting.first() else {
        return Ok(0);
    };
    let root = batch["root"].as_str().unwrap_or_default();
    let files: Vec<&str> = batch["files"]
        .as_array()
        .map(|all| all.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut refused = Vec::new();
    for path in &files {
        let body = object! { "read": object! { "root": root, "path": *path } };
        let file_key = format!("read:{root}:{path}");
        let reader = &readers[pick(path, readers.len())];
        if let Err(failure) = agents::send(reader, "read", &body, Some(&file_key)) {
            if !failure.retryable && !failure.is("overloaded") {
                return Err(failure);
            }
            refused.push(*path);
        }
    }
    let sent = files.len() - refused.len();
    if refused.is_empty() {
        store::delete(key)?;
        store::put(&key.replacen(TODO, DONE, 1), batch)?;
    } else {
        store::put(key, &object! { "root": root, "files": &refused[..] })?;
    }
    let stalls = if sent > 0 { 0 } else { store::get(STALLS)?.as_u64().unwrap_or(0) + 1 };
    store::put(STALLS, &stalls.into())?;
    if stalls >= STALLS_MAX {
        log::warn(
            "the readers take nothing; the rest waits for the next order",
            &object! { "batch": key },
        );
    } else if waiting.len() > 1 || !refused.is_empty() {
        let own_name = if settings.agent.is_empty() {
            settings.get("name", "librarian")
        } else {
            &settings.agent
        };
        agents::send(own_name, "continue", &object! { "continue": object! {} }, None)?;
    }
    Ok(sent)
}

/// Which of `n` readers gets a path: always the same one, for the same `n`.
fn pick(path: &str, n: usize) -> usize {
    // FNV-1a, 64 bits.
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The high half, as the low bits of this hash are its weakest.
    (hash >> 32) as usize % n.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_reader_and_the_readers_share_the_work() {
        let mut share = [0; 4];
        for n in 0..4_000 {
            let path = format!("docs/page-{n}.md");
            assert_eq!(pick(&path, 4), pick(&path, 4));
            share[pick(&path, 4)] += 1;
        }
        assert!(share.iter().all(|files| (850..1_150).contains(files)), "{share:?}");
        assert_eq!(pick("a", 1), 0);
        // The choice is kept in brains: it must be the same in every later version.
        let known: Vec<_> = ["README.md", "a/b.txt", ""].iter().map(|path| pick(path, 7)).collect();
        assert_eq!(known, [1, 5, 6]);
    }
}
