//! Whether each case of OTP's suite is a test here or has a row in `README.md` beside this file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// All cases of `supervisor_SUITE.erl` of OTP 27.3.4.1, in its order.
const CASES: [&str; 91] = [
    "sup_start_normal",
    "sup_start_ignore_init",
    "sup_start_ignore_child",
    "sup_start_ignore_temporary_child",
    "sup_start_ignore_temporary_child_start_child",
    "sup_start_ignore_temporary_child_start_child_simple",
    "sup_start_ignore_permanent_child_start_child_simple",
    "sup_start_error_return",
    "sup_start_fail",
    "sup_start_child_returns_error",
    "sup_start_restart_child_returns_error",
    "sup_start_child_returns_error_simple",
    "sup_start_map",
    "sup_start_map_simple",
    "sup_start_map_faulty_specs",
    "sup_stop_infinity",
    "sup_stop_timeout",
    "sup_stop_timeout_dynamic",
    "sup_stop_brutal_kill",
    "sup_stop_brutal_kill_dynamic",
    "sup_stop_race",
    "sup_stop_non_shutdown_exit_dynamic",
    "child_adm",
    "child_adm_simple",
    "extra_return",
    "child_specs",
    "child_specs_map",
    "sup_flags",
    "multiple_restarts",
    "one_for_one",
    "one_for_one_escalation",
    "one_for_all",
    "one_for_all_escalation",
    "one_for_all_other_child_fails_restart",
    "simple_one_for_one",
    "simple_one_for_one_shutdown",
    "simple_one_for_one_extra",
    "simple_one_for_one_escalation",
    "simple_one_for_one_corruption",
    "simple_one_for_one_restart_ignore",
    "rest_for_one",
    "rest_for_one_escalation",
    "rest_for_one_other_child_fails_restart",
    "external_start_no_progress_log",
    "permanent_normal",
    "transient_normal",
    "temporary_normal",
    "permanent_shutdown",
    "transient_shutdown",
    "temporary_shutdown",
    "faulty_application_shutdown",
    "permanent_abnormal",
    "transient_abnormal",
    "temporary_abnormal",
    "temporary_bystander",
    "child_unlink",
    "tree",
    "nonsignificant_temporary",
    "nonsignificant_transient",
    "significant_temporary",
    "significant_transient",
    "significant_simple",
    "significant_bystander",
    "significant_escalation",
    "significant_upgrade_never_any",
    "significant_upgrade_any_never",
    "significant_upgrade_never_all",
    "significant_upgrade_all_never",
    "significant_upgrade_any_all",
    "significant_upgrade_all_any",
    "significant_upgrade_child",
    "count_children",
    "count_children_supervisor",
    "count_restarting_children",
    "get_callback_module",
    "do_not_save_start_parameters_for_temporary_children",
    "do_not_save_child_specs_for_temporary_children",
    "simple_one_for_one_scale_many_temporary_children",
    "simple_global_supervisor",
    "hanging_restart_loop",
    "hanging_restart_loop_rest_for_one",
    "hanging_restart_loop_simple",
    "code_change",
    "code_change_map",
    "code_change_simple",
    "code_change_simple_map",
    "order_of_children",
    "scale_start_stop_many_children",
    "format_log_1",
    "format_log_2",
    "already_started_outside_supervisor",
];

fn here() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/otp_suite"))
}

/// The names of all tests of this suite's files but this one.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in fs::read_dir(here()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|end| end != "rs") || path.ends_with("table.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (before, line) in text.lines().zip(text.lines().skip(1)) {
            if before.trim() == "#[test]"
                && let Some(name) = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next())
            {
                assert!(found.insert(name.to_owned()), "{name} twice");
            }
        }
    }
    found
}

/// The rows of the table: number, name, reason, what is tested instead.
fn rows() -> Vec<[String; 4]> {
    let text = fs::read_to_string(here().join("README.md")).unwrap();
    let cells = |line: &str| {
        let cells: Vec<_> =
            line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
        <[String; 4]>::try_from(cells).ok()
    };
    let rows = text.lines().filter(|line| line.starts_with("| ")).filter_map(cells);
    rows.filter(|[number, ..]| number.parse::<usize>().is_ok()).collect()
}

#[test]
fn each_case_is_a_test_or_has_a_reason() {
    let (tests, rows) = (tests(), rows());
    assert_eq!(CASES.iter().collect::<BTreeSet<_>>().len(), CASES.len(), "a case twice");
    for (n, case) in CASES.iter().enumerate() {
        let listed = rows.iter().filter(|row| row[1] == *case).count();
        assert_eq!(
            usize::from(tests.contains(*case)) + listed,
            1,
            "{case} is a test or a row, and not both"
        );
        if let Some([number, _, reason, instead]) = rows.iter().find(|row| row[1] == *case) {
            assert_eq!(number.parse(), Ok(n + 1), "the number of {case}");
            assert!(reason.len() > 20 && !instead.is_empty(), "{case} says why, and what instead");
        }
    }
    for name in tests.iter().map(String::as_str).chain(rows.iter().map(|row| row[1].as_str())) {
        assert!(CASES.contains(&name), "{name} is no case of OTP's suite");
    }
}
