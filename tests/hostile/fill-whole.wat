;; Takes 31 MiB and fills all of it in one instruction, again and again: no epoch can interrupt one of these.
(module
  (memory (export "memory") 1)
  ;; Enough for a message: bumps, never grows, never frees.
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (drop (memory.grow (i32.const 495)))
    (loop $ever
      (memory.fill (i32.const 0) (i32.const 255) (i32.const 32505856))
      (br $ever))
    unreachable))
