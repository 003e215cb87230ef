//! The open flows, found by original tuple, zone and id.

use super::entry::Entry;
use crate::engine::index::Index;
use crate::engine::key::{Key, Sip};

/// Entries of one piece of memory: growing never copies what is there.
const CHUNK: usize = 4096;

#[derive(Debug)]
pub struct Table {
    seed: [u64; 2],
    index: Index,
    chunks: Vec<Vec<Option<Entry>>>,
    free: Vec<u32>,
    len: usize,
}

impl Table {
    pub fn new(seed: [u64; 2]) -> Self {
        Self { seed, index: Index::new(), chunks: Vec::new(), free: Vec::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn memory(&self) -> usize {
        let chunk = CHUNK.saturating_mul(size_of::<Option<Entry>>());
        let free = self.free.capacity().saturating_mul(size_of::<u32>());
        self.chunks.len().saturating_mul(chunk).saturating_add(self.index.memory()).saturating_add(free)
    }

    #[inline]
    pub fn hash(&self, orig: &Key, id: u32) -> u64 {
        orig.hash(self.seed) ^ u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// A flow's identity: its tuple, id and beginning, by this ledger's seed. Never 0.
    #[inline]
    pub fn flow_id(&self, hash: u64, start_ns: i64) -> u64 {
        let mut sip = Sip::new(self.seed);
        sip.word(hash);
        sip.word(u64::from_ne_bytes(start_ns.to_ne_bytes()));
        sip.finish().max(1)
    }

    #[inline]
    pub fn find(&self, hash: u64, orig: &Key, id: u32) -> Option<u32> {
        self.index.find(hash, |place| self.get(place).is_some_and(|held| held.id == id && held.orig == *orig))
    }

    #[inline]
    pub fn get(&self, place: u32) -> Option<&Entry> {
        let place = place as usize;
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)?.as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, place: u32) -> Option<&mut Entry> {
        let place = place as usize;
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)?.as_mut()
    }

    /// Enter a flow whose tuple is not there.
    #[inline]
    pub fn insert(&mut self, hash: u64, entry: Entry) -> u32 {
        let place = self.keep(entry);
        self.index.insert(hash, place);
        place
    }

    /// Enter a flow that is not to be found by its tuple.
    pub fn keep(&mut self, entry: Entry) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            if self.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            let whole = self.chunks.len().saturating_sub(1).saturating_mul(CHUNK);
            let chunk = self.chunks.last_mut().map_or(0, |chunk| {
                chunk.push(None);
                chunk.len().saturating_sub(1)
            });
            u32::try_from(whole.saturating_add(chunk)).unwrap_or(u32::MAX)
        });
        let at = place as usize;
        if let Some(slot) = self.chunks.get_mut(at / CHUNK).and_then(|chunk| chunk.get_mut(at % CHUNK)) {
            *slot = Some(entry);
            self.len = self.len.saturating_add(1);
        }
        place
    }

    /// From here on the flow is not to be found by its tuple.
    pub fn hide(&mut self, place: u32, hash: u64) {
        self.index.remove(hash, place);
    }

    #[inline]
    pub fn remove(&mut self, place: u32, hash: u64) -> Option<Entry> {
        let at = place as usize;
        let entry = self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)?.take()?;
        if !entry.superseded {
            self.index.remove(hash, place);
        }
        self.free.push(place);
        self.len = self.len.saturating_sub(1);
        Some(entry)
    }

    /// Where flows can be, also empty places.
    pub fn places(&self) -> impl Iterator<Item = u32> + use<> {
        self.places_from(0)
    }

    pub fn places_from(&self, from: u32) -> impl Iterator<Item = u32> + use<> {
        let all = self.chunks.iter().map(Vec::len).sum::<usize>();
        from..u32::try_from(all).unwrap_or(u32::MAX)
    }
}
