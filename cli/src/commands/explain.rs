//! `explain`: the page of an error code or finding.

use crate::args::ExplainArgs;
use crate::exit::{self, CliError, Code};
use crate::output;
use serde_json::json;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Prints a page, or the list of codes.
pub(super) fn explain(args: &ExplainArgs, as_json: bool) -> Result<Code, CliError> {
    let Some(code) = &args.code else {
        return Ok(list(as_json));
    };
    let found = PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code));
    let Some((code, text)) = found else {
        let text = format!("no page for {code:?}; `loket explain` lists all codes");
        return Err(CliError::new("C008", exit::USAGE, text));
    };
    if as_json {
        return Ok(output::versioned(json!({"code": code, "text": text})));
    }
    Ok(output::line(text.trim_end()))
}

/// All codes with their titles.
fn list(as_json: bool) -> Code {
    let titles = PAGES.iter().map(|(code, text)| {
        let title = text.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
        (*code, title.strip_prefix(code).unwrap_or(title).trim_start_matches([':', ' ']))
    });
    if as_json {
        let codes: Vec<_> =
            titles.map(|(code, title)| json!({"code": code, "title": title})).collect();
        return output::versioned(json!({"codes": codes}));
    }
    let lines: Vec<_> = titles.map(|(code, title)| format!("{code:<24} {title}")).collect();
    output::line(&lines.join("\n"))
}
