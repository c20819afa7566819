;; Calls a capability whose name is not UTF-8.
(module
  (import "loket:agent/counter@1.0.0" "call" (func $call (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\ff\fe")
  ;; Enough for a message: bumps, never grows, never frees.
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func $handle (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $call (i32.const 16) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 64))
    (i32.const 64)))
