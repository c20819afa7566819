//! The fleet: so many agents below one supervisor, which may restart each of them in every round.

use crate::{Options, Result};
use std::fmt::Write;

/// The supervisor of all agents.
pub(crate) const ROOT: &str = "root";

/// Who the agent of this number is.
pub(crate) fn name(agent: usize) -> String {
    format!("a{agent}")
}

/// Writes the fleet file.
pub(crate) fn write(options: &Options) -> Result<()> {
    let Options { durability, agents, rounds, .. } = options;
    let intensity = agents * rounds;
    let mut text = format!(
        "// Written by tests/crowd. One attempt a message, so that each trap is one crash and the next message finds a new life.\n\
         Fleet(version: 1, name: \"crowd\", durability: {durability}, defaults: (max_attempts: 1),\n\
         root: Supervisor(intensity: {intensity}, period: \"1h\", children: [\n"
    );
    for agent in 0..*agents {
        writeln!(text, "    Agent(id: \"{}\", module: \"builtin:echo\"),", name(agent))?;
    }
    text.push_str("]))\n");
    std::fs::write(&options.fleet, text)?;
    Ok(())
}
