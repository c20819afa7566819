//! The canonical ABI of the world `loket:agent/agent@1.0.0`, spoken by hand; beside `room` the only module with
//! `unsafe`.
//!
//! A core module imports `call` from `loket:agent/counter@1.0.0` and exports `memory`,
//! `cabi_realloc`, `handle` and `cabi_post_handle`. Strings and lists cross as (pointer, length).
//! What the host writes into this memory it has asked `cabi_realloc` for, and from then on it is
//! ours to free.
//!
//! Both `call` and `handle` end in a `result<list<u8>, failure>` in memory, 48 bytes aligned to 8:
//!
//! ```text
//!  0 u8  tag: 0 ok, 1 failure     16 u32 message pointer
//!  8 u32 list pointer, or code's  20 u32 message length
//! 12 u32 list length, or code's   24 u8  retryable
//!                                 32 u8  retry-after-ms: 0 none, 1 some
//!                                 40 u64 its value
//! ```
//!
//! The u64 makes the record's alignment 8, hence the gaps. That form is read and written by safe
//! code ([`encode`], [`decode`]); `unsafe` is only where a span becomes memory or memory a span.

/// Size of the result in memory, in bytes.
pub const RESULT_SIZE: usize = 48;
const PAYLOAD: usize = 8;
const MESSAGE: usize = 16;
const RETRYABLE: usize = 24;
const RETRY_TAG: usize = 32;
const RETRY_MS: usize = 40;

/// A string or list in linear memory. Addresses are 32 bits wide in this world, whatever the
/// machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Address of the first byte; of no meaning when `len` is 0.
    pub ptr: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A `result<list<u8>, failure>` whose parts are still in linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flat {
    /// The list.
    Ok(Span),
    /// The failure.
    Failure {
        /// Its code.
        code: Span,
        /// Its message.
        message: Span,
        /// Whether to try again.
        retryable: bool,
        /// When, in milliseconds.
        retry_after_ms: Option<u64>,
    },
}

/// Where a result stands in memory.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Area(pub [u8; RESULT_SIZE]);

/// Writes a result in its canonical form.
#[must_use]
pub fn encode(result: &Flat) -> Area {
    let mut area = [0; RESULT_SIZE];
    match *result {
        Flat::Ok(list) => put_span(&mut area, PAYLOAD, list),
        Flat::Failure { code, message, retryable, retry_after_ms } => {
            area[0] = 1;
            put_span(&mut area, PAYLOAD, code);
            put_span(&mut area, MESSAGE, message);
            area[RETRYABLE] = u8::from(retryable);
            area[RETRY_TAG] = u8::from(retry_after_ms.is_some());
            let ms = retry_after_ms.unwrap_or(0).to_le_bytes();
            area[RETRY_MS..RETRY_MS + 8].copy_from_slice(&ms);
        }
    }
    Area(area)
}

/// Reads a result from its canonical form.
#[must_use]
pub fn decode(area: &Area) -> Flat {
    let area = &area.0;
    if area[0] == 0 {
        return Flat::Ok(span(area, PAYLOAD));
    }
    let ms = u64::from(word(area, RETRY_MS)) | u64::from(word(area, RETRY_MS + 4)) << 32;
    Flat::Failure {
        code: span(area, PAYLOAD),
        message: span(area, MESSAGE),
        retryable: area[RETRYABLE] != 0,
        retry_after_ms: (area[RETRY_TAG] != 0).then_some(ms),
    }
}

fn put_span(area: &mut [u8; RESULT_SIZE], at: usize, span: Span) {
    area[at..at + 4].copy_from_slice(&span.ptr.to_le_bytes());
    area[at + 4..at + 8].copy_from_slice(&span.len.to_le_bytes());
}

fn span(area: &[u8; RESULT_SIZE], at: usize) -> Span {
    Span { ptr: word(area, at), len: word(area, at + 4) }
}

fn word(area: &[u8; RESULT_SIZE], at: usize) -> u32 {
    u32::from_le_bytes([area[at], area[at + 1], area[at + 2], area[at + 3]])
}

/// Makes `$handler`, a `fn(Message) -> Answer<impl Reply>`, the agent of this module. Once per
/// module.
#[macro_export]
macro_rules! agent {
    ($handler:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            // SAFETY: the name is the world's, and a second `agent!` would not link.
            #[unsafe(export_name = "handle")]
            extern "C" fn loket_guest_handle(
                id: u32,
                id_len: u32,
                sender: u32,
                sender_len: u32,
                kind: u32,
                kind_len: u32,
                body: u32,
                body_len: u32,
            ) -> *mut $crate::abi::Area {
                let flat = [id, id_len, sender, sender_len, kind, kind_len, body, body_len];
                // SAFETY: the host calls with strings and a list that it placed by `cabi_realloc`,
                // each handed over for good.
                unsafe { $crate::abi::enter(flat, $handler) }
            }
        };
    };
}

#[cfg(target_arch = "wasm32")]
pub use wasm::{call, enter};

/// The edge itself, where addresses are real.
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod wasm {
    use std::alloc::{Layout, alloc, realloc};

    use super::{Area, Flat, RESULT_SIZE, Span, decode, encode};
    use crate::{Answer, Failure, Message, Reply};

    #[link(wasm_import_module = "loket:agent/counter@1.0.0")]
    unsafe extern "C" {
        #[link_name = "call"]
        fn counter_call(
            cap: *const u8,
            cap_len: usize,
            args: *const u8,
            args_len: usize,
            result: *mut Area,
        );
    }

    /// `call` of the counter.
    pub fn call(capability: &str, args: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut area = Area([0; RESULT_SIZE]);
        // SAFETY: both inputs are live slices, and the area has the result's size and alignment.
        unsafe {
            counter_call(
                capability.as_ptr(),
                capability.len(),
                args.as_ptr(),
                args.len(),
                &raw mut area,
            );
        }
        // SAFETY: the host has written a result whose parts it placed by `cabi_realloc`, each taken
        // once.
        unsafe {
            match decode(&area) {
                Flat::Ok(list) => Ok(take(list)),
                Flat::Failure { code, message, retryable, retry_after_ms } => Err(Failure {
                    code: text(take(code)),
                    message: text(take(message)),
                    retryable,
                    retry_after_ms,
                }),
            }
        }
    }

    /// Runs the handler on a message and leaves its result in memory until `cabi_post_handle`.
    ///
    /// # Safety
    /// `flat` is four (pointer, length) pairs as the host lowers a message, owned by the callee.
    pub unsafe fn enter<R: Reply>(flat: [u32; 8], handler: fn(Message) -> Answer<R>) -> *mut Area {
        let [id, id_len, sender, sender_len, kind, kind_len, body, body_len] = flat;
        std::panic::set_hook(Box::new(say_why));
        // SAFETY: promised by the caller; each span is taken once.
        let message = unsafe {
            Message {
                id: text(take(Span { ptr: id, len: id_len })),
                sender: text(take(Span { ptr: sender, len: sender_len })),
                kind: text(take(Span { ptr: kind, len: kind_len })),
                body: take(Span { ptr: body, len: body_len }),
            }
        };
        let result = match handler(message) {
            Ok(reply) => Flat::Ok(give(reply.into_bytes())),
            Err(failure) => Flat::Failure {
                code: give(failure.code.into_bytes()),
                message: give(failure.message.into_bytes()),
                retryable: failure.retryable,
                retry_after_ms: failure.retry_after_ms,
            },
        };
        Box::into_raw(Box::new(encode(&result)))
    }

    /// A panic ends in a trap, which says nothing to people: the log gets the words and the place
    /// first.
    fn say_why(panic: &std::panic::PanicHookInfo<'_>) {
        crate::log::write("error", &panic.to_string(), &serde_json::Value::Null);
    }

    /// Frees what `handle` left behind, when the host has read it.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn cabi_post_handle(area: *mut Area) {
        // SAFETY: the host hands back what `enter` returned, once; the spans in it come from
        // `give`.
        unsafe {
            let area = Box::from_raw(area);
            match decode(&area) {
                Flat::Ok(list) => drop(take(list)),
                Flat::Failure { code, message, .. } => drop((take(code), take(message))),
            }
        }
    }

    /// The host's way to ask for room. Without room the instance traps: there is no other answer.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn cabi_realloc(
        old: *mut u8,
        old_len: usize,
        align: usize,
        len: usize,
    ) -> *mut u8 {
        if len == 0 {
            // Never read or freed; only aligned.
            return core::ptr::without_provenance_mut(align);
        }
        let Ok(layout) = Layout::from_size_align(len, align) else { trap() };
        let place = if old_len == 0 {
            // SAFETY: the size is not zero.
            unsafe { alloc(layout) }
        } else {
            // SAFETY: the host gives back the size and alignment of an earlier answer, and `len`
            // was checked.
            unsafe { realloc(old, Layout::from_size_align_unchecked(old_len, align), len) }
        };
        if place.is_null() {
            trap()
        }
        place
    }

    fn trap() -> ! {
        core::arch::wasm32::unreachable()
    }

    /// Takes ownership of bytes in memory.
    ///
    /// # Safety
    /// The span came from `cabi_realloc` with alignment 1 or from [`give`], and is taken once.
    unsafe fn take(span: Span) -> Vec<u8> {
        if span.len == 0 {
            return Vec::new();
        }
        let len = span.len as usize;
        // SAFETY: promised by the caller; capacity is the length in both cases.
        unsafe {
            Vec::from_raw_parts(core::ptr::with_exposed_provenance_mut(span.ptr as usize), len, len)
        }
    }

    /// Leaves bytes in memory for whoever takes the span.
    fn give(bytes: Vec<u8>) -> Span {
        let bytes = Box::leak(bytes.into_boxed_slice());
        Span { ptr: bytes.as_mut_ptr().expose_provenance() as u32, len: bytes.len() as u32 }
    }

    /// The host has checked that strings are UTF-8; were it wrong, a text with marks beats a crash.
    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests;
