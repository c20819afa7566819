//! The requests, one file per part of a turn's life. Each runs on the writer's thread inside its
//! own savepoint.

mod accept;
mod agents;
mod calls;
mod end;
mod fail;
mod history;
mod letters;
mod next;
mod places;
mod start;
mod waits;
