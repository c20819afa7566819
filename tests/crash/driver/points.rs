//! The process ends at each fail point of each effect class, `--kills` times each; and the caller's group restarts while a Once call is
//! out, as often.
//!
//! One message a crash: its mark arms the point, so that the run that makes up for it passes the same place unharmed.

use crate::calls::{Orders, call, note};
use crate::node::Node;
use crate::verdict;
use crate::{Options, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CLASSES: [&str; 6] = ["pure", "staged", "observe", "keyed", "once", "side"];

const POINTS: [&str; 5] =
    ["before_intent", "after_intent", "after_call", "after_reply", "after_completion"];

/// How long the process may take to come to the place.
const CRASH_MAX: Duration = Duration::from_secs(60);

/// Where a Once call that left, or may have left, has no result: there, and nowhere else, it is in doubt.
const IN_DOUBT: [&str; 2] = ["after_intent", "after_call"];

struct Points<'a> {
    options: &'a Options,
    data: PathBuf,
    orders: Orders,
    crashes: usize,
    doubts: usize,
}

/// Runs it and gives the summary.
pub(crate) fn run(options: &Options) -> Result<Value> {
    let began = Instant::now();
    let data = options.work.join("points.data");
    let mut points = Points { options, data, orders: Orders::new()?, crashes: 0, doubts: 0 };
    for round in 0..options.kills {
        for class in CLASSES {
            for point in POINTS {
                points.crash(class, point, round)?;
            }
        }
        println!("{} crashes, {} calls in doubt", points.crashes, points.doubts);
    }
    let late = points.late_answers()?;
    let judged = points.orders.judge(&points.data)?;
    let wrong = &points.orders.wrong;
    verdict::tell(wrong);
    println!(
        "{} crashes at {} points of {} classes, {} calls in doubt, {late} late answers taken: {} findings",
        points.crashes,
        POINTS.len(),
        CLASSES.len(),
        points.doubts,
        wrong.len()
    );
    Ok(json!({
        "scenario": "points", "ok": wrong.is_empty(), "crashes": points.crashes, "doubts": points.doubts,
        "late_answers": late, "judged": judged, "findings": wrong.len(), "seconds": began.elapsed().as_secs(),
    }))
}

impl Points<'_> {
    fn start(&self, fail_point: Option<&str>) -> Result<Node> {
        let set = format!("host={}", self.orders.outside.host);
        Ok(Node::start_with(self.options, &self.data, &set, fail_point)?.0)
    }

    /// One message, one crash, and the run that makes up for it.
    fn crash(&mut self, class: &str, point: &str, round: usize) -> Result<()> {
        let mark = format!("m-{class}-{point}-{round}-x");
        let steps = json!([call(class, &mark, &self.orders.outside.host), note(&mark)]);
        self.orders.add(mark.clone(), "caller-0", steps);
        let mut node = self.start(Some(&format!("{point}:{class}:{mark}")))?;
        // The process may be gone before its acknowledgement: then the message is sent again under the same key.
        let _ = node.door().and_then(|mut door| self.orders.send(&mut door));
        if !node.ends(CRASH_MAX)? {
            self.orders.wrong.push(format!("{mark}: the process never came to its fail point"));
            return node.stop();
        }
        self.crashes += 1;
        let path = format!("/{class}/{mark}");
        let seen = self.orders.outside.count(&path);
        let reached = point != "before_intent" && point != "after_intent";
        if ["observe", "keyed", "once"].contains(&class) && seen != usize::from(reached) {
            self.orders.wrong.push(format!("{mark}: the outside saw it {seen} times at the crash"));
        }
        let mut node = self.start(None)?;
        let doubts = self.orders.settle(&mut node)?;
        self.doubts += doubts;
        let expected = usize::from(class == "once" && IN_DOUBT.contains(&point));
        if doubts != expected {
            self.orders.wrong.push(format!("{mark}: {doubts} calls in doubt, not {expected}"));
        }
        node.stop()
    }

    /// The caller's supervisor, and with it the caller, is killed while its Once call is out: the answer that comes then is taken.
    fn late_answers(&mut self) -> Result<usize> {
        let mut node = self.start(None)?;
        let mut taken = 0;
        for round in 0..self.options.kills {
            let mark = format!("m-late-{round}-x");
            let path = format!("/once/{mark}");
            let steps = json!([call("once", &mark, &self.orders.outside.host), note(&mark)]);
            self.orders.outside.hold(true);
            self.orders.add(mark.clone(), "caller-1", steps);
            let mut door = node.door()?;
            self.orders.send(&mut door)?;
            until(|| Ok(self.orders.outside.count(&path) == 1))?;
            let before = incarnation(&node)?;
            door.ask("agent.kill", &json!({"child": "callers"}))?;
            until(|| Ok(incarnation(&node)? > before))?;
            let doubts = Orders::doubts(&mut door)?;
            self.orders.outside.hold(false);
            let settled = self.orders.settle(&mut node)?;
            if doubts.len() + settled > 0 {
                self.orders.wrong.push(format!("{mark}: in doubt, though its provider lived"));
            } else {
                taken += 1;
            }
        }
        node.stop()?;
        Ok(taken)
    }
}

/// The number of the caller's running life; 0 while it does not run.
fn incarnation(node: &Node) -> Result<u64> {
    fn find(tree: &Value) -> Option<u64> {
        if tree["id"] == "caller-1" && tree["state"] == "running" {
            return tree["incarnation"].as_u64();
        }
        tree["children"].as_array()?.iter().find_map(find)
    }
    Ok(find(&node.door()?.ask("agent.tree", &json!({}))?).unwrap_or(0))
}

fn until(mut look: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !look()? {
        if began.elapsed() > CRASH_MAX {
            return Err("it did not come about within 60 s".into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
