//! Where a guest's memory for values comes from: first a room of its own, then more of the machine's.
//!
//! Every turn is a fresh instance, and a memory that grows is a change of the host's memory map, which costs more than a small turn
//! itself. The standard library's allocator grows it for the first byte; this one is the same allocator, but begins with
//! [`ROOM_BYTES`] that are part of the module's memory from the start, and grows it when those are full. A page of it that no turn
//! touches costs nothing.

#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::{Cell, UnsafeCell};
use core::ptr;

use dlmalloc::{Allocator, Dlmalloc};

/// Bytes of values that a turn may hold at a time before its memory grows: what a message, its answer and some calls in JSON need.
const ROOM_BYTES: usize = 128 << 10;

/// What a memory grows by, bytes.
const PAGE_BYTES: usize = 64 << 10;

/// What `memory.grow` answers when there is no more.
const NO_MORE: usize = usize::MAX;

/// Memory that the linker puts behind the module's data: zero, and no part of the file.
#[repr(C, align(16))]
struct Room(UnsafeCell<[u8; ROOM_BYTES]>);

// SAFETY: an instance has one thread (the crate does not build with `atomics`, see below), and the bytes are given out once.
unsafe impl Sync for Room {}

static ROOM: Room = Room(UnsafeCell::new([0; ROOM_BYTES]));

/// Gives the room out, once, then pages.
struct RoomThenPages {
    given: Cell<bool>,
}

// SAFETY: what is given out is the room, once, or pages that `memory.grow` has just added: nobody else's, writable, zero, never
// taken back, and of the size that is said.
unsafe impl Allocator for RoomThenPages {
    fn alloc(&self, bytes: usize) -> (*mut u8, usize, u32) {
        if bytes <= ROOM_BYTES && !self.given.replace(true) {
            return (ROOM.0.get().cast(), ROOM_BYTES, 0);
        }
        let pages = bytes.div_ceil(PAGE_BYTES);
        let before = wasm32::memory_grow::<0>(pages);
        if before == NO_MORE {
            return (ptr::null_mut(), 0, 0);
        }
        let (at, bytes) = (before * PAGE_BYTES, pages * PAGE_BYTES);
        // No address follows the last page of 4 GiB: a few of its bytes are left out, so that an end can be said.
        let bytes = if at.wrapping_add(bytes) == 0 { bytes - 16 } else { bytes };
        (ptr::with_exposed_provenance_mut(at), bytes, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}

/// The allocator of the whole module.
struct Memory(UnsafeCell<Dlmalloc<RoomThenPages>>);

#[cfg(target_feature = "atomics")]
compile_error!("a guest has one thread: build it without `atomics`");

// SAFETY: an instance has one thread, and nothing below calls back into the allocator.
unsafe impl Sync for Memory {}

#[global_allocator]
static MEMORY: Memory = Memory(UnsafeCell::new(Dlmalloc::new_with_allocator(RoomThenPages {
    given: Cell::new(false),
})));

// SAFETY: each is dlmalloc's own, whose contract is this trait's; the reference lives for the call alone, on the only thread.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(at, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(at, layout.size(), layout.align(), bytes) }
    }
}
