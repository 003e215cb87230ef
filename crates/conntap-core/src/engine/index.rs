//! Where a tuple's flow is: open addressing, eight entries a cache line, each with 32 bits of the tuple's hash.
//!
//! A lookup meets one line here and then, nearly always, the right flow at once. Both can be touched ahead of time, so
//! that several packets wait for memory together ([`Index::touch`]).

/// At most so many of 16 places are taken.
const FULL: usize = 11;
const FIRST: usize = 1 << 10;

/// Value + 1 in the lower half (0: free), hash in the upper.
type Entry = u64;

#[derive(Debug)]
pub struct Index {
    entries: Vec<Entry>,
    len: usize,
}

#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[inline]
fn entry(tag: u32, value: u32) -> Entry {
    (u64::from(tag) << 32) | u64::from(value.wrapping_add(1))
}

#[inline]
fn parts(entry: Entry) -> (u32, Option<u32>) {
    (tag(entry), (entry as u32).checked_sub(1))
}

impl Index {
    pub fn new() -> Self {
        Self { entries: vec![0; FIRST], len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn memory(&self) -> usize {
        self.entries.capacity().saturating_mul(size_of::<Entry>())
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1) // a power of two
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        tag as usize & self.mask()
    }

    #[inline]
    fn at(&self, place: usize) -> Entry {
        self.entries.get(place).copied().unwrap_or_default()
    }

    /// The value with this hash that `is` takes.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let wanted = tag(hash);
        let mut place = self.home(wanted);
        loop {
            let (found, value) = parts(self.at(place));
            let value = value?;
            if found == wanted && is(value) {
                return Some(value);
            }
            place = place.wrapping_add(1) & self.mask();
        }
    }

    /// Ask for the memory that [`Self::find`] will read. Nothing here may depend on what is read: it would be waited for.
    #[inline]
    pub fn touch(&self, hash: u64) {
        std::hint::black_box(self.at(self.home(tag(hash))));
    }

    /// The value that [`Self::find`] will most likely find.
    #[inline]
    pub fn guess(&self, hash: u64) -> Option<u32> {
        let wanted = tag(hash);
        let home = self.home(wanted);
        (0..4_usize).find_map(|step| {
            let (found, value) = parts(self.at(home.wrapping_add(step) & self.mask()));
            value.filter(|_| found == wanted)
        })
    }

    /// Enter a value; it must not be there.
    pub fn insert(&mut self, hash: u64, value: u32) {
        if self.len.saturating_mul(16) >= self.entries.len().saturating_mul(FULL) {
            self.grow();
        }
        self.put(entry(tag(hash), value));
        self.len = self.len.saturating_add(1);
    }

    fn put(&mut self, entry: Entry) {
        let mut place = self.home(tag(entry));
        while self.at(place) != 0 {
            place = place.wrapping_add(1) & self.mask();
        }
        if let Some(field) = self.entries.get_mut(place) {
            *field = entry;
        }
    }

    fn grow(&mut self) {
        let bigger = vec![0; self.entries.len().saturating_mul(2)];
        let entries = std::mem::replace(&mut self.entries, bigger);
        for entry in entries.into_iter().filter(|entry| *entry != 0) {
            self.put(entry);
        }
    }

    /// Take a value out; false if it is not there.
    pub fn remove(&mut self, hash: u64, value: u32) -> bool {
        let wanted = entry(tag(hash), value);
        let mut hole = self.home(tag(hash));
        while self.at(hole) != wanted {
            if self.at(hole) == 0 {
                return false;
            }
            hole = hole.wrapping_add(1) & self.mask();
        }
        // Close the gap: what stands behind moves up, unless it would stand before its home.
        let mut place = hole;
        loop {
            place = place.wrapping_add(1) & self.mask();
            let moved = self.at(place);
            if moved == 0 {
                break;
            }
            let from_home = place.wrapping_sub(self.home(tag(moved))) & self.mask();
            let from_hole = place.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                if let Some(field) = self.entries.get_mut(hole) {
                    *field = moved;
                }
                hole = place;
            }
        }
        if let Some(field) = self.entries.get_mut(hole) {
            *field = 0;
        }
        self.len = self.len.saturating_sub(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn it_behaves_as_a_map_of_hash_and_value_through_growth_and_removal() {
        let mut index = Index::new();
        let mut known: HashMap<u32, u64> = HashMap::new();
        let mut state = 1_u64;
        for round in 0..60_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few different hashes: long runs of neighbours, and equal tags.
            let hash = (state >> 40) << 32;
            if state & 3 != 0 || known.is_empty() {
                index.insert(hash, round);
                known.insert(round, hash);
            } else {
                let value = *known.keys().next().unwrap();
                let hash = known.remove(&value).unwrap();
                assert!(index.remove(hash, value));
                assert!(!index.remove(hash, value), "gone");
            }
        }
        for (value, hash) in &known {
            assert_eq!(index.find(*hash, |found| found == *value), Some(*value));
        }
        assert_eq!(index.len, known.len());
        for (value, hash) in known {
            assert!(index.remove(hash, value));
        }
        assert!(index.entries.iter().all(|entry| *entry == 0));
    }
}
