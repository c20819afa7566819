//! Order, fences, bounds.
