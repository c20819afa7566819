//! `kill -9` at random while agents read a service outside, write to it under keys, and write to it once.
//!
//! One round: start, let an operator settle what is in doubt by what the outside has seen, send fresh messages, and kill a random
//! moment after the outside has seen a random number of their requests. A kill counts when work was waiting.

use crate::calls::{Orders, call, note};
use crate::dice::Dice;
use crate::node::{self, Node};
use crate::verdict;
use crate::{Options, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Agents that call.
const CALLERS: usize = 2;

/// Calls of each class that have an outside, in each message.
const CALLS: usize = 2;

/// Classes of calls that the outside sees.
const OUTSIDE: [&str; 3] = ["observe", "keyed", "once"];

/// A kill comes so long after a request at most: about what lies between two of them.
const LATER_MAX: Duration = Duration::from_millis(8);

/// How long the requests of a round may take.
const ROUND_MAX: Duration = Duration::from_secs(60);

struct Run<'a> {
    options: &'a Options,
    data: PathBuf,
    orders: Orders,
    dice: Dice,
    kills: usize,
    late: usize,
    with_open_turn: usize,
}

/// Runs it and gives the summary.
pub(crate) fn run(options: &Options) -> Result<Value> {
    let began = Instant::now();
    let mut run = Run {
        options,
        data: options.work.join("calls.data"),
        orders: Orders::new()?,
        dice: Dice::new(options.seed),
        kills: 0,
        late: 0,
        with_open_turn: 0,
    };
    while run.kills < options.kills {
        run.round()?;
        if run.late > 2 * options.kills + 10 {
            return Err("most kills came too late".into());
        }
    }
    let mut node = run.start()?;
    run.orders.settle(&mut node)?;
    run.orders.charged(&node, CALLS)?;
    node.stop()?;
    let judged = run.orders.judge(&run.data)?;
    if run.with_open_turn < options.open {
        run.orders.wrong.push(format!("only {} kills met an open turn", run.with_open_turn));
    }
    verdict::tell(&run.orders.wrong);
    println!(
        "{} kill -9, {} with a turn open, while {} messages made calls outside: {} doubts resolved as done, {} sent once more, {}",
        run.kills,
        run.with_open_turn,
        run.orders.all.len(),
        run.orders.done,
        run.orders.retried,
        judged["outside"]
    );
    Ok(json!({
        "scenario": "calls", "ok": run.orders.wrong.is_empty(), "kills": run.kills, "late_kills": run.late,
        "kills_with_open_turn": run.with_open_turn, "judged": judged, "findings": run.orders.wrong.len(),
        "seconds": began.elapsed().as_secs(), "seed": options.seed,
    }))
}

impl Run<'_> {
    fn start(&self) -> Result<Node> {
        let set = format!("host={}", self.orders.outside.host);
        Ok(Node::start_with(self.options, &self.data, &set, None)?.0)
    }

    fn fresh(&mut self) {
        for _ in 0..self.options.files {
            let mark = format!("m-{:06}-x", self.orders.all.len());
            let host = self.orders.outside.host.clone();
            let mut steps = vec![call("pure", &mark, &host)];
            for n in 0..CALLS {
                // The first of a kind bears the mark itself, which the judge looks for.
                let of = if n == 0 { mark.clone() } else { format!("{mark}-{n}") };
                steps.extend(OUTSIDE.map(|class| call(class, &of, &host)));
            }
            steps.extend([call("staged", &mark, &host), note(&mark)]);
            let to = format!("caller-{}", self.dice.roll(CALLERS));
            self.orders.add(mark, &to, steps.into());
        }
    }

    fn round(&mut self) -> Result<()> {
        let mut node = self.start()?;
        self.orders.settle(&mut node)?;
        self.fresh();
        let requests = self.options.files * CALLS * OUTSIDE.len();
        let enough = self.orders.outside.total() + self.dice.roll(requests);
        let later = self.dice.within(LATER_MAX);
        self.orders.send(&mut node.door()?)?;
        let began = Instant::now();
        while self.orders.outside.total() < enough {
            if began.elapsed() > ROUND_MAX || !node.lives()? {
                return Err("the requests of a round never came".into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(later);
        node.kill()?;
        let open = !node::open_turns(&self.data)?.is_empty();
        if !open && verdict::waiting(&self.data, &self.options.work.join("copy"))? == 0 {
            self.late += 1;
            return Ok(());
        }
        self.kills += 1;
        self.with_open_turn += usize::from(open);
        if self.kills.is_multiple_of(10) {
            println!("{} kills, {} messages", self.kills, self.orders.all.len());
        }
        Ok(())
    }
}
