//! Flows of which interim records came: their counters go on from there.

use std::collections::BTreeMap;

use crate::model::Tuple;

/// So many at a time: only long flows have interim records.
const MOST: usize = 65_536;

/// By flow id; ids of different exporters may be the same, so the rest is compared.
#[derive(Debug, Default)]
pub struct Going(BTreeMap<u64, Known>);

#[derive(Debug)]
struct Known {
    exporter: Box<[u8]>,
    domain: u32,
    orig: Tuple,
    totals: [u64; 4],
    record_no: u32,
}

impl Known {
    fn is(&self, exporter: &[u8], domain: u32, orig: &Tuple) -> bool {
        *self.exporter == *exporter && self.domain == domain && self.orig == *orig
    }
}

impl Going {
    /// What earlier records told, and the number of the next one. It is forgotten.
    pub fn before(&mut self, id: u64, exporter: &[u8], domain: u32, orig: &Tuple) -> Option<([u64; 4], u32)> {
        if !self.0.get(&id)?.is(exporter, domain, orig) {
            return None;
        }
        self.0.remove(&id).map(|known| (known.totals, known.record_no))
    }

    /// Remember what records told so far; returns how many flows had to be forgotten for it.
    pub fn keep(
        &mut self,
        id: u64,
        exporter: &[u8],
        domain: u32,
        orig: &Tuple,
        totals: [u64; 4],
        record_no: u32,
    ) -> u64 {
        let known = Known { exporter: exporter.into(), domain, orig: *orig, totals, record_no };
        let replaced = self.0.insert(id, known).is_some();
        let over = self.0.len() > MOST && self.0.pop_first().is_some();
        u64::from(replaced) | u64::from(over)
    }
}
