;; Its allocator names memory that it does not have: the message cannot be handed over.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -16))
  (func $handle (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    unreachable))
