//! Kill after kill while one and the same turn is open: it ends all the same, once.

use crate::dice::Dice;
use crate::node::{self, Node, OpenTurn};
use crate::sends::{Sends, drained};
use crate::verdict::{self, Verdict};
use crate::work::Docs;
use crate::{Options, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of the one file: reading it takes long enough to be met every time, without a delay put anywhere.
const FILE_BYTES: usize = 6_000_000;

/// How long a turn may take to open: it waits longer after each death of the process (rule B2).
const OPEN_MAX: Duration = Duration::from_secs(60);

/// A kill comes at a random moment up to so long after the turn was seen open.
const LATER_MAX: Duration = Duration::from_millis(60);

/// How long the turn may take once nobody kills it.
const END_MAX: Duration = Duration::from_secs(120);

/// Runs it and gives the summary.
pub(crate) fn run(options: &Options) -> Result<Value> {
    let began = Instant::now();
    let data = options.work.join("crash.data");
    let (mut docs, mut sends) = (Docs::new(&options.work)?, Sends::new(&options.work)?);
    let mut dice = Dice::new(options.seed);
    sends.add(docs.fresh_of(&mut dice, FILE_BYTES)?, "reader-0".to_owned());
    let mut victim = None;
    let mut kills = 0;
    while kills < options.kills {
        let (mut node, _) = Node::start(options, &data, &docs.root())?;
        for index in sends.unacknowledged() {
            sends.send(&mut node.door()?, &docs, index)?;
        }
        opened(&mut node, &data)?;
        std::thread::sleep(dice.within(LATER_MAX));
        node.kill()?;
        let open = node::open_turns(&data)?;
        let [OpenTurn { life, n, boot }] = open.as_slice() else {
            return Err(
                format!("the kill met {open:?}, not one open turn; use a larger file").into()
            );
        };
        kills += 1;
        println!("kill {kills}: turn {n} of life {life} was open in start {boot}");
        if *victim.get_or_insert((*life, *n)) != (*life, *n) {
            return Err("the kill met another turn than those before it".into());
        }
    }
    let (mut node, _) = Node::start(options, &data, &docs.root())?;
    let status = drained(&mut node, END_MAX)?;
    node.stop()?;
    let verdict = verdict::of(&data, &docs, &sends)?;
    Ok(summary(options, kills, &status, &verdict, began.elapsed()))
}

/// Waits until the turn is open in this start.
fn opened(node: &mut Node, data: &Path) -> Result<()> {
    let began = Instant::now();
    while node::open_turns(data)?.is_empty() {
        if began.elapsed() > OPEN_MAX || !node.lives()? {
            return Err(format!("no turn was open within {} s", OPEN_MAX.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn summary(
    options: &Options,
    kills: usize,
    status: &Value,
    verdict: &Verdict,
    took: Duration,
) -> Value {
    let mut wrong = verdict.findings.clone();
    if status["lost"] != json!(0) || status["completed"] != json!(1) {
        wrong.push(format!("one message was to be completed: {status}"));
    }
    verdict::tell(&wrong);
    println!(
        "{kills} kill -9 in a row met the same turn; it was completed {} time(s)",
        status["completed"]
    );
    json!({
        "scenario": "same-turn", "ok": wrong.is_empty(), "kills": kills, "completed": status["completed"],
        "lost": verdict.lost, "double": verdict.double, "not_whole": verdict.not_whole,
        "dead_letters": verdict.letters, "integrity_failures": verdict.damaged, "passages": verdict.passages,
        "status": status, "seconds": took.as_secs(), "seed": options.seed,
    })
}
