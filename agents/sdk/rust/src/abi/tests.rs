//! The layout against an independent statement of it, and the way there and back.

use core::mem::{align_of, offset_of, size_of};

use super::*;

// The world's types as a C compiler lays them out for a 32-bit machine with 8-byte u64: the
// canonical ABI's rule. An independent statement of the constants above.
#[repr(C)]
struct CSpan {
    ptr: u32,
    len: u32,
}
#[repr(C)]
struct COption {
    tag: u8,
    value: u64,
}
#[repr(C)]
struct CFailure {
    code: CSpan,
    message: CSpan,
    retryable: u8,
    retry_after_ms: COption,
}
#[repr(C)]
struct CResult {
    tag: u8,
    failure: CFailure,
}

#[test]
fn offsets_are_those_of_the_canonical_abi() {
    let failure = offset_of!(CResult, failure);
    assert_eq!(failure, PAYLOAD);
    assert_eq!(failure + offset_of!(CFailure, code), PAYLOAD);
    assert_eq!(failure + offset_of!(CFailure, message), MESSAGE);
    assert_eq!(failure + offset_of!(CFailure, retryable), RETRYABLE);
    let retry = failure + offset_of!(CFailure, retry_after_ms);
    assert_eq!(retry, RETRY_TAG);
    assert_eq!(retry + offset_of!(COption, value), RETRY_MS);
    assert_eq!((size_of::<CResult>(), align_of::<CResult>()), (RESULT_SIZE, 8));
    assert_eq!((size_of::<Area>(), align_of::<Area>()), (RESULT_SIZE, 8));
    assert_eq!((offset_of!(CSpan, ptr), offset_of!(CSpan, len)), (0, 4));
    assert_eq!(offset_of!(CResult, tag), 0);
    assert_eq!(offset_of!(COption, tag), 0);
}

#[test]
fn results_survive_the_way_there_and_back() {
    let list = Span { ptr: 0x8000_0001, len: 7 };
    let code = Span { ptr: 3, len: 0xffff_ffff };
    let message = Span { ptr: 0x0102_0304, len: 5 };
    let failure =
        |retryable, retry_after_ms| Flat::Failure { code, message, retryable, retry_after_ms };
    for result in [
        Flat::Ok(list),
        failure(false, None),
        failure(true, None),
        failure(true, Some(0)),
        failure(false, Some(u64::MAX - 1)),
        failure(true, Some(0x0102_0304_0506_0708)),
    ] {
        assert_eq!(decode(&encode(&result)), result);
    }
}

#[test]
fn a_failure_is_written_byte_by_byte_as_the_table_says() {
    let area = encode(&Flat::Failure {
        code: Span { ptr: 0x11, len: 0x12 },
        message: Span { ptr: 0x21, len: 0x22 },
        retryable: true,
        retry_after_ms: Some(0x3132),
    });
    let mut expected = [0; RESULT_SIZE];
    for (at, byte) in [
        (0, 1),
        (8, 0x11),
        (12, 0x12),
        (16, 0x21),
        (20, 0x22),
        (24, 1),
        (32, 1),
        (40, 0x32),
        (41, 0x31),
    ] {
        expected[at] = byte;
    }
    assert_eq!(area.0, expected);
}
