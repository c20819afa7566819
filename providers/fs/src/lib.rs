//! The fs provider: reads inside the folders that a grant names, and nowhere else.
//!
//! Every path is resolved by the kernel of the machine beneath an open folder (`RESOLVE_BENEATH`): no `..`, no absolute path and no
//! symbolic link leads out of it, also when the folder changes meanwhile. It never writes.
#![forbid(unsafe_code)]

mod beneath;
mod config;
mod list;
mod provider;
mod read;
mod worker;

pub use config::{FsConfig, parse_config};
pub use provider::{FsProvider, OPERATIONS};
