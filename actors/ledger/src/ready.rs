//! A start of the ledger up to its first request: the lock, what an earlier process left, and that one has started.
//!
//! Nothing that was read may be told before it is on the disk (rule J2a). Start reading at [`ready`].

use crate::engine::Engine;
use crate::{Durability, OpenError, OpenTurns, Options, dir, open_turns, whose};
use loket_turn::LedgerError;
use loket_turn::simulation::{Mutation, broken};

/// A ledger that is open and has no writer yet.
pub(crate) struct Ready {
    pub(crate) engine: Engine,
    pub(crate) lock: dir::Lock,
    pub(crate) open_turns: OpenTurns,
}

/// Takes the lock, fsyncs and reads what an earlier process left, notes the start.
pub(crate) fn ready(options: Options) -> Result<Ready, OpenError> {
    let dir = options.dir.clone();
    let io = |source| OpenError::Io { path: dir.clone(), source };
    dir::create(&dir)?;
    let lock = dir::lock(&dir)?;
    if options.must_be_there {
        dir::must_be_there(&dir)?;
    }
    whose::check(&options)?;
    let mut engine = Engine::open(options)?;
    let leftovers = open_turns::leftovers(&dir).map_err(io)?;
    let level = engine.options.durability;
    if broken(Mutation::NoStartSync) {
        // At `Power` the start's own commit would bring to the disk what was left.
        engine.options.durability = Durability::Process;
    }
    engine.begin();
    let started = engine.request::<_, LedgerError>(|engine| {
        whose::note(engine)?;
        engine.start(&leftovers)
    });
    started.and(engine.commit()).map_err(|why| OpenError::Sqlite {
        file: dir.join(dir::LEDGER_FILE),
        reason: why.to_string(),
    })?;
    engine.options.durability = level;
    let open_turns = OpenTurns::create(&dir, engine.boots).map_err(io)?;
    Ok(Ready { engine, lock, open_turns })
}
