//! Invariant: datagrams appended to one batch, some rows refused, leave the rows kept before untouched; a batch is
//! written in every form without panic, and the same whether whole or row by row (the rows of a dump take a shorter way when whole). What people read is text without
//! control characters: a recording from elsewhere must not write to the terminal's state. JSON is an object a line.
//!
//! Input: pieces, each a byte of choices (bit 0: refuse all rows, bit 1: a GAP first, bit 2: clear the batch first),
//! a length of two bytes, little-endian, and so many bytes of a datagram.

use conntap_core::batch::{Batch, Scan};
use conntap_core::model::Gap;
use conntap_core::text::tables::Tables;
use conntap_core::text::{
    ConntrackStyle, Formatter, HumanStyle, LabelMap, Nowhere, SaveStyle, SaveWord, Style, XmlStyle,
};

pub fn run(data: &[u8]) {
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    let mut rest = data;
    let mut kept: Vec<Vec<u8>> = Vec::new();
    while let Some(([choices, low, high], behind)) = rest.split_first_chunk::<3>() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(behind.len());
        let (datagram, behind) = behind.split_at(len);
        rest = behind;
        if choices & 4 != 0 {
            batch.clear();
            kept.clear();
        }
        if choices & 2 != 0 {
            let gap = Gap { lost: Some(len as u64), after_ns: 1, before_ns: 2, ..Gap::default() };
            batch.push_gap(&gap);
            kept.push(gap.encode());
        }
        let (before, before_kept) = (batch.len(), scan.kept);
        batch.append(datagram, 7, &mut |_, _, _| choices & 1 == 0, &mut scan);
        assert_eq!((batch.len() - before) as u64, scan.kept - before_kept);
        assert!(choices & 1 == 0 || batch.len() == before, "refused rows are not kept");
        let added = batch.rows().get(before..).unwrap_or_default();
        kept.extend(added.iter().map(|row| batch.row_bytes(row).to_vec()));
    }
    let rows: Vec<_> = batch.iter().map(|(row, ..)| batch.row_bytes(row).to_vec()).collect();
    assert_eq!(rows, kept);
    for style in styles() {
        let (mut whole, mut single) = (Vec::new(), Vec::new());
        let mut formatter = Formatter::new(style.clone());
        formatter.format(&batch, &mut Nowhere::default(), &mut whole);
        formatter.finish(&mut whole);
        let mut formatter = Formatter::new(style);
        for (row, message, content) in batch.iter() {
            formatter.row(row, &message, &content, &mut Nowhere::default(), &mut single);
        }
        formatter.finish(&mut single);
        assert!(whole == single);
    }
    for (row, message, content) in batch.iter() {
        let mut line = Vec::new();
        conntap_core::json::write_row(&mut line, row, &message, &content);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), line.len().checked_sub(1));
        let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert!(value.is_object());
    }
    let mut lines = Vec::new();
    let human = HumanStyle { width: 80, ..HumanStyle::default() };
    Formatter::new(Style::Human(human.clone())).format(&batch, &mut Nowhere::default(), &mut lines);
    let mut table = Vec::new();
    Tables::new(human).format(&batch, &mut Nowhere::default(), &mut table);
    for text in [lines, table] {
        let text = String::from_utf8(text).expect("text for people is UTF-8");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
}

fn styles() -> Vec<Style> {
    let labels = Some(LabelMap::parse(b"0 eins\n7 sieben\n127 last\n"));
    vec![
        Style::Conntrack(ConntrackStyle::default()),
        Style::Conntrack(ConntrackStyle { events: false, userspace: false, ..ConntrackStyle::default() }),
        Style::Conntrack(ConntrackStyle {
            extended: true,
            id: true,
            ktimestamp: true,
            timestamp: true,
            labels: labels.clone(),
            ..ConntrackStyle::default()
        }),
        Style::Xml(XmlStyle { ktimestamp: true, timestamp: true, labels, ..XmlStyle::default() }),
        Style::Save(SaveStyle { entry: SaveWord::Add, ..SaveStyle::default() }),
    ]
}
