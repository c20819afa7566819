//! Why a module is refused. Every message says what to do; the codes are pages of the error catalogue.

use super::classify::bounded;

/// Most bytes of an import's name or a tool's words in a message.
const DETAIL_BYTES: usize = 1_000;

/// Why a module cannot be a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Neither WebAssembly nor its text format.
    #[error(
        "this is not WebAssembly: a module starts with \\0asm, its text with `(module`; is it the right file?"
    )]
    NotWasm,
    /// The text format did not parse.
    #[error("the WebAssembly text does not parse: {message}")]
    Text {
        /// With line and column.
        message: String,
    },
    /// Too many bytes.
    #[error(
        "the module has {bytes} bytes, the limit is {max}: strip it (`-s`, `wasm-strip`), or raise the limit"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too many functions: compiling would take too long.
    #[error(
        "the module has more than {max} functions: leave out unused libraries, or raise the limit"
    )]
    TooManyFunctions {
        /// The limit.
        max: u64,
    },
    /// One function is too large: compiling it would take too long.
    #[error(
        "the module has a function of {bytes} bytes, the limit is {max}: split it, or raise the limit"
    )]
    FunctionTooLarge {
        /// The size of the first that is.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It imports what Loket does not give.
    #[error(
        "the module imports {import:?}, and a guest may import only {counter:?}: build it without WASI \
         (target wasm32-unknown-unknown), and reach the outside through the loket",
        counter = loket_abi::COUNTER
    )]
    ForeignImport {
        /// The import's name.
        import: String,
    },
    /// It does not export what the world demands.
    #[error("the module does not export {export:?}: implement the world `loket:agent/agent@1.0.0`")]
    MissingExport {
        /// The export's name.
        export: String,
    },
    /// An import or export has another type than the contract's.
    #[error(
        "the module does not fit the world `loket:agent/agent@1.0.0`: {message}; build it against loket.wit"
    )]
    WrongType {
        /// What differs.
        message: String,
    },
    /// Not valid WebAssembly, or it uses a feature that is off.
    #[error(
        "the module is not valid, or uses a WebAssembly feature that Loket leaves off: {message}"
    )]
    Invalid {
        /// The validator's words.
        message: String,
    },
    /// Valid, but it needs more than an instance slot has.
    #[error(
        "the module does not fit an instance slot: {message}; lower its initial memory or tables"
    )]
    DoesNotFit {
        /// The engine's words.
        message: String,
    },
    /// Compiling it, in a process apart, came to no end of its own.
    #[error(
        "compiling the module took down the compiler, which is a process apart: {how}; split its large functions, or build it \
         with fewer optimisations and less inlining"
    )]
    CompilerLost {
        /// How the process ended.
        how: String,
    },
}

impl LoadError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotWasm => "M001",
            Self::Text { .. } => "M002",
            Self::TooLarge { .. } => "M003",
            Self::TooManyFunctions { .. } => "M004",
            Self::ForeignImport { .. } => "M005",
            Self::MissingExport { .. } => "M006",
            Self::WrongType { .. } => "M007",
            Self::Invalid { .. } => "M008",
            Self::DoesNotFit { .. } => "M009",
            Self::FunctionTooLarge { .. } => "M010",
            Self::CompilerLost { .. } => "M011",
        }
    }

    /// The message's variable part, of those refusals that only the compiler finds.
    pub(super) fn found(&self) -> Option<&str> {
        match self {
            Self::WrongType { message }
            | Self::Invalid { message }
            | Self::DoesNotFit { message } => Some(message),
            _ => None,
        }
    }

    /// What the compiler found, as a process apart has told it.
    pub(super) fn told(code: &str, message: String) -> Option<Self> {
        match code {
            "M007" => Some(Self::WrongType { message }),
            "M008" => Some(Self::Invalid { message }),
            "M009" => Some(Self::DoesNotFit { message }),
            _ => None,
        }
    }

    pub(super) fn lost(how: impl Into<String>) -> Self {
        Self::CompilerLost { how: how.into() }
    }

    pub(super) fn wrong_type(e: impl std::fmt::Display) -> Self {
        Self::WrongType { message: bounded(&e.to_string(), DETAIL_BYTES) }
    }

    pub(super) fn invalid(e: impl std::fmt::Display) -> Self {
        Self::Invalid { message: bounded(&e.to_string(), DETAIL_BYTES) }
    }

    pub(super) fn does_not_fit(e: impl std::fmt::Display) -> Self {
        Self::DoesNotFit { message: bounded(&e.to_string(), DETAIL_BYTES) }
    }

    pub(super) fn foreign(import: &str) -> Self {
        Self::ForeignImport { import: bounded(import, DETAIL_BYTES) }
    }
}
