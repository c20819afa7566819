//! Requests whose answers are taken later, one by one or from a collection.

use crate::server::{NOBODY, Q, Stage, ask, wait};
use loket_runtime::Requests;
use std::time::Duration;

/// Several requests under way; each answer belongs to its request; the end of the server is told to those it had taken.
#[test]
fn send_request() {
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    let send = |question| server.send_request(&NOBODY(), question, 30_000).unwrap();
    let all = ["x", "y", "z"].map(|text| send(Q::Echo(text)));
    for (request, text) in all.into_iter().zip(["x", "y", "z"]).rev() {
        assert_eq!(wait(request).unwrap(), text);
    }
    let (taken, crash, waiting) = (send(Q::Later("x")), send(Q::Crash), send(Q::Life));
    assert_eq!(wait(crash).unwrap_err().code(), "down");
    assert_eq!(wait(taken).unwrap_err().code(), "down");
    assert_eq!(wait(waiting).unwrap(), "2", "what it had not taken is the next life's");
    let refused = stage.server("nobody").send_request(&NOBODY(), Q::Life, 30_000);
    assert_eq!(refused.unwrap_err().code(), "noproc");
    stage.end();
}

/// Answers are taken as they come, with their labels; the collection is empty then.
#[test]
fn send_request_receive_reqid_collection() {
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    let mut all = Requests::default();
    assert!(wait(all.next()).is_none());
    let late = server.send_request(&NOBODY(), Q::Later("third"), 30_000).unwrap();
    all.add("later", late).unwrap();
    let first = server.send_request(&NOBODY(), Q::Echo("first"), 30_000).unwrap();
    all.add("echo", first).unwrap();
    assert_eq!(all.len(), 2);
    let (label, answer) = wait(all.next()).unwrap();
    assert_eq!((label, answer.unwrap()), ("echo", "first".to_owned()));
    assert_eq!(ask(&server, Q::Answer).unwrap(), "waited true, abandoned false");
    let (label, answer) = wait(all.next()).unwrap();
    assert_eq!((label, answer.unwrap()), ("later", "third".to_owned()));
    assert!(all.is_empty() && wait(all.next()).is_none());
    stage.end();
}

/// A wait that is over loses no answer: the collection still has it.
#[test]
fn send_request_wait_reqid_collection() {
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    let mut all = Requests::default();
    all.add(1, server.send_request(&NOBODY(), Q::Later("x"), 30_000).unwrap()).unwrap();
    let waited = wait(async { tokio::time::timeout(Duration::from_millis(5), all.next()).await });
    assert!(waited.is_err() && all.len() == 1, "nothing yet, nothing lost");
    ask(&server, Q::Answer).unwrap();
    let (label, answer) = wait(all.next()).unwrap();
    assert_eq!((label, answer.unwrap()), (1, "x".to_owned()));
    stage.end();
}

/// A look does not wait; each answer is found once; failures come with their label too.
#[test]
fn send_request_check_reqid_collection() {
    let stage = Stage::of(&["a"]);
    let server = stage.server("a");
    let mut all = Requests::default();
    wait(async {
        all.add("x", server.send_request(&NOBODY(), Q::Later("x"), 30_000).unwrap()).unwrap();
        assert!(all.check().is_none());
        server.call(&NOBODY(), Q::Answer, 30_000).await.unwrap();
        let (label, answer) = all.check().unwrap();
        assert_eq!((label, answer.unwrap()), ("x", "x".to_owned()));
        assert!(all.check().is_none() && all.is_empty());
        all.add("crash", server.send_request(&NOBODY(), Q::Crash, 30_000).unwrap()).unwrap();
    });
    let (label, answer) = wait(all.next()).unwrap();
    assert_eq!((label, answer.unwrap_err().code()), ("crash", "down"));
    stage.end();
}
