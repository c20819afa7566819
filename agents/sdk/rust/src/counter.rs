//! The counter: the one way out of the sandbox.

use core::fmt;

use serde_json::Value;

/// Why a call was not answered with a result, or a message not with a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable, `snake_case`; what programs decide on.
    pub code: String,
    /// For people and models.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// When to try again at the earliest, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure that trying again does not mend.
    #[must_use]
    pub fn new(code: &str, message: &str) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false, retry_after_ms: None }
    }

    /// The message is none that this agent understands; `expected` says which it does.
    #[must_use]
    pub fn bad_message(expected: &str) -> Self {
        Self::new("bad_message", expected)
    }

    /// Whether this is the failure `code`.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        f.write_str(": ")?;
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Asks for a capability with JSON args and takes a JSON result.
///
/// # Errors
/// What the kernel or the provider answered; `bad_answer` when the result is no JSON.
pub fn call(capability: &str, args: &Value) -> Result<Value, Failure> {
    let result = call_bytes(capability, args.to_string().as_bytes())?;
    serde_json::from_slice(&result).map_err(|_| Failure::new("bad_answer", capability))
}

/// Asks for a capability with bytes as they are.
///
/// # Errors
/// What the kernel or the provider answered.
pub fn call_bytes(capability: &str, args: &[u8]) -> Result<Vec<u8>, Failure> {
    #[cfg(target_arch = "wasm32")]
    return crate::abi::call(capability, args);
    #[cfg(not(target_arch = "wasm32"))]
    return crate::fake::answer(capability, args);
}
