;; Exports an allocator and a memory, but nothing that takes a message. Refused at load.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))
