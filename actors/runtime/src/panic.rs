//! Panics inside a cell: caught, described, told once.
//!
//! One process-wide hook, installed once, notes message and place of a panic for the cell that is being polled on this thread
//! and leaves every other panic to the hook that was there before. The supervisor's report is where a cell's panic is told, so
//! nothing is printed twice. Start reading at [`guard`].

use loket_supervision::machine::{Blame, Cause, Exit};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// Most bytes of a panic's message that are kept: it goes into reports and the history.
const MESSAGE_BYTES_MAX: usize = 2_048;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static NOTED: RefCell<Option<String>> = const { RefCell::new(None) };
}

static INSTALLED: Once = Once::new();

/// Puts the hook in front of the one that is there. Does nothing the second time.
pub(crate) fn install_hook() {
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !note(info) {
                before(info);
            }
        }));
    });
}

/// Keeps what the panic says, if a cell is being polled here and this is the first one. A second one during the unwind of the
/// first ends the process: then all must be printed.
fn note(info: &PanicHookInfo<'_>) -> bool {
    if !GUARDED.try_with(Cell::get).unwrap_or(false) {
        return false;
    }
    let mut text = text_of(info.payload()).to_owned();
    if text.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push_str(" …");
    }
    if let Some(at) = info.location() {
        text.push_str(&format!(" (at {}:{}:{})", at.file(), at.line(), at.column()));
    }
    NOTED
        .try_with(|noted| match noted.try_borrow_mut() {
            Ok(mut noted) if noted.is_none() => {
                *noted = Some(text);
                true
            }
            _ => false,
        })
        .unwrap_or(false)
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message")
}

/// Runs `work`; a panic in it becomes an exit that says what and where, and blames `blame`.
pub(crate) fn guard<T>(blame: Blame, work: impl FnOnce() -> T) -> Result<T, Exit> {
    let outer = GUARDED.with(|guarded| guarded.replace(true));
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|guarded| guarded.set(outer));
    result.map_err(|payload| {
        let noted = NOTED.with(|noted| noted.borrow_mut().take());
        let message = noted.unwrap_or_else(|| text_of(&*payload).to_owned());
        // A payload may panic when it is dropped; then it is leaked, which is the lesser evil.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        NOTED.with(|noted| noted.borrow_mut().take());
        Exit::crash(Cause::Panic, blame, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(exit: Result<(), Exit>) -> String {
        match exit {
            Err(Exit::Crash { cause: Cause::Panic, message, .. }) => message,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_panic_is_told_with_its_place_and_the_next_one_with_its_own() {
        install_hook();
        let first = message(guard(Blame::Host, || panic!("broken {}", 1)));
        assert!(first.starts_with("broken 1 (at ") && first.contains("panic.rs"), "{first}");
        let second = message(guard(Blame::Host, || panic!("other")));
        assert!(second.starts_with("other (at "), "{second}");
        assert_eq!(guard(Blame::Host, || 5), Ok(5));
    }

    #[test]
    fn an_inner_guard_leaves_the_outer_one_in_force() {
        install_hook();
        let outer = guard(Blame::Host, || {
            let inner = message(guard(Blame::Guest, || panic!("inner")));
            assert!(inner.starts_with("inner"));
            panic!("outer");
        });
        assert!(message(outer).starts_with("outer (at "));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_stays_inside() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("bomb");
            }
        }
        install_hook();
        let text = message(guard(Blame::Host, || std::panic::panic_any(Bomb)));
        assert!(text.starts_with("a panic without a message"), "{text}");
    }
}
