//! A test kit for providers: calls that have really been admitted, without a runtime around them.
//!
//! Every [`AdmittedCall`] comes out of `loket_kernel::admit`: a kit that could forge one would prove nothing.

use crate::{CallView, Operation, Provider, TurnView};
use loket_kernel::{
    Address, Admission, Badge, Capability, Chain, Envelope, Grant, GrantId, GrantSet, Moment,
    Principal, Route, Scope, Table, admit,
};
use loket_runtime::{TurnCall, TurnContext};
use loket_turn::{
    Begin, CallNo, Failure, Hash, Journal, Life, Live, MessageId, Mode, TurnKey, TurnNo,
};
use std::sync::{Arc, Mutex};

/// A caller with one grant.
pub struct Caller {
    name: Arc<str>,
    grant: Option<(String, Scope)>,
    turn: TurnCall,
}

impl Caller {
    /// A caller of this name whose one grant is `capability` under `scope`.
    ///
    /// # Panics
    /// When `capability` is no name: a kit is for tests.
    pub fn new(name: &str, capability: &str, scope: Scope) -> Self {
        let name: Arc<str> = name.into();
        Self { turn: turn_of(&name), name, grant: Some((capability.to_owned(), scope)) }
    }

    /// The turn that its calls belong to.
    pub fn turn(&self) -> &TurnCall {
        &self.turn
    }

    /// Moves on to the next call of the turn: another number, another key.
    pub fn next_call(&mut self) {
        let call = CallNo(self.turn.live.call.0 + 1);
        self.turn.live.call = call;
    }

    /// Sets the turn's clock, Unix milliseconds.
    pub fn at(&mut self, clock_ms: u64) {
        self.turn.clock_ms = clock_ms;
    }

    /// The badge that the kernel stamps on a call of `capability`.
    ///
    /// # Errors
    /// The refusal's text.
    pub fn badge(&self, capability: &str) -> Result<Badge, String> {
        let principal = Principal(1);
        let mut table = Table::default();
        if let Ok(known) = Capability::parse(capability) {
            table = table.with_routes([(known, Route(0))]);
        }
        let grants = match &self.grant {
            Some((covered, scope)) => {
                let covered = Capability::parse(covered).map_err(|error| error.to_string())?;
                let scope = Arc::new(scope.clone());
                let grant = Grant::new(covered, scope, None, Vec::new(), None, GrantId(1));
                GrantSet::new(vec![grant]).map_err(|error| error.to_string())?
            }
            None => GrantSet::default(),
        };
        table = table.with_principal(principal, Arc::clone(&self.name), 1, Arc::new(grants));
        let envelope = Envelope {
            from: Address { principal, incarnation: 1 },
            capability: capability.into(),
            args: Vec::new(),
            chain: Chain::default(),
            deadline: None,
            cargo: (),
        };
        match admit(&table, envelope, Moment(self.turn.clock_ms)) {
            Admission::Admitted(admitted) => Ok(admitted.into_parts().0),
            Admission::Hold(_) => Err("held for approval".to_owned()),
            Admission::Refused(refusal, _) => Err(refusal.to_string()),
        }
    }

    /// Calls `prepare` of a provider.
    ///
    /// # Errors
    /// The provider's failure; `refused` when the kernel refuses; `unknown_operation` when the provider has none of that name.
    pub fn prepare<P: Provider>(
        &self,
        provider: &mut P,
        capability: &str,
        args: &serde_json::Value,
    ) -> Result<P::Prepared, Failure> {
        let operation = find(provider.operations(), capability)?;
        let badge = self.badge(capability).map_err(|text| Failure::new("refused", text))?;
        let args = args.to_string().into_bytes();
        let turn = Some(TurnView(&self.turn));
        provider.prepare(&CallView { operation, badge: &badge, turn, args: &args })
    }
}

fn find(operations: &'static [Operation], name: &str) -> Result<&'static Operation, Failure> {
    operations
        .iter()
        .find(|operation| operation.capability == name)
        .ok_or_else(|| Failure::new("unknown_operation", name))
}

fn turn_of(agent: &Arc<str>) -> TurnCall {
    let begin = Begin {
        module: Hash::default(),
        settings: Hash::default(),
        grants: Hash::default(),
        memory_bytes: 0,
        output_bytes: 0,
        calls_max: loket_turn::limits::CALLS_PER_TURN_MAX,
        pure_version: 1,
        time_ms: 1_000_000,
        seed: 7,
    };
    let (life, message) = (Life(1), MessageId([1; 16]));
    let journal = Journal::new(life, message, Mode::Live, begin, false, Vec::new());
    let context = TurnContext {
        key: TurnKey { agent: Arc::clone(agent), life, incarnation: 1, n: TurnNo(1) },
        message,
        on_the_way: vec![Arc::clone(agent)],
        seed: 7,
        settings: "{}".into(),
        pinned: Arc::new(GrantSet::default()),
        journal: Mutex::new(journal),
        purse: None,
    };
    let live = Live { call: CallNo(1), life, message, pure_only: false, resend: None };
    TurnCall { turn: Arc::new(context), live, clock_ms: 1_000_000 }
}
