//! A small HTTP server on loopback that keeps what it saw and answers as a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it does with a request.
pub(crate) enum Reply {
    /// Answers with status, one more header line and body.
    Text(u16, String, String),
    /// Answers 200 with these bytes.
    Bytes(Vec<u8>),
    /// Closes the connection without an answer.
    HangUp,
    /// Keeps the connection until the other side gives up.
    Silence,
}

impl Reply {
    pub(crate) fn of(status: u16, header: &str, body: &str) -> Self {
        Self::Text(status, header.to_owned(), body.to_owned())
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The server. Its thread ends with the test's process.
pub(crate) struct Server {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// `answer` is asked with the number of the request, from 0.
    pub(crate) fn start(answer: impl Fn(usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, &kept, &answer);
            }
        });
        Self { host, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Seen>>, answer: &impl Fn(usize) -> Reply) {
    let Some((request, mut stream)) = read(stream) else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request);
        seen.len() - 1
    };
    let (status, header, body) = match answer(number) {
        Reply::Text(status, header, body) => (status, header, body.into_bytes()),
        Reply::Bytes(body) => (200, String::new(), body),
        Reply::HangUp => return,
        Reply::Silence => {
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let line = if header.is_empty() { header } else { format!("{header}\r\n") };
    let head = format!("HTTP/1.1 {status} X\r\n{line}Content-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn read(stream: TcpStream) -> Option<(Seen, TcpStream)> {
    let mut from = BufReader::new(stream);
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some((Seen { method, path, headers, body }, from.into_inner()))
}
