//! Records as columns on disk: [`Builder`] takes batches of them and gives columns sorted for the question who had an
//! address and port at some time.

pub mod fields;
mod gather;
mod packed;
pub mod privacy;

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;

pub use fields::{FIELDS, Field};
pub use gather::Part;
use packed::{Ends, Held, Packed, Rare, Wide};
pub use privacy::{Inside, Network, Privacy};

use crate::batch::{Batch, Row};
use crate::columns::Type;
use crate::columns::visit::unknown_json;
use crate::model::{Content, Flow, Gap, Kind};
use crate::wire::Message;

/// What a builder is told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only translations: ends and times of records with NAT.
    pub nat_only: bool,
    /// Numbers of records, flows and kernel entries too, which do not compress.
    pub keep_ids: bool,
    pub privacy: Privacy,
    /// Number of the last record that was taken before: those up to it are repeated.
    pub seq: u64,
}

/// Has a segment made with these options this column?
#[must_use]
pub fn has_field(options: &Options, (field, _, _, translations): &(Field, &str, Type, bool)) -> bool {
    (*translations || !options.nat_only) && (options.keep_ids || !matches!(field, Field::Seq | Field::Id))
}

/// What a segment holds, for its line in the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Number of the first record that was looked at; 0 where none had one.
    pub first_seq: u64,
    pub last_seq: u64,
    /// How many of the numbers between them came: records, gaps, and what a segment of translations does not take.
    pub numbered: u64,
    /// Records that had come before: not taken again.
    pub repeated: u64,
    /// Records without NAT that a segment of translations does not take.
    pub without_nat: u64,
    /// Rows that are no records.
    pub other: u64,
    /// FLOW, INTERIM, BINDING, OPEN.
    pub kinds: [u64; 4],
    pub source_nat: u64,
    pub destination_nat: u64,
    pub min_start_ns: Option<i64>,
    pub max_stop_ns: Option<i64>,
    /// Lowest and highest IPv4 address of the outside.
    pub out4: Option<(u32, u32)>,
    /// Has it IPv6 addresses?
    pub wide: bool,
}

/// Grows a segment.
#[derive(Debug, Default)]
pub struct Builder {
    options: Options,
    rows: Vec<Packed>,
    wide: Wide,
    rare: Vec<Rare>,
    /// Texts of which many records have the same.
    words: Vec<Box<str>>,
    word_numbers: HashMap<Box<[u8]>, u32>,
    /// Bytes of texts that were kept one by one.
    texts: usize,
    gaps: Vec<Gap>,
    stats: Stats,
}

impl Builder {
    #[must_use]
    pub fn new(options: Options) -> Self {
        let stats = Stats { last_seq: options.seq, ..Stats::default() };
        Self { options, stats, ..Self::default() }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let rows = self.rows.capacity().saturating_mul(size_of::<Packed>());
        let wide = self.wide.capacity().saturating_mul(16);
        let rare = self.rare.capacity().saturating_mul(size_of::<Rare>());
        rows.saturating_add(wide).saturating_add(rare).saturating_add(self.texts)
    }

    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Gaps that came among the records, in order.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Take in records and gaps. Those with a number that has come already are not taken again.
    pub fn append(&mut self, batch: &Batch) {
        for (row, message, content) in batch.iter() {
            match &content {
                Content::Flow(flow) if matches!(row.kind, Kind::Flow | Kind::Interim | Kind::Binding) => {
                    let seq = flow.record.map_or(0, |record| record.seq);
                    if self.is_new(seq) {
                        self.record(row, &message, flow);
                    }
                }
                // Of a running logger's own state: questions ask it as they ask a segment. No sink is given such rows.
                Content::Flow(flow) if row.kind == Kind::Open => self.record(row, &message, flow),
                Content::Gap(gap) => {
                    if self.is_new(gap.seq) {
                        self.gaps.push(*gap);
                    }
                }
                _ => self.stats.other = self.stats.other.saturating_add(1),
            }
        }
    }

    /// Note a record's number. Records without one are always new.
    #[inline]
    fn is_new(&mut self, seq: u64) -> bool {
        if seq == 0 {
            return true;
        }
        let stats = &mut self.stats;
        if seq <= stats.last_seq {
            stats.repeated = stats.repeated.saturating_add(1);
            return false;
        }
        if stats.first_seq == 0 {
            stats.first_seq = seq;
        }
        stats.numbered = stats.numbered.saturating_add(1);
        stats.last_seq = seq;
        true
    }

    fn record(&mut self, row: &Row, message: &Message<'_>, flow: &Flow<'_>) {
        let mut ends = Ends::of(flow);
        if self.options.nat_only && ends.nat == 0 {
            self.stats.without_nat = self.stats.without_nat.saturating_add(1);
            return;
        }
        let privacy = &self.options.privacy;
        ends.protect(privacy, self.options.nat_only || privacy.no_destination);
        let mut packed = packed::pack(row, flow, &ends);
        packed.outside = hold(&mut self.wide, ends.outside.address);
        packed.inside = hold(&mut self.wide, ends.inside.address);
        packed.dialled = hold(&mut self.wide, ends.dialled.address);
        packed.answered = hold(&mut self.wide, ends.answered.address);
        if packed::has_rarities(row, message.port, flow, self.options.keep_ids) {
            let rare = self.rarities(row, message, flow);
            if rare != Rare::default() {
                self.rare.push(rare);
                packed.rare = u32::try_from(self.rare.len()).ok().and_then(NonZeroU32::new);
            }
        }
        self.stats.note(&packed);
        self.rows.push(packed);
    }

    fn rarities(&mut self, row: &Row, message: &Message<'_>, flow: &Flow<'_>) -> Rare {
        let record = flow.record.unwrap_or_default();
        let several = self.options.keep_ids || row.kind != Kind::Flow || record.record_no != 0;
        let mut rare = Rare {
            stop_after_ns: record.stop_after_ns,
            zone: flow.zone,
            exporter: record.exporter.and_then(|text| self.word(text)),
            domain: record.domain,
            ..Rare::default()
        };
        if !self.options.nat_only {
            rare.prior = record.prior;
            rare.mark = flow.mark.filter(|mark| *mark != 0);
            rare.orig_zone = flow.orig.zone;
            rare.reply_zone = flow.reply.zone;
            rare.labels = flow.labels.map(padded);
            rare.helper = flow.helper.and_then(|text| self.word(text));
            rare.secctx = flow.secctx.and_then(|text| self.word(text));
            rare.portid = Some(message.port).filter(|port| *port != 0);
            rare.master = flow.master.map(|master| self.master(master));
            rare.flow_id = Some(record.flow_id).filter(|id| several && *id != 0);
            rare.record_no = Some(record.record_no).filter(|number| *number != 0);
            rare.elements = record.elements.map(|text| self.text(&String::from_utf8_lossy(text)));
            rare.unknown =
                if flow.has_unknown { unknown_json(flow.unknown()).map(|text| self.text(&text)) } else { None };
            rare.seq = Some(record.seq).filter(|_| self.options.keep_ids);
            rare.id = flow.id.filter(|_| self.options.keep_ids);
        }
        rare
    }

    /// A master's tuple: its source is inside as its child's is.
    fn master(&self, mut master: crate::model::Tuple) -> crate::model::Tuple {
        let privacy = &self.options.privacy;
        master.src = master.src.map(|address| privacy.tell(address, false));
        master.dst = master.dst.filter(|_| !privacy.no_destination).map(|address| privacy.tell(address, false));
        master.dport = master.dport.filter(|_| !privacy.no_destination);
        master
    }

    /// The number of a text of which many records have the same.
    fn word(&mut self, text: &[u8]) -> Option<u32> {
        if let Some(number) = self.word_numbers.get(text) {
            return Some(*number);
        }
        let number = u32::try_from(self.words.len()).ok()?;
        self.words.push(String::from_utf8_lossy(text).into());
        self.word_numbers.insert(text.into(), number);
        self.texts = self.texts.saturating_add(text.len().saturating_mul(2));
        Some(number)
    }

    fn text(&mut self, text: &str) -> Box<str> {
        self.texts = self.texts.saturating_add(text.len());
        text.into()
    }

    /// What has grown; this builder is empty again and goes on counting.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let options = Options { seq: self.stats.last_seq, ..self.options.clone() };
        std::mem::replace(self, Self::new(options))
    }

    /// The segment's columns, sorted, in parts of at most `part_rows` rows.
    #[must_use]
    pub fn parts(&self, part_rows: usize) -> Vec<Part> {
        gather::parts(self, part_rows)
    }
}

impl Stats {
    #[inline]
    fn note(&mut self, packed: &Packed) {
        if let Some(count) = self.kinds.get_mut(usize::from(packed.kind)) {
            *count = count.saturating_add(1);
        }
        self.source_nat = self.source_nat.saturating_add(u64::from(packed.nat & packed::SOURCE));
        self.destination_nat = self.destination_nat.saturating_add(u64::from(packed.nat >> 1));
        if packed.has & packed::has::START != 0 {
            let (start, stop) = (packed.start_ns, packed.start_ns.saturating_add(packed.duration_ns));
            // A clock that was set back makes a stop before its start: both ends count as either.
            self.min_start_ns = Some(self.min_start_ns.map_or(start, |least| least.min(start)).min(stop));
            self.max_stop_ns = Some(self.max_stop_ns.map_or(stop, |most| most.max(stop)).max(start));
        }
        match packed.outside {
            Held::V4(address) => {
                let (least, most) = self.out4.unwrap_or((address, address));
                self.out4 = Some((least.min(address), most.max(address)));
            }
            Held::V6(_) => self.wide = true,
            Held::None => self.wide |= matches!(packed.dialled, Held::V6(_)),
        }
    }
}

#[inline]
fn hold(wide: &mut Wide, address: Option<IpAddr>) -> Held {
    match address {
        None => Held::None,
        Some(IpAddr::V4(address)) => Held::V4(address.to_bits()),
        Some(IpAddr::V6(address)) => match u32::try_from(wide.len()) {
            Ok(place) => {
                wide.push(address.octets());
                Held::V6(place)
            }
            Err(_) => Held::None, // four thousand million addresses: memory ends before
        },
    }
}

fn padded(labels: &[u8]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(labels) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests;
