//! One file per subcommand.

mod approvals;
mod ask;
mod bench;
mod brain;
mod brain_files;
mod budgets;
mod check;
mod compile;
mod explain;
mod form;
mod history;
mod letters;
mod messages;
mod planned;
mod reload;
mod replay;
mod run;
mod settle;
mod simulate;
mod status;
mod stop;
mod timers;
mod tree;
mod turn;
mod turns;
mod version;

pub(crate) use messages::readable;
pub(crate) use reload::told as reload_told;
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
        Command::Tree(args) => tree::tree(args, json),
        Command::Diff(args) => reload::diff(&args, json),
        Command::Reload(args) => reload::reload(args, json),
        Command::Fmt(args) => form::fmt(&args, json),
        Command::Schema => Ok(form::schema()),
        Command::History(args) => history::history(args, json),
        Command::Why(args) => history::why(args, json),
        Command::Status(target) => status::status(target, json),
        Command::Send(message) => messages::send(message, json),
        Command::Call(message) => messages::call(message, json),
        Command::Kill(kill) => ask::kill(kill, json),
        Command::Terminate(child) => ask::terminate(child, json),
        Command::Restart(child) => ask::restart(child, json),
        Command::Letters(letters) => letters::letters(letters, json),
        Command::Turns(args) => turns::turns(args, json),
        Command::Turn(args) => turn::turn(args, json),
        Command::Replay(args) => replay::replay(args, json),
        Command::Brain(args) => brain::brain(args, json),
        Command::Query(args) => brain::query(args, json),
        Command::Doubt(doubt) => settle::doubt(doubt, json),
        Command::Quarantine(quarantine) => settle::quarantine(quarantine, json),
        Command::Approvals(approvals) => approvals::approvals(approvals, json),
        Command::Answer(answer) => approvals::answer(answer, json),
        Command::Timers(timers) => timers::timers(timers, json),
        Command::Budgets(budgets) => budgets::budgets(budgets, json),
        Command::Ask(ask) => ask::ask(ask),
        Command::Stop(stop) => stop::stop(stop, json),
        Command::Bench(bench) => bench::bench(&bench, json),
        Command::Explain(explain) => explain::explain(&explain, json),
        Command::CompileModule(order) => compile::compile(&order),
        Command::Version => Ok(version::version(json)),
    }
}
