//! Rounds: all agents are sent a message that makes them trap, then one that each must answer, while the tree is looked at.

use crate::fleet::{self, name};
use crate::looks::{self, Looks};
use crate::node::{Door, Node};
use crate::{Options, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Looks at the tree while nothing else happens.
const QUIET_LOOKS: usize = 9;

/// How long an agent may take to answer, milliseconds: far beyond the bound, so that a run that is too slow ends with its figure.
const ANSWER_MS: u64 = 300_000;

/// How long all may take to be started again: as with the answers.
const RESTARTED_MAX: Duration = Duration::from_secs(300);

/// How often the restarts are counted: nobody tells an outside process.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// What one round came to.
struct Round {
    /// From the first trap until the last was accepted.
    sent: Duration,
    /// From the first trap until each agent had been started again.
    restarted: Duration,
    /// From the first trap until each agent had answered.
    back: Duration,
    looks: Looks,
}

/// Runs it and gives the summary.
pub(crate) fn run(options: &Options) -> Result<Value> {
    fleet::write(options)?;
    let data = options.work.join("crowd.data");
    let mut command = std::process::Command::new(&options.loket);
    command.arg("run").arg(&options.fleet).arg("--data").arg(&data);
    let (node, started) = Node::launch(command, &data, &options.work.join("loket.log"))?;
    let up = Memory::of(&node)?;
    let quiet = Looks::some(QUIET_LOOKS, &mut node.door()?, options.agents)?;
    println!(
        "{} agents up after {} ms, {} MiB resident; a look at the tree takes {:.1} ms (median), {:.1} ms at worst",
        options.agents,
        started.as_millis(),
        up.now / 1024,
        ms(quiet.median()),
        ms(quiet.worst())
    );
    // By the first message each gets its brain: agents that crash have worked before.
    let first = spread(&data, options, |door, agent| call(door, agent, "hello"))?;
    println!("each had answered its first message after {} ms", first.as_millis());
    let mut wrong = Vec::new();
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = round(&data, options, number)?;
        println!(
            "round {number}: all traps accepted after {} ms, all agents started again after {} ms, each had answered after {} ms; {} \
             looks at the tree, {:.1} ms (median), {:.1} ms at worst",
            round.sent.as_millis(),
            round.restarted.as_millis(),
            round.back.as_millis(),
            round.looks.0.len(),
            ms(round.looks.median()),
            ms(round.looks.worst())
        );
        if round.restarted > options.back {
            wrong.push(format!("round {number}: back after {} ms", round.restarted.as_millis()));
        }
        if round.looks.worst() > options.look {
            wrong.push(format!("round {number}: a look took {:.1} ms", ms(round.looks.worst())));
        }
        rounds.push(round);
    }
    judge(&node, options, &mut wrong)?;
    let then = Memory::of(&node)?;
    node.stop()?;
    for finding in &wrong {
        eprintln!("WRONG: {finding}");
    }
    let figures: Vec<Value> = rounds.iter().map(Round::figures).collect();
    Ok(json!({
        "ok": wrong.is_empty(), "agents": options.agents, "durability": options.durability,
        "start_ms": started.as_millis(), "first_ms": first.as_millis(), "rounds": figures, "look_quiet_ms": ms(quiet.median()),
        "rss_mib": {"up": up.now / 1024, "end": then.now / 1024, "most": then.most / 1024},
        "findings": wrong,
    }))
}

impl Round {
    fn figures(&self) -> Value {
        json!({
            "sent_ms": self.sent.as_millis(), "restarted_ms": self.restarted.as_millis(),
            "back_ms": self.back.as_millis(), "looks": self.looks.0.len(),
            "look_median_ms": ms(self.looks.median()), "look_worst_ms": ms(self.looks.worst()),
        })
    }
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// One round, with a looker beside it.
fn round(data: &Path, options: &Options, number: usize) -> Result<Round> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let mut door = Door::open(data)?;
            Looks::until(&done, &mut door, options.agents)
        });
        let times = crash(data, options, number);
        done.store(true, Ordering::Release);
        let looks = looker.join().map_err(|_| "the looker panicked")??;
        let (sent, restarted, back) = times?;
        Ok(Round { sent, restarted, back, looks })
    })
}

/// A trap for everybody, then a call of everybody: how long after the first trap each had been accepted, led to a restart, and
/// been followed by an answer.
fn crash(data: &Path, options: &Options, number: usize) -> Result<(Duration, Duration, Duration)> {
    let trap = |door: &mut Door, agent| {
        door.ask("agent.send", &json!({"to": name(agent), "body": "trap"})).map(drop)
    };
    let began = Instant::now();
    let sent = spread(data, options, trap)?;
    let (mut door, all) = (Door::open(data)?, number * options.agents);
    while door.ask("agent.status", &json!({}))?["restarts"].as_u64() < Some(all as u64) {
        if began.elapsed() > RESTARTED_MAX {
            return Err(format!("not restarted after {RESTARTED_MAX:?}").into());
        }
        std::thread::sleep(COUNT_EVERY);
    }
    let restarted = began.elapsed();
    spread(data, options, |door, agent| call(door, agent, "are you there?"))?;
    Ok((sent, restarted, began.elapsed()))
}

/// Calls an agent, which must answer what it was sent.
fn call(door: &mut Door, agent: usize, words: &str) -> Result<()> {
    let (to, body) = (name(agent), format!("{words} {agent}"));
    let args = json!({"to": to, "body": body, "timeout_ms": ANSWER_MS});
    let answer = door.ask("agent.call", &args)?;
    if answer != json!(body) {
        return Err(format!("{to} answered {answer}").into());
    }
    Ok(())
}

/// Does something to each agent, over so many connections at the same time; how long that took.
fn spread(
    data: &Path,
    options: &Options,
    deed: impl Fn(&mut Door, usize) -> Result<()> + Sync,
) -> Result<Duration> {
    let began = Instant::now();
    let share = |own: usize| -> Result<()> {
        let mut door = Door::open(data)?;
        (own..options.agents).step_by(options.senders).try_for_each(|agent| deed(&mut door, agent))
    };
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..options.senders)
            .map(|own| {
                scope.spawn({
                    let share = &share;
                    move || share(own)
                })
            })
            .collect();
        for sender in senders {
            sender.join().map_err(|_| "a sender panicked")??;
        }
        Ok(began.elapsed())
    })
}

/// Each agent crashed once a round and lives in the life after that; nothing was lost.
fn judge(node: &Node, options: &Options, wrong: &mut Vec<String>) -> Result<()> {
    let all = looks::agents(&mut node.door()?, options.agents)?;
    let rounds = options.rounds as u64;
    let off = |agent: &&Value| {
        agent["state"] != "running"
            || agent["restarts"] != rounds
            || agent["incarnation"] != rounds + 1
            || agent["mailbox"]["depth"] != 0
    };
    let odd: Vec<_> = all.iter().filter(off).collect();
    if let Some(first) = odd.first() {
        wrong.push(format!("{} agents are not what they should be: {first}", odd.len()));
    }
    let status = node.status()?;
    let crashes = rounds * options.agents as u64;
    for (what, expected) in [
        ("restarts", crashes),
        ("letters_made", crashes),
        ("completed", crashes + options.agents as u64),
        ("lost", 0),
        ("waiting", 0),
    ] {
        if status[what] != expected {
            wrong.push(format!("{what} is {}, not {expected}", status[what]));
        }
    }
    Ok(())
}

/// Resident memory of the fleet in KiB.
struct Memory {
    now: u64,
    most: u64,
}

impl Memory {
    fn of(node: &Node) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", node.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().nth(1));
            number.ok_or_else(|| format!("no {name} of the fleet"))
        };
        Ok(Self { now: field("VmRSS")?.parse()?, most: field("VmHWM")?.parse()? })
    }
}
