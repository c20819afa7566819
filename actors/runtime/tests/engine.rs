//! A plain actix actor as a provider's engine.
#![allow(clippy::unwrap_used)]

mod common;
use actix::{Actor, Context, Handler, Message};
use common::*;
use crossbeam_channel::Sender;
use loket_runtime::{ActixEngine, ChildContext, Door, ProviderWork};
use loket_supervision::machine::{Blame, Cause, Exit};

struct Plain {
    incarnation: u64,
    tell: Sender<String>,
}

impl Actor for Plain {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        let _ = self.tell.send(format!("hook {}", self.incarnation));
    }
}

/// Broken state that panics in its drop too: under actix alone this aborts the process.
impl Drop for Plain {
    fn drop(&mut self) {
        assert!(self.incarnation != 1, "the drop of broken state");
    }
}

struct Do(Vec<u8>);

impl Message for Do {
    type Result = String;
}

impl Handler<Do> for Plain {
    type Result = String;

    fn handle(&mut self, Do(what): Do, context: &mut Self::Context) -> String {
        match &*what {
            b"panic" => panic!("handler"),
            b"stop" => actix::ActorContext::stop(context),
            _ => {}
        }
        self.incarnation.to_string()
    }
}

async fn body(mut context: ChildContext, tell: Sender<String>) -> Exit {
    let Door::Provider(mailbox) = context.door.clone() else {
        return Exit::NoProc;
    };
    let incarnation = context.incarnation;
    let engine = ActixEngine::start(&context.links, |_| Plain { incarnation, tell });
    context.control.started();
    loop {
        let work = tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            work = mailbox.recv() => work,
        };
        let ProviderWork::Call(call) = work else { continue };
        let (_, _, args, cargo) = call.into_parts();
        if let Ok(result) = engine.call(Do(args)).await {
            let _ = cargo.reply.send(done(result.into_bytes()));
        }
    }
}

fn node(script: &Script) -> loket_runtime::Runtime {
    let tell = script.teller();
    script.on("plain", move |context| body(context, tell.clone()));
    let all = vec![provider("plain", 64, &["plain.do"]), caller("c", &["plain"]), worker("a")];
    let runtime = run(1, script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    runtime
}

#[test]
fn a_panic_in_the_actor_restarts_the_provider_alone_with_its_mailbox_intact() {
    let script = Script::new();
    let runtime = node(&script);
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    assert_eq!(text(call(&lane, from, "plain.do", b"")), "1");
    let deadly = call(&lane, from, "plain.do", b"panic");
    let waiting: Vec<_> = (0..20).map(|_| call(&lane, from, "plain.do", b"")).collect();
    assert_eq!(text(deadly), "dropped");
    for answer in waiting {
        assert_eq!(text(answer), "2");
    }
    let registry = runtime.node().registry().clone();
    let Some(Exit::Crash { cause, blame, message }) = registry.find("plain").unwrap().last_exit()
    else {
        panic!("a crash");
    };
    assert_eq!((cause, blame), (Cause::Panic, Blame::Provider));
    assert!(message.starts_with("handler (at "), "{message}");
    assert_eq!(registry.find("a").unwrap().incarnation(), 1);
    stop(runtime);
    let told = script.rest();
    assert!(!told.contains(&"hook 1".to_owned()), "no hook on broken state");
    assert!(told.contains(&"hook 2".to_owned()), "an orderly stop runs the hooks");
}

#[test]
fn an_actor_that_stops_by_itself_ends_the_incarnation() {
    let script = Script::new();
    let runtime = node(&script);
    let (lane, from) = (runtime.node().lanes()[0].clone(), address(&runtime, "c"));
    let _ = text(call(&lane, from, "plain.do", b"panic"));
    // What was under way goes with the actor; what waits does not.
    let (last, next) = (call(&lane, from, "plain.do", b"stop"), call(&lane, from, "plain.do", b""));
    assert_eq!((text(last), text(next)), ("dropped".to_owned(), "3".to_owned()));
    assert_eq!(text(call(&lane, from, "plain.do", b"")), "3");
    stop(runtime);
}
