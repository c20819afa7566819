//! A service outside of the fleet: an HTTP server on this machine that keeps what it saw, for as long as the test lives.
//!
//! It honours no key by itself: it notes every request with its key and body, and whoever judges compares them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the outside asks itself, and keeps no record of.
const PROBE: &str = "/probe";

/// A request as it came, once all of it was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) path: String,
    /// The header `Idempotency-Key`.
    pub(crate) key: Option<String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct Record {
    seen: Vec<Seen>,
    /// No request is answered while it is set.
    held: bool,
    /// Connections that were taken and of which no whole request has been read yet.
    reading: usize,
}

/// The server. Its threads end with the process.
pub(crate) struct Outside {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    record: Arc<(Mutex<Record>, Condvar)>,
}

impl Outside {
    pub(crate) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let host = listener.local_addr()?.to_string();
        let record = Arc::new((Mutex::new(Record::default()), Condvar::new()));
        let kept = Arc::clone(&record);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                kept.0.lock().unwrap_or_else(PoisonError::into_inner).reading += 1;
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Ok(Self { host, record })
    }

    /// Waits until every request that was sent before this call is in the record, or was never sent whole: what a killed process had
    /// sent may still lie in a connection that nobody has read. Connections are taken in their order, so a last one finds all earlier
    /// ones taken.
    #[allow(dead_code, reason = "not for everybody who shares this file")]
    pub(crate) fn has_read_all(&self) -> std::io::Result<()> {
        /// Those of a dead process are there, those of a living one come at once.
        const READ_WITHIN: Duration = Duration::from_secs(10);
        let mut probe = TcpStream::connect(&self.host)?;
        probe.write_all(format!("GET {PROBE} HTTP/1.1\r\n\r\n").as_bytes())?;
        let _ = probe.read(&mut [0; 16])?;
        let kept = self.record.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.record.1.wait_timeout_while(kept, READ_WITHIN, |kept| kept.reading > 0);
        drop(all);
        Ok(())
    }

    /// From now on requests are kept without an answer, or answered again, those that wait too.
    pub(crate) fn hold(&self, held: bool) {
        self.record.0.lock().unwrap_or_else(PoisonError::into_inner).held = held;
        self.record.1.notify_all();
    }

    /// All requests so far, in the order they came.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.record.0.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }

    /// How many requests there were so far.
    #[allow(dead_code, reason = "not for everybody who shares this file")]
    pub(crate) fn total(&self) -> usize {
        self.record.0.lock().unwrap_or_else(PoisonError::into_inner).seen.len()
    }

    /// How often this path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }
}

fn serve(stream: TcpStream, record: &(Mutex<Record>, Condvar)) {
    let request = read(stream);
    let mut kept = record.0.lock().unwrap_or_else(PoisonError::into_inner);
    kept.reading -= 1;
    record.1.notify_all();
    let Some((seen, mut stream)) = request else { return };
    let path = seen.path.clone();
    if path == PROBE {
        drop(kept);
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        return;
    }
    kept.seen.push(seen);
    let n = kept.seen.iter().filter(|seen| seen.path == path).count();
    while kept.held {
        kept = record.1.wait(kept).unwrap_or_else(PoisonError::into_inner);
    }
    drop(kept);
    let body = format!("{{\"n\":{n}}}");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // Who asked may be dead by now.
    let _ = stream.write_all(head.as_bytes());
}

fn read(stream: TcpStream) -> Option<(Seen, TcpStream)> {
    let mut from = BufReader::new(stream);
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let key = headers.remove("idempotency-key");
    Some((Seen { path, key, body }, from.into_inner()))
}
