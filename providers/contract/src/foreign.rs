//! Foreign (MCP) tool names, brought into the form of one segment of a capability's name.
//!
//! The kernel never sees a foreign name, and nothing maps one back. Start reading at [`map_foreign`].

use loket_kernel::{Capability, MAX_SEGMENT};

/// Maps a foreign (MCP) name into one segment, injectively.
///
/// A name that already is a segment stays as it is, unless it begins with `x--` or `h--`. Any other
/// is `x--` and its bytes: `a-z 0-9 _` as they are, the rest as `-` and two hex digits. Where that
/// is longer than [`MAX_SEGMENT`] it is `h--` and the name's 128-bit FNV-1a: no finite segment can
/// hold every long name, so whoever loads foreign names treats two that map to one as an error.
pub fn map_foreign(name: &str) -> String {
    let reserved = name.starts_with("x--") || name.starts_with("h--");
    if !reserved && !name.contains('.') && Capability::parse(name).is_ok() {
        return name.into();
    }
    let mut mapped = String::from("x--");
    for byte in name.bytes().take(MAX_SEGMENT) {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => mapped.push(char::from(byte)),
            _ => mapped.push_str(&format!("-{byte:02x}")),
        }
    }
    if mapped.len() <= MAX_SEGMENT {
        return mapped;
    }
    let (offset, prime) = (0x6c62272e07bb014262b821756295c58d_u128, (1_u128 << 88) | 0x13b);
    let fold = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(prime);
    format!("h--{:032x}", name.bytes().fold(offset, fold))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashMap;

    struct Rng(u64);

    impl Rng {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    #[test]
    fn foreign_names_map_injectively_into_one_segment() {
        assert_eq!(map_foreign("create_issue"), "create_issue");
        assert_eq!(map_foreign("createIssue"), "x--create-49ssue");
        assert_eq!(map_foreign("a.b"), "x--a-2eb");
        assert_eq!(map_foreign(""), "x--");
        let (mut seen, rng) = (HashMap::new(), &mut Rng(11));
        let alphabet = [
            "a", "x", "h", "-", "--", "_", ".", "A", "2e", "49", "x--", "h--", "\u{e9}", " ", "\0",
        ];
        for _ in 0..200_000 {
            let most = if rng.below(20) == 0 { 70 } else { 6 };
            let parts = rng.below(most);
            let name: String = (0..parts).map(|_| alphabet[rng.below(15) as usize]).collect();
            let mapped = map_foreign(&name);
            assert!(
                !mapped.contains('.') && Capability::parse(&mapped).is_ok(),
                "{name:?} -> {mapped:?}"
            );
            let first = seen.entry(mapped).or_insert_with(|| name.clone());
            assert_eq!(*first, name, "two names map to one");
        }
        assert!(seen.len() > 50_000);
        // What the map itself makes is foreign to it again.
        assert_ne!(map_foreign(&map_foreign("A")), map_foreign("A"));
    }
}
