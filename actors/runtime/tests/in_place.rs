//! Delivery in place is the way through the queue, only shorter: each story is told twice, once each way, and must be the same.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_kernel::Address;
use loket_runtime::{
    ChildContext, Door, LaneChoice, Mailbox, NodeConfig, ProviderWork, Registry, Reply, Runtime,
    TreeControl, WorkerNode,
};
use loket_supervision::machine::Exit;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot::Receiver;

/// How many calls a provider took in place, over all its lives.
type Taken = Arc<AtomicUsize>;

/// A provider that takes in place what it may: answers with its incarnation and a count, dies on `panic`.
async fn at_home(mut context: ChildContext, taken: Taken) -> Exit {
    let Door::Provider(mailbox) = context.door.clone() else { return Exit::NoProc };
    let (incarnation, lane) = (context.incarnation, context.lane.clone());
    let served = Rc::new(RefCell::new(0));
    let answer = move |served: &mut u64, work: ProviderWork| {
        let ProviderWork::Call(call) = work else { return };
        let (badge, _, args, cargo) = call.into_parts();
        assert!(args != b"panic", "asked to");
        if args == b"again" {
            // The kernel and this provider are at work further up the stack.
            let inner = call_again(&lane, badge.caller());
            INNER.with_borrow_mut(|all| all.push(inner));
        }
        *served += 1;
        let text = format!("{} by {incarnation}, its {served}.", String::from_utf8_lossy(&args));
        let _ = cargo.reply.send(done(text.into_bytes()));
    };
    let (answer, count) = (Rc::new(answer), Rc::clone(&served));
    let take = Rc::clone(&answer);
    let _in_place = context.take_in_place(&mailbox, move |slot| {
        taken.fetch_add(1, Ordering::Relaxed);
        if let Some(work) = slot.take() {
            take(&mut count.borrow_mut(), work);
        }
    });
    context.control.started();
    loop {
        let work = tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            work = mailbox.recv() => work,
        };
        answer(&mut served.borrow_mut(), work);
    }
}

fn call_again(lane: &loket_runtime::Lane, from: Address) -> Receiver<Reply> {
    call(lane, from, "p.do", b"inner")
}

thread_local! {
    /// Answers to calls that the provider made while it took one: the caller is on the same thread.
    static INNER: RefCell<Vec<Receiver<Reply>>> = const { RefCell::new(Vec::new()) };
}

/// What the caller has of the node.
type Hands = (Arc<Registry>, Arc<dyn TreeControl>);

/// What a call came to, awaited on the lane.
async fn asked(lane: &loket_runtime::Lane, from: Address, args: &str) -> String {
    said(call(lane, from, "p.do", args.as_bytes()).await)
}

fn said(answer: Result<Reply, tokio::sync::oneshot::error::RecvError>) -> String {
    match answer {
        Ok(Reply::Done { outcome: Ok(text), .. }) => String::from_utf8(text).unwrap(),
        Ok(other) => format!("{other:?}"),
        Err(_) => "dropped".to_owned(),
    }
}

fn from((registry, _): &Hands) -> Address {
    let place = registry.find("c").unwrap();
    Address { principal: place.principal().unwrap(), incarnation: place.incarnation() }
}

/// Runs a node of one lane with the provider `p` and a caller that does this on the lane; gives what the caller told, how many
/// calls were taken in place, and the node.
fn told<F, Fut>(in_place: bool, calls: F) -> (Vec<String>, usize, Runtime)
where
    F: Fn(loket_runtime::Lane, Hands) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<String>> + 'static,
{
    told_from(0, in_place, &Script::new(), Vec::new(), calls)
}

/// The same with the provider on this lane, the caller on the first, and these children beside them.
fn told_from<F, Fut>(
    lane: usize,
    in_place: bool,
    script: &Script,
    others: Vec<WorkerNode>,
    calls: F,
) -> (Vec<String>, usize, Runtime)
where
    F: Fn(loket_runtime::Lane, Hands) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<String>> + 'static,
{
    let taken = Taken::default();
    let count = Arc::clone(&taken);
    script.on("p", move |context| at_home(context, Arc::clone(&count)));
    let tell = script.teller();
    let (go, gone) = crossbeam_channel::bounded::<Hands>(1);
    let calls = Arc::new(calls);
    script.on("c", move |mut context| {
        let (tell, gone, calls) = (tell.clone(), gone.clone(), Arc::clone(&calls));
        async move {
            context.control.started();
            // The test hands it over once the node is up.
            let hands = loop {
                match gone.try_recv() {
                    Ok(hands) => break hands,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            for text in calls(context.lane.clone(), hands).await {
                let _ = tell.send(text);
            }
            let _ = tell.send("over".to_owned());
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let on = |lane, node| WorkerNode { lane: LaneChoice::Lane(lane), ..node };
    let mut all = others;
    all.push(on(lane, provider("p", 8, &["p.do"])));
    all.push(on(0, caller("c", &["p.do", "chain.do"])));
    let config = NodeConfig { in_place, lanes: lane + 1, ..NodeConfig::default() };
    let runtime = run_with(config, script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    go.send((Arc::clone(runtime.node().registry()), runtime.control())).unwrap();
    let told = script.until("over");
    let taken = taken.load(Ordering::Relaxed);
    (told, taken, runtime)
}

#[test]
fn calls_one_after_the_other_are_all_taken_in_place_and_answered_the_same() {
    let calls = |lane: loket_runtime::Lane, hands: Hands| async move {
        let mut all = Vec::new();
        // The provider's first poll is behind it once it has answered.
        for n in 0..5 {
            all.push(asked(&lane, from(&hands), &n.to_string()).await);
        }
        all
    };
    let (place, taken, runtime) = told(true, calls);
    stop(runtime);
    let (queue, none, runtime) = told(false, calls);
    stop(runtime);
    assert_eq!(place, queue);
    assert_eq!(place, (0..5).map(|n| format!("{n} by 1, its {}.", n + 1)).collect::<Vec<_>>());
    assert!(taken >= 4 && none == 0, "{taken} and {none}");
}

#[test]
fn what_is_sent_without_waiting_stays_in_order() {
    let calls = |lane: loket_runtime::Lane, hands: Hands| async move {
        let first = asked(&lane, from(&hands), "first").await;
        let address = from(&hands);
        let all: Vec<_> =
            (0..6).map(|n| call(&lane, address, "p.do", n.to_string().as_bytes())).collect();
        let mut told = vec![first];
        for answer in all {
            told.push(format!("{:?}", answer.await.unwrap()));
        }
        told
    };
    let (place, _, runtime) = told(true, calls);
    stop(runtime);
    let (queue, _, runtime) = told(false, calls);
    stop(runtime);
    assert_eq!(place, queue);
}

#[test]
fn a_panic_in_place_ends_the_receiver_alone_and_what_is_sent_after_it_waits_for_the_next_life() {
    let calls = |lane: loket_runtime::Lane, hands: Hands| async move {
        let mut told = vec![asked(&lane, from(&hands), "before").await];
        let address = from(&hands);
        let broken = call(&lane, address, "p.do", b"panic");
        // Sent before the receiver's cell has been polled again.
        let waits = call(&lane, address, "p.do", b"after");
        told.push(format!("{}", broken.await.is_err()));
        told.push(format!("{:?}", waits.await.unwrap()));
        told
    };
    for in_place in [true, false] {
        let (told, taken, runtime) = told(in_place, calls);
        assert_eq!(told[0], "before by 1, its 1.");
        assert_eq!(told[1], "true", "the call that broke it is not answered");
        let after = format!("{:?}", done(b"after by 2, its 1.".to_vec()));
        assert_eq!(told[2], after);
        assert!(in_place == (taken > 0), "{taken}");
        let registry = runtime.node().registry();
        let (broken, whole) = (registry.find("p").unwrap(), registry.find("c").unwrap());
        assert_eq!((broken.restarts(), whole.restarts()), (1, 0));
        let exit = broken.last_exit().unwrap().to_string();
        assert!(exit.contains("asked to"), "{exit}");
        stop(runtime);
    }
}

#[test]
fn a_receiver_that_is_killed_or_asked_to_stop_takes_nothing_any_more() {
    let calls = |lane: loket_runtime::Lane, hands: Hands| async move {
        let mut told = vec![asked(&lane, from(&hands), "before").await];
        hands.1.kill("p").unwrap();
        // The kill has no poll of the receiver behind it yet: in place the old life would still answer.
        told.push(asked(&lane, from(&hands), "after").await);
        told
    };
    for in_place in [true, false] {
        let (told, _, runtime) = told(in_place, calls);
        assert_eq!(told, ["before by 1, its 1.", "after by 2, its 1."]);
        stop(runtime);
    }
}

#[test]
fn a_call_from_inside_a_call_is_queued_and_answered_after_it() {
    let calls = |lane: loket_runtime::Lane, hands: Hands| async move {
        let mut told = vec![asked(&lane, from(&hands), "first").await];
        told.push(asked(&lane, from(&hands), "again").await);
        let inner = INNER.with_borrow_mut(Vec::pop).unwrap();
        told.push(said(inner.await));
        told
    };
    for in_place in [true, false] {
        let (told, _, runtime) = told(in_place, calls);
        assert_eq!(told, ["first by 1, its 1.", "again by 1, its 2.", "inner by 1, its 3."]);
        stop(runtime);
    }
}

#[test]
fn a_receiver_on_another_lane_takes_nothing_in_place() {
    let calls = |lane: loket_runtime::Lane, hands: Hands| async move {
        let mut told = Vec::new();
        for n in 0..5 {
            told.push(asked(&lane, from(&hands), &n.to_string()).await);
        }
        told
    };
    let (told, taken, runtime) = told_from(1, true, &Script::new(), Vec::new(), calls);
    stop(runtime);
    assert_eq!(told, (0..5).map(|n| format!("{n} by 1, its {}.", n + 1)).collect::<Vec<_>>());
    assert_eq!(taken, 0);
}

#[test]
fn a_caller_whose_calls_are_all_taken_in_place_leaves_the_lane_to_others() {
    const CALLS: usize = 5_000;
    for in_place in [true, false] {
        let (script, polls) = (Script::new(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&polls);
        script.on("q", move |mut context| {
            let count = Arc::clone(&count);
            async move {
                context.control.started();
                while !context.control.is_stopping() {
                    count.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                Exit::Shutdown
            }
        });
        let seen = Arc::clone(&polls);
        let calls = move |lane: loket_runtime::Lane, hands: Hands| {
            let seen = Arc::clone(&seen);
            async move {
                asked(&lane, from(&hands), "first").await;
                let before = seen.load(Ordering::Relaxed);
                for _ in 0..CALLS {
                    asked(&lane, from(&hands), "more").await;
                }
                vec![(seen.load(Ordering::Relaxed) - before).to_string()]
            }
        };
        let others = vec![WorkerNode { lane: LaneChoice::Lane(0), ..worker("q") }];
        let (told, taken, runtime) = told_from(0, in_place, &script, others, calls);
        stop(runtime);
        assert!(in_place == (taken >= CALLS), "{taken}");
        let turns: usize = told[0].parse().unwrap();
        assert!(turns >= CALLS / 256, "the other child had {turns} turns in {CALLS} calls");
    }
}

/// A provider that hands each call on to the next one; the last one answers. Notes how many are at work inside one another.
async fn link(
    mut context: ChildContext,
    at: usize,
    doors: Arc<Mutex<Vec<Option<Mailbox<ProviderWork>>>>>,
    deepest: Arc<AtomicUsize>,
) -> Exit {
    thread_local! {
        static DEPTH: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }
    let Door::Provider(mailbox) = context.door.clone() else { return Exit::NoProc };
    doors.lock().unwrap()[at] = Some(mailbox.clone());
    let pass = Rc::new(move |work: ProviderWork| {
        deepest.fetch_max(DEPTH.get(), Ordering::Relaxed);
        let next = doors.lock().unwrap().get(at + 1).cloned().flatten();
        match (next, work) {
            (Some(next), work) => next.send(work).unwrap(),
            (None, ProviderWork::Call(call)) => {
                let _ = call.into_parts().3.reply.send(done(b"the end".to_vec()));
            }
            (None, _) => {}
        }
    });
    let take = Rc::clone(&pass);
    let _in_place = context.take_in_place(&mailbox, move |slot| {
        DEPTH.set(DEPTH.get() + 1);
        if let Some(work) = slot.take() {
            take(work);
        }
        DEPTH.set(DEPTH.get() - 1);
    });
    context.control.started();
    loop {
        let work = tokio::select! {
            biased;
            () = context.control.stop() => return Exit::Shutdown,
            work = mailbox.recv() => work,
        };
        pass(work);
    }
}

#[test]
fn a_long_chain_of_receivers_uses_the_queues_before_it_uses_up_the_stack() {
    const LINKS: usize = 40;
    for in_place in [true, false] {
        let (script, deepest) = (Script::new(), Arc::new(AtomicUsize::new(0)));
        let doors = Arc::new(Mutex::new(vec![None; LINKS]));
        let mut others = Vec::new();
        for at in 0..LINKS {
            let (doors, deepest) = (Arc::clone(&doors), Arc::clone(&deepest));
            let name = format!("link/{at}");
            script.on(&name, move |context| {
                link(context, at, Arc::clone(&doors), Arc::clone(&deepest))
            });
            let serves: &[&str] = if at == 0 { &["chain.do"] } else { &["no.one"] };
            let mut node = provider(&name, 4, serves);
            if at > 0 {
                node.serves = None;
            }
            others.push(WorkerNode { lane: LaneChoice::Lane(0), ..node });
        }
        let calls = |lane: loket_runtime::Lane, hands: Hands| async move {
            let mut told = Vec::new();
            for _ in 0..3 {
                told.push(said(call(&lane, from(&hands), "chain.do", b"go").await));
            }
            told
        };
        let (told, _, runtime) = told_from(0, in_place, &script, others, calls);
        stop(runtime);
        assert_eq!(told, ["the end", "the end", "the end"]);
        assert_eq!(deepest.load(Ordering::Relaxed), if in_place { 8 } else { 0 });
    }
}
