//! `explain`: the page of an error code or finding.

use crate::args::ExplainArgs;
use crate::exit::{self, CliError, Code};
use crate::output;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Prints a page, or the list of codes.
pub(super) fn explain(args: &ExplainArgs, json: bool) -> Result<Code, CliError> {
    let Some(code) = &args.code else {
        let mut list = String::new();
        for (code, text) in PAGES {
            let title = text.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
            list.push_str(&format!("{code:<20} {title}\n"));
        }
        return Ok(output::line(list.trim_end()));
    };
    let found = PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code));
    let Some((code, text)) = found else {
        let text = format!("no page for {code:?}; `loket explain` lists all codes");
        return Err(CliError::new("C008", exit::USAGE, text));
    };
    if json {
        return Ok(output::json(&serde_json::json!({"code": code, "text": text})));
    }
    Ok(output::line(text.trim_end()))
}
