//! Two read-mostly structures without locks: a persistent radix tree by dense number, and a hash
//! index. Neither ever allocates on a read; a write to a tree copies one path of it.

use std::sync::Arc;

const BITS: u32 = 5;
const WIDTH: usize = 1 << BITS;

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "leaves are what most nodes are")]
enum Node<T> {
    Branch([Option<Arc<Node<T>>>; WIDTH]),
    Leaf([Option<T>; WIDTH]),
}

impl<T> Node<T> {
    fn empty(level: u32) -> Arc<Self> {
        Arc::new(match level {
            0 => Self::Leaf([const { None }; WIDTH]),
            _ => Self::Branch([const { None }; WIDTH]),
        })
    }
}

fn slot(key: u32, level: u32) -> usize {
    (key >> (BITS * level)) as usize % WIDTH
}

/// A persistent map from small numbers. A clone shares everything; a change copies at most 7 nodes.
#[derive(Clone, Debug)]
pub(crate) struct Radix<T> {
    root: Arc<Node<T>>,
    /// Levels of branches above the leaves: 0 to 6.
    height: u32,
}

impl<T> Default for Radix<T> {
    fn default() -> Self {
        Self { root: Node::empty(0), height: 0 }
    }
}

impl<T> Radix<T> {
    fn holds(&self, key: u32) -> bool {
        u64::from(key) >> (BITS * (self.height + 1)) == 0
    }

    #[inline]
    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        let (mut node, mut level) = (&*self.root, self.height);
        if !self.holds(key) {
            return None;
        }
        loop {
            match node {
                Node::Branch(children) => node = children[slot(key, level)].as_deref()?,
                Node::Leaf(cells) => return cells[slot(key, 0)].as_ref(),
            }
            level = level.saturating_sub(1);
        }
    }
}

impl<T: Clone> Radix<T> {
    pub(crate) fn set(&mut self, key: u32, value: Option<T>) {
        while !self.holds(key) {
            let mut children = [const { None }; WIDTH];
            children[0] = Some(self.root.clone());
            self.root = Arc::new(Node::Branch(children));
            self.height += 1;
        }
        let (mut node, mut level) = (&mut self.root, self.height);
        loop {
            match Arc::make_mut(node) {
                Node::Branch(children) => {
                    let child = &mut children[slot(key, level)];
                    level = level.saturating_sub(1);
                    node = child.get_or_insert_with(|| Node::empty(level));
                }
                Node::Leaf(cells) => {
                    cells[slot(key, 0)] = value;
                    return;
                }
            }
        }
    }
}

/// A fast hash of short text. Not keyed: what is indexed comes from the fleet's files and
/// providers, and a hit is always compared in full, so a caller can at worst ask for what is not
/// there.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index<T>(Arc<[Option<T>]>);

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Index<T> {
    /// At most three quarters full, so that a probe ends soon.
    pub(crate) fn new(items: impl ExactSizeIterator<Item = (u64, T)>) -> Self {
        let count = (items.len() * 4 / 3 + 1).next_power_of_two();
        let mut slots: Vec<Option<T>> = (0..count).map(|_| None).collect();
        for (hash, item) in items {
            let mut probe = hash as usize % count;
            while slots[probe].is_some() {
                probe = (probe + 1) % count;
            }
            slots[probe] = Some(item);
        }
        Self(slots.into())
    }

    /// What has this hash and `same` agrees to.
    #[inline]
    pub(crate) fn find(&self, hash: u64, same: impl Fn(&T) -> bool) -> Option<&T> {
        let mask = self.0.len().wrapping_sub(1);
        let mut probe = hash as usize & mask;
        // A table has an empty slot; the default has no slot at all.
        while let Some(Some(item)) = self.0.get(probe) {
            if same(item) {
                return Some(item);
            }
            probe = (probe + 1) & mask;
        }
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}
