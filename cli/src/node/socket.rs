//! The control socket: a Unix socket in the data directory, JSON lines, every call as `@operator` through the kernel.
//!
//! It never decides what is allowed: the directory's mode and the peer's user say who may speak, the kernel what. All but the
//! emergency stop takes a lane's kernel shard.

use super::emergency::Emergency;
use super::operator::Outsider;
use crate::client::{LINE_BYTES_MAX, Request, Response, SOCKET};
use loket_turn::Failure;
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Connections served at the same time; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 256;

/// Bytes of an answer that the system takes at once, where it allows so many. The tree of ten thousand agents is megabytes, and each
/// time that the client has to make room costs both a turn at the processor.
const ANSWER_BYTES_AT_ONCE: usize = 2 * 1024 * 1024;

/// What the capabilities of the fleet's own `agent` provider begin with: it writes JSON on one line.
const OWN: &str = "agent.";

/// The call of it whose result is a guest's.
const GUESTS: &str = "agent.call";

/// Binds the socket, through the directory's descriptor: a socket's path may hold 107 bytes only. The lock on the data
/// directory is held, so an old socket file is nobody's.
pub(super) fn bind(data: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let directory = File::open(data)?;
    let short = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    match std::fs::remove_file(data.join(SOCKET)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = std::os::unix::net::UnixListener::bind(short)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves connections until it is dropped.
pub(super) async fn serve(
    listener: std::os::unix::net::UnixListener,
    operator: Outsider,
    emergency: Emergency,
) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("the control socket cannot be served: {error}");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (operator, emergency) = (operator.clone(), emergency.clone());
                tokio::task::spawn_local(async move {
                    if let Err(error) = connection(stream, operator, emergency).await {
                        tracing::debug!("a control connection ended: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("the control socket did not accept: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// One client: a line in, a line out.
async fn connection(
    stream: UnixStream,
    operator: Outsider,
    emergency: Emergency,
) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    if peer != own && peer != 0 {
        tracing::warn!(peer, "a stranger at the control socket was turned away");
        return Ok(());
    }
    // Without it an answer goes out in smaller pieces.
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, ANSWER_BYTES_AT_ONCE);
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let out = if whole {
            answer(&line, &operator, &emergency).await?
        } else {
            let text = format!("a line of more than {LINE_BYTES_MAX} bytes");
            line_of(&Response::Error(Failure::new("too_large", text)))?
        };
        write.write_all(&out).await?;
        if !whole {
            return Ok(());
        }
    }
}

/// The line that answers a line.
async fn answer(line: &[u8], operator: &Outsider, emergency: &Emergency) -> io::Result<Vec<u8>> {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            let text = format!("a request is a JSON object with capability and args: {error}");
            return line_of(&Response::Error(Failure::new("bad_request", text)));
        }
    };
    let args = request.args.to_string().into_bytes();
    let outcome = match Emergency::is_meant(&request) {
        true => emergency.stop(operator, args),
        false => operator.call(&request.capability, args).await,
    };
    match outcome {
        Ok(result) => match as_it_is(&request.capability, &result) {
            Some(line) => Ok(line),
            None => line_of(&Response::Ok(as_json(&result))),
        },
        Err(failure) => line_of(&Response::Error(failure)),
    }
}

fn line_of(response: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    Ok(line)
}

/// The line of a result that goes out as it came: the tree of ten thousand agents is megabytes, and to read it again would take
/// longer than to write it. Only what the fleet's own `agent` provider wrote: what comes from a guest may be anything that a guest
/// can think of, and is looked at.
fn as_it_is(capability: &str, result: &[u8]) -> Option<Vec<u8>> {
    let own = capability.starts_with(OWN) && capability != GUESTS;
    let plain = own && !result.is_empty() && !result.contains(&b'\n');
    debug_assert!(!plain || serde_json::from_slice::<serde::de::IgnoredAny>(result).is_ok());
    plain.then(|| [b"{\"ok\":", result, b"}\n"].concat())
}

/// An answer is JSON by convention; one that is not is given as a string.
fn as_json(result: &[u8]) -> Value {
    serde_json::from_slice(result)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(result).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_provider_wrote_goes_out_as_it_came_and_a_guests_is_looked_at() {
        let raw = |capability, result: &str| as_it_is(capability, result.as_bytes());
        let line = line_of(&Response::Ok(serde_json::json!({"id": "top"}))).unwrap();
        assert_eq!(raw("agent.tree", r#"{"id":"top"}"#), Some(line));
        assert_eq!(raw("agent.tree", "{\"id\":\n1}"), None, "an answer is one line");
        assert_eq!(raw("agent.tree", ""), None);
        assert_eq!(raw("llm.complete", "no JSON"), None);
        assert_eq!(raw(GUESTS, "1e999"), None);
    }
}
