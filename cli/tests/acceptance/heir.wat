;; At `t` writes the key `k` to its brain and traps; at any other message answers what `k` is. For the tests of what a life leaves to
;; the next one.
(module
  (import "loket:agent/counter@1.0.0" "call" (func $call (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "store.brain.kv.put")
  (data (i32.const 48) "store.brain.kv.get")
  (data (i32.const 80) "{\"key\":\"k\",\"value\":1}")
  (data (i32.const 128) "{\"key\":\"k\"}")
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.eq (i32.load8_u (local.get 6)) (i32.const 0x74))
      (then
        (call $call (i32.const 16) (i32.const 18) (i32.const 80) (i32.const 21) (i32.const 256))
        (unreachable)))
    (call $call (i32.const 48) (i32.const 18) (i32.const 128) (i32.const 11) (i32.const 256))
    (i32.const 256)))
