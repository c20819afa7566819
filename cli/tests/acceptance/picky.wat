;; Traps at every message that begins with `a`, answers any other with its body. For the tests of dead letters.
(module
  (memory (export "memory") 4)
  (global $top (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.eq (i32.load8_u (local.get 6)) (i32.const 0x61)) (then unreachable))
    (i32.store8 (i32.const 64) (i32.const 0))
    (i32.store offset=8 (i32.const 64) (local.get 6))
    (i32.store offset=12 (i32.const 64) (local.get 7))
    (i32.const 64)))
