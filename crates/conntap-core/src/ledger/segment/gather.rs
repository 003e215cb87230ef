//! From records as they came to sorted columns.

use std::net::IpAddr;

use super::fields::{COUNT, FIELDS, Field};
use super::packed::{self, Held, Packed, Rare, has};
use super::{Builder, Options};
use crate::columns::column::{Fixed, Texts};
use crate::columns::{Column, Data, Type};

/// Some rows of a segment, column by column in the order of [`FIELDS`]; None where no row has a value.
#[derive(Debug)]
pub struct Part {
    pub rows: usize,
    pub columns: Vec<Option<Column>>,
}

/// Where each record goes: IPv4 by a key of one word and its start, IPv6 behind it.
fn order(builder: &Builder) -> Vec<u32> {
    let mut narrow: Vec<(u64, i64, u32)> = Vec::with_capacity(builder.rows.len());
    let mut wide: Vec<([u8; 16], u64, i64, u32)> = Vec::new();
    for (place, row) in (0_u32..).zip(&builder.rows) {
        // Without an outside (a record whose source is not told) what was dialled stands in its place.
        let first = if row.outside == Held::None { row.dialled } else { row.outside };
        match first {
            Held::V6(address) => {
                let address = wide_address(builder, address).unwrap_or_default();
                wide.push((address, packed::order4(row, 0), row.start_ns, place));
            }
            Held::V4(address) => narrow.push((packed::order4(row, address), row.start_ns, place)),
            Held::None => narrow.push((packed::order4(row, 0), row.start_ns, place)),
        }
    }
    narrow.sort_unstable();
    wide.sort_unstable();
    narrow.iter().map(|(_, _, place)| *place).chain(wide.iter().map(|(_, _, _, place)| *place)).collect()
}

fn wide_address(builder: &Builder, place: u32) -> Option<[u8; 16]> {
    builder.wide.get(usize::try_from(place).ok()?).copied()
}

/// The whole segment in parts.
pub fn parts(builder: &Builder, part_rows: usize) -> Vec<Part> {
    order(builder).chunks(part_rows.max(1)).map(|places| Gather::new(builder, places.len()).all(places)).collect()
}

struct Gather<'b> {
    builder: &'b Builder,
    row: usize,
    expected: usize,
    u8s: [Fixed<u8>; COUNT],
    u16s: [Fixed<u16>; COUNT],
    u32s: [Fixed<u32>; COUNT],
    u64s: [Fixed<u64>; COUNT],
    i64s: [Fixed<i64>; COUNT],
    bytes: [Fixed<[u8; 16]>; COUNT],
    texts: [Texts; COUNT],
}

impl<'b> Gather<'b> {
    fn new(builder: &'b Builder, expected: usize) -> Self {
        use std::array::from_fn;
        Self {
            builder,
            row: 0,
            expected,
            u8s: from_fn(|_| Fixed::default()),
            u16s: from_fn(|_| Fixed::default()),
            u32s: from_fn(|_| Fixed::default()),
            u64s: from_fn(|_| Fixed::default()),
            i64s: from_fn(|_| Fixed::default()),
            bytes: from_fn(|_| Fixed::default()),
            texts: from_fn(|_| Texts::default()),
        }
    }

    fn all(mut self, places: &[u32]) -> Part {
        let builder = self.builder;
        for place in places {
            let Some(packed) = usize::try_from(*place).ok().and_then(|place| builder.rows.get(place)) else { continue };
            self.common(packed);
            if !builder.options.nat_only {
                self.full(packed);
            }
            if let Some(rare) = packed.rare.and_then(|place| {
                usize::try_from(place.get()).ok().and_then(|place| builder.rare.get(place.saturating_sub(1)))
            }) {
                self.rare(rare);
            }
            self.row = self.row.saturating_add(1);
        }
        self.finish(&builder.options)
    }

    #[inline]
    fn common(&mut self, packed: &Packed) {
        self.u8(Field::Kind, packed.kind);
        self.u8(Field::Nat, packed.nat);
        self.u8(Field::Family, packed.family);
        if packed.has & has::L4PROTO != 0 {
            self.u8(Field::L4proto, packed.l4proto);
        }
        self.address(packed.outside, Field::OutAddr, Field::OutAddr6);
        self.address(packed.inside, Field::InAddr, Field::InAddr6);
        self.address(packed.dialled, Field::DstAddr, Field::DstAddr6);
        self.address(packed.answered, Field::DnatAddr, Field::DnatAddr6);
        let ports = [Field::OutPort, Field::InPort, Field::DstPort, Field::DnatPort];
        for ((field, bit), port) in ports.iter().zip(has::PORT).zip(packed.ports) {
            if packed.has & bit != 0 {
                self.u16(*field, port);
            }
        }
        if packed.has & has::START != 0 {
            self.i64(Field::StartNs, packed.start_ns);
        }
        if packed.has & has::DURATION != 0 {
            self.i64(Field::DurationNs, packed.duration_ns);
        }
        if let Some(from) = packed::from(packed.start_from) {
            self.u8(Field::StartFrom, from);
        }
        if let Some(from) = packed::from(packed.stop_from) {
            self.u8(Field::StopFrom, from);
        }
    }

    #[inline]
    fn full(&mut self, packed: &Packed) {
        if packed.has & has::END_REASON != 0 {
            self.u8(Field::EndReason, packed.end_reason);
        }
        let fields = [Field::OrigPackets, Field::OrigBytes, Field::ReplyPackets, Field::ReplyBytes];
        for ((field, bit), value) in fields.iter().zip(has::COUNTER).zip(packed.counters) {
            if packed.has & bit != 0 {
                self.u64(*field, value);
            }
        }
        if packed.has & has::STATUS != 0 {
            self.u32(Field::Status, packed.status);
        }
        if packed.has & has::STATE != 0 {
            self.u8(Field::State, packed.state);
        }
    }

    fn rare(&mut self, rare: &Rare) {
        if let Some(time) = rare.stop_after_ns {
            self.i64(Field::StopAfterNs, time);
        }
        if let Some(prior) = rare.prior {
            let fields =
                [Field::PriorOrigPackets, Field::PriorOrigBytes, Field::PriorReplyPackets, Field::PriorReplyBytes];
            for (field, value) in fields.iter().zip(prior) {
                self.u64(*field, value);
            }
        }
        for (field, value) in [
            (Field::Mark, rare.mark),
            (Field::Portid, rare.portid),
            (Field::RecordNo, rare.record_no),
            (Field::Domain, rare.domain),
            (Field::Id, rare.id),
        ] {
            if let Some(value) = value {
                self.u32(field, value);
            }
        }
        for (field, value) in
            [(Field::Zone, rare.zone), (Field::OrigZone, rare.orig_zone), (Field::ReplyZone, rare.reply_zone)]
        {
            if let Some(value) = value {
                self.u16(field, value);
            }
        }
        for (field, value) in [(Field::FlowId, rare.flow_id), (Field::Seq, rare.seq)] {
            if let Some(value) = value {
                self.u64(field, value);
            }
        }
        if let Some(labels) = rare.labels {
            self.bytes16(Field::Labels, labels);
        }
        let builder = self.builder;
        let word = |number: Option<u32>| builder.words.get(usize::try_from(number?).ok()?).map(AsRef::as_ref);
        for (field, text) in [
            (Field::Helper, word(rare.helper)),
            (Field::Secctx, word(rare.secctx)),
            (Field::Exporter, word(rare.exporter)),
            (Field::Elements, rare.elements.as_deref()),
            (Field::Unknown, rare.unknown.as_deref()),
        ] {
            if let (Some(text), Some(column)) = (text, self.texts.get_mut(field as usize)) {
                column.push(self.row, 0, text);
            }
        }
        if let Some(master) = &rare.master {
            self.master(master);
        }
    }

    fn master(&mut self, master: &crate::model::Tuple) {
        if let Some(number) = master.l4proto {
            self.u8(Field::MasterL4proto, number);
        }
        for (address, v4, v6) in
            [(master.src, Field::MasterSrc, Field::MasterSrc6), (master.dst, Field::MasterDst, Field::MasterDst6)]
        {
            match address {
                Some(IpAddr::V4(address)) => self.u32(v4, address.to_bits()),
                Some(IpAddr::V6(address)) => self.bytes16(v6, address.octets()),
                None => {}
            }
        }
        for (field, port) in [(Field::MasterSport, master.sport), (Field::MasterDport, master.dport)] {
            if let Some(port) = port {
                self.u16(field, port);
            }
        }
    }

    #[inline]
    fn address(&mut self, held: Held, v4: Field, v6: Field) {
        match held {
            Held::None => {}
            Held::V4(address) => self.u32(v4, address),
            Held::V6(place) => {
                if let Some(address) = wide_address(self.builder, place) {
                    self.bytes16(v6, address);
                }
            }
        }
    }

    #[inline(always)]
    fn u8(&mut self, field: Field, value: u8) {
        if let Some(column) = self.u8s.get_mut(field as usize) {
            column.push(self.row, self.expected, value);
        }
    }

    #[inline(always)]
    fn u16(&mut self, field: Field, value: u16) {
        if let Some(column) = self.u16s.get_mut(field as usize) {
            column.push(self.row, self.expected, value);
        }
    }

    #[inline(always)]
    fn u32(&mut self, field: Field, value: u32) {
        if let Some(column) = self.u32s.get_mut(field as usize) {
            column.push(self.row, self.expected, value);
        }
    }

    #[inline(always)]
    fn u64(&mut self, field: Field, value: u64) {
        if let Some(column) = self.u64s.get_mut(field as usize) {
            column.push(self.row, self.expected, value);
        }
    }

    #[inline(always)]
    fn i64(&mut self, field: Field, value: i64) {
        if let Some(column) = self.i64s.get_mut(field as usize) {
            column.push(self.row, self.expected, value);
        }
    }

    #[inline(always)]
    fn bytes16(&mut self, field: Field, value: [u8; 16]) {
        if let Some(column) = self.bytes.get_mut(field as usize) {
            column.push(self.row, self.expected, value);
        }
    }

    fn finish(self, options: &Options) -> Part {
        let rows = self.row;
        let mut columns: Vec<Option<Column>> = Vec::with_capacity(COUNT);
        let mut u8s = self.u8s.into_iter();
        let mut u16s = self.u16s.into_iter();
        let mut u32s = self.u32s.into_iter();
        let mut u64s = self.u64s.into_iter();
        let mut i64s = self.i64s.into_iter();
        let mut bytes = self.bytes.into_iter();
        let mut texts = self.texts.into_iter();
        for (_, _, kind, _) in &FIELDS {
            let all = (u8s.next(), u16s.next(), u32s.next(), u64s.next(), i64s.next(), bytes.next(), texts.next());
            columns.push(match (kind, all) {
                (Type::U8, (Some(column), ..)) => column.finish(rows, Data::U8),
                (Type::U16, (_, Some(column), ..)) => column.finish(rows, Data::U16),
                (Type::U32, (_, _, Some(column), ..)) => column.finish(rows, Data::U32),
                (Type::U64, (_, _, _, Some(column), ..)) => column.finish(rows, Data::U64),
                (Type::I64, (_, _, _, _, Some(column), ..)) => column.finish(rows, Data::Time),
                (Type::Address | Type::Labels, (_, _, _, _, _, Some(column), _)) => column.finish(rows, Data::Bytes16),
                (Type::Text, (.., Some(column))) => column.finish(rows),
                _ => None,
            });
        }
        let columns = columns
            .into_iter()
            .zip(&FIELDS)
            .filter(|(_, field)| super::has_field(options, field))
            .map(|(column, _)| column)
            .collect();
        Part { rows, columns }
    }
}
