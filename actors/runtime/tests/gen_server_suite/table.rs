//! Every case is a test here or a row of the table, and none is both.

/// The cases that the specification names. `stop`, `format_status` and the collections of requests are groups of OTP's suite.
const CASES: [&str; 36] = [
    "start",
    "crash",
    "loop_start_fail",
    "call",
    "send_request",
    "send_request_receive_reqid_collection",
    "send_request_wait_reqid_collection",
    "send_request_check_reqid_collection",
    "cast",
    "info",
    "continue",
    "calling_self",
    "call_with_huge_message_queue",
    "hibernate",
    "otp_5854",
    "get_state",
    "replace_state",
    "call_format_status",
    "error_format_status",
    "terminate_crash_format",
    "crash_in_format_status",
    "throw_in_format_status",
    "format_all_status",
    "format_status",
    "stop1",
    "stop2",
    "stop3",
    "stop4",
    "stop5",
    "stop6",
    "stop7",
    "stop8",
    "stop9",
    "stop10",
    "undef_in_terminate",
    "reply_by_alias_with_payload",
];

const SOURCES: [&str; 4] = [
    include_str!("calls.rs"),
    include_str!("requests.rs"),
    include_str!("starts.rs"),
    include_str!("stops.rs"),
];

/// A test's name: `continue` is a word of the language.
fn test_of(case: &str) -> String {
    let name = if case == "continue" { "continue_" } else { case };
    format!("#[test]\nfn {name}()")
}

#[test]
fn every_case_is_a_test_or_a_row_and_every_row_a_case() {
    let rows = include_str!("README.md");
    let row = |case: &str| rows.lines().any(|line| line.starts_with(&format!("| {case} |")));
    let test = |case: &str| SOURCES.iter().any(|source| source.contains(&test_of(case)));
    for case in CASES {
        assert!(test(case) != row(case), "{case}: test {}, row {}", test(case), row(case));
    }
    for line in rows.lines().filter(|line| line.starts_with("| ")) {
        let case = line.split('|').nth(1).unwrap().trim();
        assert!(CASES.contains(&case) || case == "case", "{case} is no case");
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert!(cells.len() == 5 && cells[2].len() > 10 && !cells[3].is_empty(), "{line}");
    }
}

/// What a row says is tested instead is there.
#[test]
fn the_tests_named_in_the_table_are_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut named = 0;
    for word in include_str!("README.md").split('`').skip(1).step_by(2) {
        let Some((file, test)) = word.split_once(".rs::") else { continue };
        let text = std::fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
        assert!(text.contains(&format!("fn {test}")), "{word} is not there");
        named += 1;
    }
    assert!(named >= 5, "{named}");
}
