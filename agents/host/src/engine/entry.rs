//! One compiled module as bytes that can be told from all others: how it lies in the cache, and what a process apart answers.
//!
//! It must never let through bytes that are not, to the last one, what this program wrote for this module and this engine:
//! they are machine code that the process will run.

use std::hash::{Hash, Hasher};

/// First bytes of an entry; the digit counts versions of its layout.
const MAGIC: &[u8; 8] = b"LOKETAO1";

/// Magic, key, hash of the artifact.
const HEADER_BYTES: usize = 8 + 32 + 32;

/// Largest entry that is read, bytes: machine code is at most some five times its module.
pub(super) const MAX_ENTRY_BYTES: u64 = 256 << 20;

/// Names one module as compiled by one engine.
pub(super) struct Key([u8; 32]);

impl Key {
    /// The key of the module with this content hash. Compiler version, settings, processor features and the contract are
    /// part of it, so that a change of any is simply a miss.
    pub(super) fn of(engine: &wasmtime::Engine, content: &[u8; 32]) -> Self {
        let mut hasher = Blake(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.0.update(blake3::hash(loket_abi::WIT.as_bytes()).as_bytes());
        hasher.0.update(content);
        Self(*hasher.0.finalize().as_bytes())
    }

    /// Its name as a file.
    pub(super) fn name(&self) -> String {
        hex::encode(self.0)
    }
}

/// A whole entry: header and artifact.
pub(super) struct Entry(Vec<u8>);

impl Entry {
    /// The entry of what this engine has compiled.
    pub(super) fn of(key: &Key, artifact: &[u8]) -> Self {
        let mut entry = Vec::with_capacity(HEADER_BYTES + artifact.len());
        entry.extend_from_slice(&header_of(key, artifact));
        entry.extend_from_slice(artifact);
        Self(entry)
    }

    /// What was read, if every byte of it is what [`Entry::of`] made for this key.
    pub(super) fn verified(key: &Key, read: Vec<u8>) -> Option<Self> {
        let (header, artifact) = read.split_at_checked(HEADER_BYTES)?;
        let whole = read.len() as u64 <= MAX_ENTRY_BYTES;
        (whole && header == header_of(key, artifact)).then_some(Self(read))
    }

    /// Whether bytes begin as an entry does.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The machine code.
    pub(super) fn artifact(&self) -> &[u8] {
        &self.0[HEADER_BYTES..]
    }
}

fn header_of(key: &Key, artifact: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..40].copy_from_slice(&key.0);
    header[40..].copy_from_slice(blake3::hash(artifact).as_bytes());
    header
}

/// The standard hashers are not the same from one process to the next.
struct Blake(blake3::Hasher);

impl Hasher for Blake {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}
