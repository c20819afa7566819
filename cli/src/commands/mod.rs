//! One file per subcommand.

mod ask;
mod bench;
mod check;
mod explain;
mod letters;
mod messages;
mod run;
mod settle;
mod simulate;
mod status;
mod tree;
mod turns;
mod version;

pub(crate) use messages::readable;
pub(crate) use status::text as status_line;
pub(crate) use tree::draw as draw_tree;

use crate::args::{Args, Command};
use crate::exit::{CliError, Code};

/// Runs what was asked.
pub(crate) fn dispatch(args: Args) -> Result<Code, CliError> {
    let json = args.json;
    match args.command {
        Command::Run(run) => run::run(&run, json),
        Command::Check(check) => check::check(&check, json),
        Command::Simulate(simulate) => simulate::simulate(&simulate, json),
        Command::Tree(target) => tree::tree(target, json),
        Command::Status(target) => status::status(target, json),
        Command::Send(message) => messages::send(message, json),
        Command::Call(message) => messages::call(message, json),
        Command::Kill(kill) => ask::kill(kill, json),
        Command::Letters(letters) => letters::letters(letters, json),
        Command::Turns(args) => turns::turns(args, json),
        Command::Turn(args) => turns::turn(args, json),
        Command::Doubt(doubt) => settle::doubt(doubt, json),
        Command::Quarantine(quarantine) => settle::quarantine(quarantine, json),
        Command::Ask(ask) => ask::ask(ask),
        Command::Stop(stop) => ask::stop(stop, json),
        Command::Bench(bench) => bench::bench(&bench, json),
        Command::Explain(explain) => explain::explain(&explain, json),
        Command::Version => Ok(version::version(json)),
    }
}
