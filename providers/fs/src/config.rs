//! What the fleet file says behind `use: Fs`: nothing yet, folders stand in the grants.

use serde::Deserialize;

/// `Fs()`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsConfig {}

/// Reads the RON behind `Fs`.
///
/// # Errors
/// What is wrong.
pub fn parse_config(ron: &str) -> Result<FsConfig, (String, Option<usize>)> {
    ron::from_str(ron).map_err(|error| (error.code.to_string(), None))
}
