//! Which flags and specs are refused: OTP's `check_startspec` and the limits of what is ours.

use std::collections::HashSet;

use super::spec::{AutoShutdown, Backoff, ChildSpec, Flags, Restart, SpecError, Strategy, Window};

/// Milliseconds in one of OTP's seconds.
const SECOND_MS: u64 = 1_000;

/// Checks flags and the whole list of children against each other.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn check(flags: &Flags, children: &[ChildSpec]) -> Result<(), SpecError> {
    check_flags(flags)?;
    if flags.strategy == Strategy::SimpleOneForOne && children.len() != 1 {
        return Err(SpecError::TemplateCount(children.len()));
    }
    let mut seen = HashSet::with_capacity(children.len());
    for spec in children {
        check_child(flags, spec)?;
        if !seen.insert(&spec.id) {
            return Err(SpecError::DuplicateChild(spec.id.clone()));
        }
    }
    Ok(())
}

fn check_flags(flags: &Flags) -> Result<(), SpecError> {
    let whole = flags.period_ms.is_multiple_of(SECOND_MS);
    if flags.period_ms == 0 || (flags.window == Window::OtpSeconds && !whole) {
        return Err(SpecError::InvalidPeriod(flags.period_ms));
    }
    let simple = flags.strategy == Strategy::SimpleOneForOne;
    if simple && flags.auto_shutdown != AutoShutdown::Never {
        return Err(SpecError::AutoShutdownSimple);
    }
    if flags.max_children == Some(0) {
        return Err(SpecError::MaxChildrenZero);
    }
    Ok(())
}

/// Checks one child's spec under these flags.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn check_child(flags: &Flags, spec: &ChildSpec) -> Result<(), SpecError> {
    let id = || spec.id.clone();
    if spec.id.is_empty() {
        return Err(SpecError::EmptyId);
    }
    if spec.significant && spec.restart == Restart::Permanent {
        return Err(SpecError::SignificantPermanent(id()));
    }
    if spec.significant && flags.auto_shutdown == AutoShutdown::Never {
        return Err(SpecError::SignificantNever(id()));
    }
    if spec.backoff.is_some_and(|backoff| !sound(&backoff)) {
        return Err(SpecError::InvalidBackoff(id()));
    }
    if spec.budget.is_some_and(|budget| budget.period_ms == 0) {
        return Err(SpecError::InvalidBudget(id()));
    }
    if spec.start_timeout_ms == Some(0) {
        return Err(SpecError::StartTimeoutZero(id()));
    }
    Ok(())
}

fn sound(backoff: &Backoff) -> bool {
    backoff.factor.is_finite()
        && backoff.factor >= 1.0
        && (0.0..=1.0).contains(&backoff.jitter)
        && backoff.min_ms <= backoff.max_ms
}
