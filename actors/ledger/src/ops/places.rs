//! Places that a turn reserves in other inboxes, so that its end never fails for want of room
//! (rules A3, C8).

use super::accept::room;
use crate::agent::Held;
use crate::engine::{Engine, Fault, Op};
use loket_turn::limits::CALLS_PER_TURN_MAX;
use loket_turn::simulation::{Mutation, broken};
use loket_turn::{AcceptError, AgentName, TurnKey, TurnNo};

impl Engine {
    /// See [`loket_turn::Ledger::reserve`].
    pub(crate) fn reserve(
        &mut self,
        turn: &TurnKey,
        to: &AgentName,
        bytes: usize,
    ) -> Op<(), AcceptError> {
        let life = self.book.fence(turn).map_err(Fault::refused)?.life;
        let receiver = self
            .book
            .get(to)
            .ok_or_else(|| Fault::Refused(AcceptError::NoSuchAgent(to.clone())))?;
        self.under_limit().map_err(Fault::Refused)?;
        let bytes = bytes as u64;
        room(receiver, bytes).map_err(Fault::Refused)?;
        if broken(Mutation::NoReserve) {
            return Ok(());
        }
        let place = Held { to: receiver.life, bytes };
        let limit = CALLS_PER_TURN_MAX as usize;
        if let Some(sender) = self.book.change(life) {
            if sender.held().len() >= limit {
                let (what, bytes) = ("number of sends in a turn", sender.held().len() + 1);
                let why = AcceptError::TooLarge { what, bytes, limit };
                return Err(Fault::Refused(why));
            }
            sender.also_holds(place);
        }
        if let Some(receiver) = self.book.change(place.to) {
            receiver.reserve(place.bytes);
        }
        Ok(())
    }

    /// See [`loket_turn::Ledger::release`]. A turn that is over holds nothing; then this does
    /// nothing.
    pub(crate) fn release(&mut self, turn: &TurnKey) -> Op<()> {
        if let Ok(agent) = self.book.fence(turn) {
            let (life, n) = (agent.life, turn.n);
            self.hold_durable(life, n)?;
        }
        Ok(())
    }

    /// Leaves the open turn only the places of its durable records.
    pub(crate) fn hold_durable<E>(&mut self, life: u64, n: TurnNo) -> Op<(), E> {
        let Some(agent) = self.book.life(life) else {
            return Ok(());
        };
        let keep = if agent.open_row {
            self.book.durable_places(&self.conn, life, n)?
        } else {
            Vec::new()
        };
        self.book.hold(life, keep);
        Ok(())
    }
}
