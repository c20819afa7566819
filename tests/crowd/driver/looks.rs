//! Looks at the whole tree, one after the other, and how long each took.

use crate::Result;
use crate::fleet::ROOT;
use crate::node::Door;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two looks. Without a pause the looks themselves are the load: each writes out all agents.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Bytes of an agent in the tree's answer at least: its keys alone are more.
const AGENT_BYTES: usize = 100;

/// What looks took, in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Looks(pub(crate) Vec<Duration>);

impl Looks {
    /// Looks until `done`, and once at least. Each answer must show all agents.
    pub(crate) fn until(done: &AtomicBool, door: &mut Door, agents: usize) -> Result<Self> {
        let mut looks = Self::default();
        loop {
            let last = done.load(Ordering::Acquire);
            looks.0.push(timed(door, agents)?);
            if last {
                return Ok(looks);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// So many, one after the other.
    pub(crate) fn some(count: usize, door: &mut Door, agents: usize) -> Result<Self> {
        let looks = (0..count).map(|_| timed(door, agents));
        Ok(Self(looks.collect::<Result<_>>()?))
    }

    pub(crate) fn worst(&self) -> Duration {
        self.0.iter().copied().max().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

/// One look at the whole tree: how long the answer took. It is not read here, for that takes the machine longer than the answer.
fn timed(door: &mut Door, agents: usize) -> Result<Duration> {
    let began = Instant::now();
    let answer = door.ask_bytes("agent.tree", &json!({}))?;
    let took = began.elapsed();
    if !answer.starts_with(b"{\"ok\":{")
        || !answer.ends_with(b"}}\n")
        || answer.len() < agents * AGENT_BYTES
    {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        return Err(
            format!("{} bytes are no tree of {agents} agents: {start}", answer.len()).into()
        );
    }
    Ok(took)
}

/// What the tree says of the agents now.
pub(crate) fn agents(door: &mut Door, agents: usize) -> Result<Vec<Value>> {
    let mut tree = door.ask("agent.tree", &json!({}))?;
    let children = tree["children"].as_array_mut();
    let root = children.and_then(|all| all.iter_mut().find(|child| child["id"] == ROOT));
    let Some(Value::Array(all)) = root.map(|root| root["children"].take()) else {
        return Err("the tree does not show the agents".into());
    };
    if all.len() != agents {
        return Err(format!("the tree shows {} of {agents} agents", all.len()).into());
    }
    Ok(all)
}
