//! The Pure calls of a turn that is run again beside the fleet, to look at it: admitted by the grants that were pinned at its begin
//! (rule F1), served in place by providers that need no runtime. Nothing else is ever performed here.

use crate::{CODE_ENVIRONMENT, CallView, Operation, Performed, Provider, TurnView};
use loket_kernel::{
    Address, Admission, Badge, Capability, Chain, Envelope, GrantSet, Moment, Principal, Route,
    Table, admit_pinned,
};
use loket_runtime::TurnCall;
use loket_turn::{EffectClass, Failure, Outcome};
use std::sync::Arc;

/// The one caller.
const CALLER: Address = Address { principal: Principal(1), incarnation: 1 };

/// A provider that answers Pure calls at once, whatever its type.
pub trait PureServer {
    /// All that it serves; only what is Pure or Side is asked for.
    fn operations(&self) -> &'static [Operation];
    /// Serves a call.
    fn serve(&mut self, call: &CallView<'_>) -> Outcome;
}

impl<P: Provider> PureServer for P {
    fn operations(&self) -> &'static [Operation] {
        Provider::operations(self)
    }

    fn serve(&mut self, call: &CallView<'_>) -> Outcome {
        let prepared = self.prepare(call)?;
        match self.perform(prepared) {
            Performed::Done(outcome) | Performed::Paid { outcome, .. } => outcome,
            _ => {
                let text = format!("{} was not answered at once", call.operation.capability);
                Err(Failure::new(CODE_ENVIRONMENT, text))
            }
        }
    }
}

/// What became of a call.
#[derive(Debug)]
pub enum Rerun {
    /// A Pure call, or one to a side channel: answered.
    Answered(EffectClass, Outcome),
    /// Only a record could answer it; its class, if it is served here at all.
    Impure(Option<EffectClass>),
}

/// Providers, and the table that their calls are admitted by.
pub struct Sandbox {
    servers: Vec<Box<dyn PureServer>>,
    table: Table,
}

impl Sandbox {
    /// A sandbox for the turns of one agent.
    pub fn new(agent: &Arc<str>, servers: Vec<Box<dyn PureServer>>) -> Self {
        let names = servers.iter().flat_map(|server| server.operations());
        let routes = names.filter_map(|operation| Capability::parse(operation.capability).ok());
        let table = Table::default().with_routes(routes.map(|name| (name, Route(0))));
        let none = Arc::<GrantSet>::default();
        let (principal, incarnation) = (CALLER.principal, CALLER.incarnation);
        Self {
            servers,
            table: table.with_principal(principal, Arc::clone(agent), incarnation, none),
        }
    }

    /// Performs a call of a turn, if it is Pure.
    pub fn call(&mut self, turn: &TurnCall, capability: &str, args: &[u8]) -> Rerun {
        let found = self.servers.iter().enumerate().find_map(|(at, server)| {
            let known = server.operations().iter().find(|known| known.capability == capability)?;
            Some((at, known))
        });
        let Some((at, operation)) = found else { return Rerun::Impure(None) };
        if !matches!(operation.class, EffectClass::Pure | EffectClass::Side) {
            return Rerun::Impure(Some(operation.class));
        }
        let answered = match self.admit(turn, capability, args) {
            Ok(badge) => {
                let turn = Some(TurnView(turn));
                self.servers[at].serve(&CallView { operation, badge: &badge, turn, args })
            }
            Err(failure) => Err(failure),
        };
        Rerun::Answered(operation.class, answered)
    }

    fn admit(&self, turn: &TurnCall, capability: &str, args: &[u8]) -> Result<Badge, Failure> {
        let envelope = Envelope {
            from: CALLER,
            capability: capability.into(),
            args: args.to_vec(),
            chain: Chain::default(),
            deadline: None,
            cargo: (),
        };
        match admit_pinned(&self.table, &turn.turn.pinned, envelope, Moment(turn.clock_ms)) {
            Admission::Admitted(admitted) => Ok(admitted.into_parts().0),
            Admission::Hold(_) => Err(Failure::new("refused", "it would wait for an approval")),
            Admission::Refused(refusal, _) => Err(Failure::new("refused", refusal.to_string())),
        }
    }
}
