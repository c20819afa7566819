//! What `check` is told of a provider's operations, and how a refused message is told to a guest.

use crate::{Operation, ScopeForm};
use loket_supervision::fleet::{self, CapabilityFact};
use loket_turn::{AcceptError, Failure};

/// How long a sender should wait before it tries a full inbox again, milliseconds: about one short turn.
const OVERLOAD_RETRY_MS: u64 = 50;

/// The facts that `check` needs of these operations.
pub fn facts(operations: &[Operation]) -> Vec<CapabilityFact> {
    operations
        .iter()
        .map(|operation| CapabilityFact {
            name: operation.capability.to_owned(),
            flow: operation.flow,
            tokens: operation.tokens,
            priced: false,
            scope_keys: operation
                .scope
                .iter()
                .map(|key| fleet::ScopeKey {
                    name: key.name.to_owned(),
                    mandatory: key.mandatory,
                    form: match key.form {
                        ScopeForm::Names => fleet::ScopeForm::Names,
                        ScopeForm::AtMost => fleet::ScopeForm::AtMost,
                    },
                })
                .collect(),
        })
        .collect()
}

/// What a sender is told when its message was not accepted.
pub fn failure_for_accept(error: &AcceptError) -> Failure {
    Failure {
        code: error.code().to_owned(),
        message: error.to_string(),
        retryable: error.retryable(),
        retry_after_ms: error.retryable().then_some(OVERLOAD_RETRY_MS),
    }
}
