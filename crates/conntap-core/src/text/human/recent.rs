//! What the formatter remembers of the stream: which helper watches which connection, and when expectations came.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::model::Tuple;

/// How many connections, and how many expectations, are remembered.
const LIMIT: usize = 1024;

/// A map that forgets its oldest entry when it is full.
#[derive(Clone, Debug)]
struct Bounded<K, V> {
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    fn insert(&mut self, key: K, value: V) {
        if self.values.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

#[derive(Clone, Debug)]
struct Master {
    helper: Vec<u8>,
    ended: bool,
}

/// Bounded memory of a stream: at most 1,024 masters and 1,024 expectations.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    masters: Bounded<Tuple, Master>,
    expectations: Bounded<u32, i64>,
}

/// A connection's identity: zones are not repeated in master tuples.
fn key(tuple: &Tuple) -> Tuple {
    Tuple { zone: None, ..*tuple }
}

impl Recent {
    /// A connection with a helper was seen.
    pub fn master(&mut self, tuple: &Tuple, helper: &[u8]) {
        let key = key(tuple);
        let known = self.masters.values.get(&key);
        if known.is_none_or(|known| known.helper != helper || known.ended) {
            self.masters.insert(key, Master { helper: helper.to_vec(), ended: false });
        }
    }

    /// The helper of the connection with that original tuple, if it was seen.
    #[must_use]
    pub fn helper(&self, master: &Tuple) -> Option<&[u8]> {
        self.masters.values.get(&key(master)).map(|master| master.helper.as_slice())
    }

    /// A connection ended.
    pub fn ended(&mut self, tuple: &Tuple) {
        if self.masters.values.is_empty() {
            return;
        }
        if let Some(master) = self.masters.values.get_mut(&key(tuple)) {
            master.ended = true;
        }
    }

    /// True when the connection is known to have ended.
    #[must_use]
    pub fn has_ended(&self, master: &Tuple) -> bool {
        self.masters.values.get(&key(master)).is_some_and(|master| master.ended)
    }

    /// An expectation came at `ns`.
    pub fn expectation(&mut self, id: u32, ns: i64) {
        self.expectations.insert(id, ns);
    }

    /// When the expectation came; it is forgotten.
    pub fn take_expectation(&mut self, id: u32) -> Option<i64> {
        // Its place in `order` stays until it is oldest: harmless, and bounded.
        self.expectations.values.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let mut recent = Recent::default();
        for n in 0..100_000u32 {
            let tuple = Tuple { sport: Some(n as u16), icmp_id: Some((n >> 16) as u16), ..Tuple::default() };
            recent.master(&tuple, b"ftp");
            recent.expectation(n, i64::from(n));
            recent.take_expectation(n);
            recent.expectation(n, i64::from(n));
        }
        assert!(recent.masters.values.len() <= LIMIT && recent.masters.order.len() <= LIMIT);
        assert!(recent.expectations.values.len() <= LIMIT && recent.expectations.order.len() <= LIMIT);
        let last = Tuple { sport: Some(99_999u32 as u16), icmp_id: Some(1), ..Tuple::default() };
        assert_eq!(recent.helper(&last), Some(&b"ftp"[..]));
        assert_eq!(recent.take_expectation(99_999), Some(99_999));
    }
}
