//! The lane of those who call from outside.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use loket_runtime::NodeConfig;
use loket_supervision::machine::Exit;

#[test]
fn who_calls_from_outside_waits_for_no_lane_and_nobody_is_placed_on_theirs() {
    let script = Script::new();
    let (release, released) = crossbeam_channel::bounded::<()>(1);
    let tell = script.teller();
    script.on("hog", move |mut context| {
        let (tell, released) = (tell.clone(), released.clone());
        async move {
            context.control.started();
            // Let the supervisor hear of it first, then nothing else runs on this lane.
            tokio::task::yield_now().await;
            let _ = tell.send("hog holds its lane".to_owned());
            released.recv_timeout(BOUND).unwrap();
            context.control.stop().await;
            Exit::Shutdown
        }
    });
    let mut all = vec![shard(&script, 0), shard(&script, 1), caller("c", &["s"])];
    all.extend((0..4).map(|number| worker(&format!("w{number}"))));
    all.push(worker("hog"));
    let config = NodeConfig { operator_lane: true, ..NodeConfig::default() };
    let runtime = run_with(config, &script, supervisor("root", lenient(), workers(all)));
    runtime.wait_up().unwrap();
    script.until("hog holds its lane");
    let from = address(&runtime, "c");
    let inside = call(&runtime.node().lanes()[0], from, "s.get", b"");
    assert_eq!(text(call(runtime.node().operator_lane(), from, "s.get", b"")), "1");
    for name in ["w0", "w1", "w2", "w3", "hog", "c"] {
        let lane = runtime.control().view(name).unwrap().lane;
        assert_eq!(lane, Some(0), "{name} is on the operator's lane");
    }
    release.send(()).unwrap();
    assert_eq!(text(inside), "0");
    stop(runtime);
}
