//! The workload: messages to four agents, each with an effect that can be counted afterwards, and the record of what was
//! acknowledged when.

use crate::node::{Door, Node};
use crate::{Options, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Agents of the fleet.
pub(crate) const AGENTS: usize = 4;

/// How long the work of a fleet may take to come to its end.
const DRAIN_MAX: Duration = Duration::from_secs(120);

/// How often an outside process looks: nobody tells it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A message, and what the record of changes was like when it was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) key: String,
    /// Its id and the length of the record of changes, once acknowledged.
    pub(crate) acked: Option<(String, u64)>,
}

/// What the messages must have left in the brains: each once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// By agent and key: the value.
    pub(crate) keys: BTreeMap<(String, String), String>,
    /// By agent and text: how often.
    pub(crate) notes: BTreeMap<(String, String), u64>,
}

pub(crate) fn agent(index: usize) -> String {
    format!("a{}", index % AGENTS)
}

/// Whether the agent of this message calls the next one. The last agent does not: agents that wait for each other in a
/// circle are told so, and a message that is told so has no effect.
fn calls(index: usize) -> bool {
    index % AGENTS != AGENTS - 1
}

/// The messages: values, counts, notes, messages sent on and calls from agent to agent.
pub(crate) fn messages(count: usize) -> Vec<Message> {
    let message = |index: usize| {
        let (to, other) = (agent(index), agent(index + 1));
        let body = match index % 5 {
            0 => "count".to_owned(),
            1 => format!("put k{index} {index}"),
            2 => format!("append note {index}"),
            3 => format!(
                "call agent.send {}",
                json!({"to": other, "body": format!("put s{index} {index}")})
            ),
            _ if calls(index) => {
                format!("call agent.call {}", json!({"to": other, "body": "count"}))
            }
            _ => "count".to_owned(),
        };
        Message { to, body, key: format!("disk:{index}"), acked: None }
    };
    (0..count).map(message).collect()
}

/// What `count` messages leave, all of them done once.
pub(crate) fn effects(count: usize) -> Effects {
    let mut effects = Effects::default();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for index in 0..count {
        let (to, other) = (agent(index), agent(index + 1));
        let mut put = |agent: String, key: String| {
            effects.keys.insert((agent, key), index.to_string());
        };
        match index % 5 {
            0 => *counts.entry(to).or_default() += 1,
            1 => put(to, format!("k{index}")),
            2 => *effects.notes.entry((to, format!("note {index}"))).or_default() += 1,
            3 => put(other, format!("s{index}")),
            _ if calls(index) => *counts.entry(other).or_default() += 1,
            _ => *counts.entry(to).or_default() += 1,
        }
    }
    for (agent, count) in counts {
        effects.keys.insert((agent, "count".to_owned()), count.to_string());
    }
    effects
}

/// Writes the fleet file.
pub(crate) fn fleet(options: &Options) -> Result<PathBuf> {
    let grants = "[(cap: \"store.brain\"), (cap: \"agent.send\", scope: { \"to\": [\"*\"] }), \
                  (cap: \"agent.call\", scope: { \"to\": [\"*\"] })]";
    let agents: String = (0..AGENTS)
        .map(|index| {
            let id = agent(index);
            format!("Agent(id: \"{id}\", module: \"builtin:echo\", grants: {grants}),\n")
        })
        .collect();
    // An injected fault costs an incarnation; the budget is no part of what is tested.
    let text = format!(
        "Fleet(version: 1, name: \"disk\", durability: {}, lanes: 2, root: Supervisor(\
         intensity: 1000, period: \"1s\", children: [\n{agents}]))",
        options.durability
    );
    let file = options.work.join("disk.ron");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// Starts the fleet on `data`, with the shim before it when there are variables for that.
pub(crate) fn start(options: &Options, data: &Path, shim: &[(&str, String)]) -> Result<Node> {
    let mut command = Command::new(&options.loket);
    command.arg("run").arg(options.work.join("disk.ron")).arg("--data").arg(data);
    if !shim.is_empty() {
        command.env("LD_PRELOAD", &options.shim).env("LOKET_DISK_DIR", data);
        command.envs(shim.iter().map(|(name, value)| (name, value)));
    }
    Ok(Node::launch(command, data, &options.work.join("loket.log"))?.0)
}

/// Sends one message; every other one waits for its answer, so that turns stand in the order too. `log` is the record
/// of changes.
pub(crate) fn send(door: &mut Door, message: &mut Message, wait: bool, log: &Path) -> Result<()> {
    let args = json!({"to": message.to, "body": message.body, "key": message.key});
    let answer = door.ask("agent.send", &args)?;
    let id = answer["message"].as_str().ok_or("an acknowledgement without an id")?.to_owned();
    let seen = std::fs::metadata(log).map(|meta| meta.len()).unwrap_or(0);
    match &message.acked {
        Some((before, _)) if *before != id => {
            return Err(format!("{} was message {before}, then {id}", message.key).into());
        }
        Some(_) => {}
        None => message.acked = Some((id, seen)),
    }
    if wait {
        door.ask("agent.call", &args)?;
    }
    Ok(())
}

/// Waits until nothing waits in the fleet, and gives what the ledger counts.
pub(crate) fn drain(node: &mut Node) -> Result<Value> {
    let began = Instant::now();
    while began.elapsed() < DRAIN_MAX {
        if !node.lives()? {
            return Err("the fleet ended while it worked".into());
        }
        let status = node.status()?;
        if status["waiting"] == 0 {
            return Ok(status);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(format!("work was left after {DRAIN_MAX:?}: {}", node.status()?).into())
}
