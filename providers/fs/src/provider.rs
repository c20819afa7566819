//! `fs.list` and `fs.read`: scope and form.

use crate::list::{LIST_DEFAULT, LIST_MAX};
use crate::read::{READ_BYTES_DEFAULT, READ_BYTES_MAX, READ_BYTES_MIN};
use crate::worker::Threads;
use loket_contract::{
    CallView, Flow, Operation, Performed, Provider, ScopeForm, ScopeKey, parse_args,
};
use loket_turn::{EffectClass, Failure};
use serde::Deserialize;
use std::path::PathBuf;

/// Extensions in one `fs.list` at most.
const EXTENSIONS_MAX: usize = 64;

const SCOPE: &[ScopeKey] = &[
    ScopeKey { name: "roots", mandatory: true, form: ScopeForm::Names },
    ScopeKey { name: "max_bytes", mandatory: false, form: ScopeForm::AtMost },
];

/// What it serves.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        capability: "fs.list",
        class: EffectClass::Observe,
        scope: SCOPE,
        flow: Flow::PRIVATE,
        tokens: false,
        summary: "files and folders of a granted folder",
    },
    Operation {
        capability: "fs.read",
        class: EffectClass::Observe,
        scope: SCOPE,
        flow: Flow::PRIVATE,
        tokens: false,
        summary: "a range of a file in a granted folder",
    },
];

/// The provider.
#[derive(Debug)]
pub struct FsProvider {
    base: PathBuf,
    threads: Threads,
}

impl FsProvider {
    /// A provider that takes relative roots from `base`, the fleet file's folder.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(base: PathBuf) -> std::io::Result<Self> {
        Ok(Self { base, threads: Threads::start()? })
    }
}

/// A request for a thread.
#[derive(Debug)]
pub enum Job {
    /// `fs.list`.
    List(ListJob),
    /// `fs.read`.
    Read(ReadJob),
}

/// `fs.list` after its check.
#[derive(Debug)]
pub struct ListJob {
    pub(crate) root: PathBuf,
    pub(crate) path: String,
    pub(crate) recursive: bool,
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
    pub(crate) extensions: Vec<String>,
}

impl ListJob {
    /// Whether the caller asked for files like this.
    pub(crate) fn wants(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.extensions.is_empty()
            || name.rsplit_once('.').is_some_and(|(_, end)| {
                self.extensions.iter().any(|wanted| wanted.eq_ignore_ascii_case(end))
            })
    }
}

/// `fs.read` after its check.
#[derive(Debug)]
pub struct ReadJob {
    pub(crate) root: PathBuf,
    pub(crate) path: String,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) base64: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArgs {
    root: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    extensions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArgs {
    root: String,
    path: String,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    length: Option<u64>,
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Utf8,
    Base64,
}

impl FsProvider {
    fn root(&self, call: &CallView<'_>, root: &str) -> Result<PathBuf, Failure> {
        if call.scope().allows("roots", root) {
            return Ok(self.base.join(root));
        }
        let text = format!(
            "the grant does not allow folder {root:?}; add it: scope: {{\"roots\": [{root:?}]}}"
        );
        Err(Failure::new("out_of_scope", text))
    }

    fn list(&self, call: &CallView<'_>) -> Result<Job, Failure> {
        let args: ListArgs = parse_args(call)?;
        let limit = args.limit.unwrap_or(LIST_DEFAULT);
        if limit == 0 || limit > LIST_MAX || args.extensions.len() > EXTENSIONS_MAX {
            let text =
                format!("fs.list takes a limit of 1 to {LIST_MAX} and {EXTENSIONS_MAX} extensions");
            return Err(Failure::new("bad_args", text));
        }
        Ok(Job::List(ListJob {
            root: self.root(call, &args.root)?,
            path: args.path,
            recursive: args.recursive,
            after: args.after,
            limit,
            extensions: args.extensions,
        }))
    }

    fn read(&self, call: &CallView<'_>) -> Result<Job, Failure> {
        let args: ReadArgs = parse_args(call)?;
        let bound = call.scope().at_most("max_bytes").unwrap_or(READ_BYTES_MAX).min(READ_BYTES_MAX);
        let length = args.length.unwrap_or_else(|| READ_BYTES_DEFAULT.min(bound));
        if length < READ_BYTES_MIN || length > bound {
            let text = format!(
                "one fs.read gives {READ_BYTES_MIN} to {bound} bytes, not {length}: read the file in ranges"
            );
            return Err(Failure::new("bad_args", text));
        }
        Ok(Job::Read(ReadJob {
            root: self.root(call, &args.root)?,
            path: args.path,
            offset: args.offset,
            length,
            base64: args.encoding == Encoding::Base64,
        }))
    }
}

impl Provider for FsProvider {
    type Prepared = Job;

    fn operations(&self) -> &'static [Operation] {
        OPERATIONS
    }

    fn prepare(&mut self, call: &CallView<'_>) -> Result<Job, Failure> {
        if call.operation.capability == "fs.list" { self.list(call) } else { self.read(call) }
    }

    fn perform(&mut self, job: Job) -> Performed {
        self.threads.run(job)
    }
}
