;; Its handle takes two numbers, not a message. Refused at load.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "handle") (param i32 i32) (result i32) unreachable))
