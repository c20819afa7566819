//! Two read-mostly structures without locks: a persistent tree by number, and a hash index. A read
//! never allocates; a write to a tree copies one path of it.

use std::sync::Arc;

const BITS: u32 = 5;
const WIDTH: usize = 1 << BITS;
/// The shifts of a number at the tree's levels, from the root down.
const SHIFTS: [u32; 7] = [6 * BITS, 5 * BITS, 4 * BITS, 3 * BITS, 2 * BITS, BITS, 0];

/// A persistent map from numbers, and each node of it. A clone shares everything, a change copies a
/// node of each level. What is read of a node is on one cache line.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(crate) struct Radix<T> {
    below: Option<Arc<[Self; WIDTH]>>,
    value: Option<T>,
}

impl<T: Clone + Default> Radix<T> {
    pub(crate) fn get<'t>(&'t self, key: u32) -> Option<&'t T> {
        let below =
            |node: &'t Self, shift| Some(&node.below.as_ref()?[(key >> shift) as usize % WIDTH]);
        SHIFTS.into_iter().try_fold(self, below)?.value.as_ref()
    }

    pub(crate) fn set(&mut self, key: u32, value: Option<T>) {
        let mut node = self;
        let empty = || Arc::new(std::array::from_fn(|_| Self::default()));
        for shift in SHIFTS {
            let below = Arc::make_mut(node.below.get_or_insert_with(empty));
            node = &mut below[(key >> shift) as usize % WIDTH];
        }
        node.value = value;
    }
}

/// A fast hash of short text. Not keyed: what is indexed comes from the fleet's files and
/// providers, and a hit is compared in full, so a caller can at worst ask for what is not there.
#[inline]
pub(crate) fn hash(text: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(MIX);
        (product >> 64) as u64 ^ product as u64
    };
    let start = MIX ^ (text.len() as u64).rotate_left(32);
    let (words, rest) = text.as_chunks::<8>();
    let hash = words.iter().fold(start, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    fold(fold(hash, last), MIX)
}

/// Open addressing, built once and never grown; a clone shares it.
pub(crate) type Index<T> = Arc<[Option<T>]>;

/// An index of at least one empty slot in four, so that a probe ends soon.
pub(crate) fn index<T>(items: impl ExactSizeIterator<Item = (u64, T)>) -> Index<T> {
    let count = (items.len() * 4 / 3 + 1).next_power_of_two();
    let mut slots: Vec<Option<T>> = (0..count).map(|_| None).collect();
    for (hash, item) in items {
        let mut probe = hash as usize % count;
        while slots[probe].is_some() {
            probe = (probe + 1) % count;
        }
        slots[probe] = Some(item);
    }
    slots.into()
}

/// What has this hash and `same` agrees to. The default index has no slot at all.
pub(crate) fn find<T>(index: &Index<T>, hash: u64, same: impl Fn(&T) -> bool) -> Option<&T> {
    let mask = index.len().wrapping_sub(1);
    let slots = (0..index.len()).map(|step| (hash as usize).wrapping_add(step) & mask);
    slots.map_while(|slot| index[slot].as_ref()).find(|item| same(item))
}
