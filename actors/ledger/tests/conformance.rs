//! The embedded engine against the conformance kit, at both levels of durability.
#![allow(clippy::unwrap_used)]

use loket_ledger::kit::{self, Subject};
use loket_ledger::{Durability, Options, SqliteLedger};

fn check(rule: fn(&Subject)) {
    for durability in [Durability::Power, Durability::Process] {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path());
        options.durability = durability;
        options.clock = std::sync::Arc::new(|| kit::NOW_MS);
        let (to, events) = crossbeam_channel::bounded(4096);
        let ledger =
            SqliteLedger::open(options, Box::new(move |event| drop(to.try_send(event)))).unwrap();
        rule(&Subject { ledger, events });
    }
}

macro_rules! rules {
    ($($rule:ident),* $(,)?) => { $(
        #[test]
        fn $rule() {
            check(kit::$rule);
        }
    )* };
}

rules! {
    a1_accepted_messages_wait_in_order,
    a1_an_unknown_receiver_is_refused,
    a2_same_key_same_message,
    a2_a_key_with_another_body_is_refused,
    a2_a_derived_id_is_accepted_once,
    a3_inboxes_are_bounded,
    a3_reserved_places_count,
    a3_unless_waiting_skips,
    a4_removal_leaves_letters_and_failures,
    a4_a_receiver_gone_meanwhile_is_a_letter,
    a6_dynamic_children_are_rows,
    a6_bounds_are_set_of_who_lives_and_begin_no_life,
    b1_a_turn_needs_its_begin,
    c4_an_older_incarnation_is_fenced,
    c4_racing_incarnations_never_both_write,
    c4_a_letter_is_retried_once_for_a_call,
    c4_a_brain_is_exchanged_once_for_a_call,
    c4_the_first_outcome_wins,
    a2_a_call_with_the_key_of_a_message_that_waits_is_answered_by_its_end,
    c2_what_a_call_took_can_be_looked_at,
    c4_an_end_cannot_change_a_result,
    c4_a_once_call_is_in_doubt_only_when_its_holder_ended,
    c4_an_answered_once_call_is_never_in_doubt,
    c4_only_an_operator_resolves_a_doubt,
    g4_a_quarantine_stays_until_the_turn_is_skipped,
    g4_an_accepted_rerun_asks_before_it_repeats,
    g4_what_was_said_of_a_call_that_is_made_again_is_asked_again,
    d1_the_end_answers_the_caller,
    d1_a_turn_ends_once,
    e6_turns_are_kept_until_the_brain_has_them,
    e7_a_file_of_another_state_is_not_taken,
    j4_a_take_over_from_an_older_standing_is_refused_and_fences_nobody,
    j4_who_may_not_go_on_takes_over_nothing_without_asking,
    e7_an_open_turn_is_given_up_by_its_number_only,
    e7_a_turn_that_asked_a_person_is_open,
    e7_snapshots_are_noted_and_forgotten,
    e7_who_works_on_the_old_brain_writes_nothing_more,
    g2_a_retry_keeps_what_was_sent,
    c8_kept_records_keep_their_places,
    g3_the_last_attempt_makes_a_letter,
    g3_a_retry_is_a_new_message,
    g3_a_dropped_letter_is_counted,
    a3_a_timer_waits_for_room,
    d1_timers_fire_when_due,
    h1_a_denied_call_is_told_the_reason,
    h1_a_sleep_ends_at_its_time,
    h1_an_answer_is_the_result_of_its_question,
    h1_an_approved_call_may_go_out,
    h1_an_approved_call_that_has_left_holds_nobody_up,
    h1_an_older_incarnation_asks_nobody,
    h2_the_call_that_closes_a_cycle_is_told,
    h2_what_was_answered_closes_no_cycle,
    i2_a_down_tells_the_end_of_an_incarnation_once,
    i2_a_down_of_the_already_dead_is_noproc,
    i2_an_end_that_nobody_noted_is_told_by_the_next_incarnation,
    i2_between_two_incarnations_the_next_one_is_watched,
    i2_a_removal_tells_every_monitor_of_the_life,
    i2_a_demonitor_ends_one_monitor,
    i2_a_down_needs_no_room,
    i3_members_are_lives,
    i3_a_message_to_a_group_reaches_each_that_is_there,
    c2_a_call_is_charged_with_its_intent,
    c2_a_call_beyond_its_budget_writes_nothing,
    c2_what_was_counted_is_judged_with_the_call,
    c4_a_second_sending_is_charged_once,
    c4_what_nobody_accounts_for_is_spent,
    d1_what_was_counted_is_written_with_the_end,
    g3_a_skipped_turn_spends_what_it_had_reserved,
    j4_spent_stays_spent_when_budgets_are_set_again,
    a4_budgets_go_with_the_life,
    c2_a_call_is_charged_at_every_level_or_at_none,
    c4_a_second_sending_is_charged_once_at_every_level,
    c5_who_is_gone_has_spent_what_it_had_reserved,
    d1_a_message_has_a_budget_for_all_its_attempts,
    d1_what_was_counted_is_written_at_every_level,
    j4_a_supervisors_budget_is_set_again,
    h1_an_approved_soft_limit_lets_all_go_on_to_the_hard_one,
    h1_a_denied_soft_limit_refuses_the_one_call,
    h1_a_soft_limits_word_is_for_these_arguments,
    h1_a_soft_limit_waits_for_the_next_window_at_most,
    h1_an_approval_expires_once,
}
