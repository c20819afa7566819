;; Takes all memory it can get, a page at a time, then traps. The growth that is denied is a plain -1.
(module
  (memory (export "memory") 1)
  ;; Enough for a message: bumps, never grows, never frees.
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func $handle (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1))))) unreachable))
