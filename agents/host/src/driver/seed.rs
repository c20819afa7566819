//! The seeds of turns: the system's chance, asked for in bulk, because asking is a system call and a turn needs eight bytes.

use std::cell::RefCell;

/// Bytes taken at a time: the most that the system gives without being interrupted.
const BYTES: usize = 256;

/// Bytes of one seed.
const SEED_BYTES: usize = 8;

thread_local! {
    static CHANCE: RefCell<Chance> = const { RefCell::new(Chance { bytes: [0; BYTES], left: 0 }) };
}

/// Bytes of chance that no seed was made of yet: the first `left` of them.
struct Chance {
    bytes: [u8; BYTES],
    left: usize,
}

/// A seed that nobody can know beforehand.
///
/// # Errors
/// The system has no chance to give.
pub(super) fn seed() -> Result<u64, getrandom::Error> {
    CHANCE.with_borrow_mut(|chance| {
        if chance.left < SEED_BYTES {
            getrandom::fill(&mut chance.bytes)?;
            chance.left = BYTES;
        }
        chance.left -= SEED_BYTES;
        let mut seed = [0; SEED_BYTES];
        // Taken out: no two turns are given the same bytes.
        seed.swap_with_slice(&mut chance.bytes[chance.left..][..SEED_BYTES]);
        Ok(u64::from_le_bytes(seed))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_turns_have_the_same_seed() {
        let threads = [(); 4].map(|()| {
            std::thread::spawn(|| (0..1_000).map(|_| seed().unwrap()).collect::<Vec<_>>())
        });
        let seeds: HashSet<u64> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(seeds.len(), 4_000);
    }
}
