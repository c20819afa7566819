;; The smallest guest: world loket:agent@1.0.0 in its canonical ABI, by hand.
;; handle answers with the message's body. A body "call NAME ARGS" asks the loket for NAME with ARGS (what follows the
;; first space after NAME; nothing if there is none) and hands on the answer as it is: a failure stays a failure, no trap.
(module
  (import "loket:agent/counter@1.0.0" "call" (func $call (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "call ")
  ;; 64..112: the result<list<u8>, failure> that handle points to. Everything from 1024 up is allocated by bumping.
  (global $top (mut i32) (i32.const 1024))

  (func (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $want i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get $want)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $top) (i32.shl (memory.size) (i32.const 16))))
      (br_if $fits (i32.ne (i32.const -1)
        (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $want) (i32.const 16))))))
      unreachable)
    (if (local.get $old)
      (then (memory.copy (local.get $at) (local.get $old) (local.get $had))))
    (local.get $at))

  ;; Whether the body starts with "call ".
  (func $asks (param $body i32) (param $len i32) (result i32)
    (if (i32.lt_u (local.get $len) (i32.const 5)) (then (return (i32.const 0))))
    (i32.and
      (i32.eq (i32.load align=1 (local.get $body)) (i32.load (i32.const 16)))
      (i32.eq (i32.load8_u offset=4 (local.get $body)) (i32.const 0x20))))

  (func (export "handle")
    (param $id i32) (param $id_len i32) (param $sender i32) (param $sender_len i32)
    (param $kind i32) (param $kind_len i32) (param $body i32) (param $len i32) (result i32)
    (local $end i32) (local $space i32)
    (if (call $asks (local.get $body) (local.get $len))
      (then
        (local.set $end (i32.add (local.get $body) (local.get $len)))
        (local.set $body (i32.add (local.get $body) (i32.const 5)))
        (local.set $space (local.get $body))
        (block $found
          (loop $next
            (br_if $found (i32.ge_u (local.get $space) (local.get $end)))
            (br_if $found (i32.eq (i32.load8_u (local.get $space)) (i32.const 0x20)))
            (local.set $space (i32.add (local.get $space) (i32.const 1)))
            (br $next)))
        (local.set $id (i32.add (local.get $space) (i32.lt_u (local.get $space) (local.get $end))))
        (call $call
          (local.get $body) (i32.sub (local.get $space) (local.get $body))
          (local.get $id) (i32.sub (local.get $end) (local.get $id))
          (i32.const 64)))
      (else
        (i32.store8 (i32.const 64) (i32.const 0))
        (i32.store offset=8 (i32.const 64) (local.get $body))
        (i32.store offset=12 (i32.const 64) (local.get $len))))
    (i32.const 64))

  ;; The host has copied the result: all memory is free again.
  (func (export "cabi_post_handle") (param i32) (global.set $top (i32.const 1024))))
