//! What supervisors reported, as rows, and the story that the rows tell of one child: why it is as it is.
//!
//! Pure: somebody else keeps the rows. Start reading at [`Row`], then [`why`].

mod past;
mod tell;
mod words;

pub use tell::why;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::machine::{Report, Strategy};

/// One report, kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which run of the process; whoever keeps the row fills it in.
    pub boot: u64,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Whose supervisor.
    pub supervisor: Arc<str>,
    /// How it restarts: whether a sibling's crash concerns the child.
    pub strategy: Strategy,
    /// What the supervisor said.
    pub report: Report,
}

impl Row {
    /// OTP's word for what the report is about.
    pub fn context(&self) -> &'static str {
        words::context(self.report.context)
    }
}

/// One step of a chain of causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Whom it is about.
    pub child: Arc<str>,
    /// In words.
    pub text: String,
}

/// The chain of causes of a child's present state, from the first exit on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// In order of time.
    pub links: Vec<Link>,
    /// Links before these that are left out; see [`LINKS_MAX`].
    pub earlier: usize,
}

/// Links of a story at most: the first one and the latest. More says nothing more.
pub const LINKS_MAX: usize = 40;
