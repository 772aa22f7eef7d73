//! The last offset of every key in a stretch of the log, by the key's hash, within a budget of memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use sha2::{Digest, Sha256};

/// Half a SHA-256: two keys of one log will not have the same.
type KeyHash = [u8; 16];

/// What an entry takes, with the free places of the table and its growth.
const ENTRY_BYTES: usize = 64;

/// The keys are hashes already.
#[derive(Default)]
struct Prefix(u64);

impl Hasher for Prefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(prefix) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*prefix);
        }
    }

    /// The length of the hash, which is always the same.
    fn write_usize(&mut self, _: usize) {}
}

pub(super) struct OffsetMap {
    offsets: HashMap<KeyHash, i64, BuildHasherDefault<Prefix>>,
    entries_max: usize,
}

fn hash(key: &[u8]) -> KeyHash {
    let mut hash = KeyHash::default();
    hash.copy_from_slice(&Sha256::digest(key)[..16]);
    hash
}

impl OffsetMap {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { offsets: HashMap::default(), entries_max: (bytes_max / ENTRY_BYTES).max(1) }
    }

    /// Takes note of a record; offsets come in ascending order. False if there is no room for another key.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = hash(key);
        if let Some(last) = self.offsets.get_mut(&hash) {
            *last = offset;
            return true;
        }
        let has_room = self.offsets.len() < self.entries_max;
        if has_room {
            self.offsets.insert(hash, offset);
        }
        has_room
    }

    /// Whether the map knows of a later record of this key.
    pub(super) fn supersedes(&self, key: &[u8], offset: i64) -> bool {
        self.offsets.get(&hash(key)).is_some_and(|&last| last > offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_a_key_counts() {
        let mut map = OffsetMap::new(1 << 20);
        for (key, offset) in [("a", 1), ("b", 2), ("a", 5)] {
            assert!(map.put(key.as_bytes(), offset));
        }
        assert!(map.supersedes(b"a", 1) && !map.supersedes(b"a", 5));
        assert!(!map.supersedes(b"b", 2) && !map.supersedes(b"c", 0));
    }

    #[test]
    fn a_full_map_takes_known_keys_only() {
        let mut map = OffsetMap::new(2 * ENTRY_BYTES);
        assert!(map.put(b"a", 1) && map.put(b"b", 2));
        assert!(!map.put(b"c", 3));
        assert!(map.put(b"a", 4));
        assert!(map.supersedes(b"a", 1));
    }
}
