//! Two read-mostly structures without locks: a persistent tree by number, and a hash index. A read
//! never allocates; a write to a tree copies one path of it.

use std::sync::Arc;

const WIDTH: usize = 32;
/// How far a number is shifted at the tree's levels, from the root down: 5 bits are a slot of each.
const SHIFTS: [u32; 7] = [30, 25, 20, 15, 10, 5, 0];

/// A persistent map from numbers. A clone shares everything, a change copies a node of each level.
pub(crate) type Radix<T> = Option<Arc<Node<T>>>;

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "leaves are what most nodes are")]
pub(crate) enum Node<T> {
    Branch([Radix<T>; WIDTH]),
    Leaf([Option<T>; WIDTH]),
}

pub(crate) fn get<T>(mut tree: &Radix<T>, key: u32) -> Option<&T> {
    for shift in SHIFTS {
        let slot = (key >> shift) as usize % WIDTH;
        match tree.as_deref()? {
            Node::Branch(below) => tree = &below[slot],
            Node::Leaf(values) => return values[slot].as_ref(),
        }
    }
    None
}

pub(crate) fn set<T: Clone>(mut tree: &mut Radix<T>, key: u32, value: Option<T>) {
    for shift in SHIFTS {
        let slot = (key >> shift) as usize % WIDTH;
        let new = || match shift {
            0 => Arc::new(Node::Leaf([const { None }; WIDTH])),
            _ => Arc::new(Node::Branch([const { None }; WIDTH])),
        };
        match Arc::make_mut(tree.get_or_insert_with(new)) {
            Node::Branch(below) => tree = &mut below[slot],
            Node::Leaf(values) => return values[slot] = value,
        }
    }
}

/// A fast hash of short text. Not keyed: callers add nothing to an index, and a hit is compared.
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
