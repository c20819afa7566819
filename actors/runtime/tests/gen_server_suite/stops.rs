//! Stopping a server and waiting for its end.

use crate::common::{Script, lenient, run, stop, supervisor, workers};
use crate::server::{NOBODY, Q, Server, Stage, ask, node, serve, wait};
use loket_runtime::{CallError, DynamicSpec, NodeSpec};
use loket_supervision::machine::{Exit, Flags, Strategy};
use std::rc::Rc;
use std::sync::Arc;

/// A dynamic child is stopped in order and gone when the stop is answered; a second stop finds nobody.
#[test]
fn stop1() {
    let script = Script::new();
    serve(&script, "pool/x");
    let flags = Flags { strategy: Strategy::SimpleOneForOne, ..lenient() };
    let pool = supervisor("pool", flags, workers(vec![node("template")]));
    let root = supervisor("root", lenient(), vec![NodeSpec::Supervisor(pool)]);
    let runtime = run(1, &script, root);
    runtime.wait_up().unwrap();
    let kind = node("x").kind;
    let child = DynamicSpec { name: "pool/x".into(), kind, last_incarnation: 0 };
    wait(runtime.control().start_dynamic("pool", child)).unwrap();
    let relations = runtime.node().registry().relations().clone();
    let down = relations.monitor("pool/x").unwrap();
    wait(runtime.control().stop_dynamic("pool/x")).unwrap();
    assert_eq!(relations.living("pool/x"), None);
    assert_eq!(wait(down).reason, Exit::Shutdown);
    let again = wait(runtime.control().stop_dynamic("pool/x")).unwrap_err();
    assert_eq!(again.code(), "not_found", "{again}");
    let (registry, clock) = (Arc::clone(runtime.node().registry()), runtime.node().clock().clone());
    let gone = ask(&Server::new(registry, clock, "pool/x"), Q::Life).unwrap_err();
    assert_eq!(gone, CallError::NoProc("pool/x".into()));
    stop(runtime);
}

/// Whatever reason a server ends with, that is what is told.
#[test]
fn stop2() {
    let stage = Stage::of(&["a"]);
    for exit in [Exit::Normal, Exit::ShutdownTerm("other".to_owned()), Exit::Hung] {
        let down = stage.watch("a");
        let told = ask(&stage.server("a"), Q::Exit(exit.clone())).unwrap_err();
        assert_eq!(told, CallError::Down { name: "a".into(), reason: exit.clone() });
        assert_eq!(wait(down).reason, exit);
        // The next life is there before the next question.
        assert_eq!(ask(&stage.server("a"), Q::Echo("x")).unwrap(), "x");
    }
    stage.end();
}

/// A registered name is stopped with the whole tree: nobody is left under it, and who asks is told so.
#[test]
fn stop4() {
    let stage = Stage::of(&["to_stop"]);
    let (server, relations) = (stage.server("to_stop"), stage.relations().clone());
    let down = stage.watch("to_stop");
    stage.end();
    assert_eq!(wait(down).reason, Exit::Shutdown);
    assert_eq!(relations.living("to_stop"), None);
    let gone = wait(server.call(&NOBODY(), Q::Life, 30_000)).unwrap_err();
    assert_eq!(gone.code(), "noproc");
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("cannot terminate");
    }
}

/// A server that fails while it ends in order has crashed, with that reason.
#[test]
fn undef_in_terminate() {
    let script = Script::new();
    script.on("a", |mut context| async move {
        context.links.keep(Rc::new(Bomb));
        context.control.started();
        context.control.stop().await;
        Exit::Shutdown
    });
    let runtime = run(1, &script, supervisor("root", lenient(), workers(vec![node("a")])));
    runtime.wait_up().unwrap();
    let down = runtime.node().registry().relations().monitor("a").unwrap();
    stop(runtime);
    let reason = wait(down).reason;
    assert!(
        reason.code() == "crash" && reason.to_string().contains("cannot terminate"),
        "{reason}"
    );
}
