//! Tests of the whole: what no single crate can see of itself. Nothing here is built into Loket.
//!
//! This library is empty on purpose; it depends on no crate of ours, so that `tests/tidy` runs, and says what is wrong,
//! also when one of them does not compile. Start reading at `tests/tidy/main.rs`.
