//! What a row costs in each style. Prints, asserts nothing about time:
//! `cargo test --release -p conntap-core --test text_speed -- --ignored --nocapture`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::time::Instant;

use conntap_core::batch::{Batch, Scan};
use conntap_core::text::{ConntrackStyle, Formatter, HumanStyle, Nowhere, SaveStyle, Style, XmlStyle};

#[test]
#[ignore = "prints a measurement; run by hand in release"]
fn cost_of_a_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/ctnetlink/datagram_dump_first.bin");
    let datagram = std::fs::read(path).unwrap();
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    for _ in 0..40 {
        batch.append(&datagram, 1_795_474_031_000_000_000, &mut |_, _, _| true, &mut scan);
    }
    let mut out = Vec::new();
    let mut best = |name: &str, work: &mut dyn FnMut(&mut Vec<u8>)| {
        let rounds = (0..300).map(|_| {
            out.clear();
            let start = Instant::now();
            work(&mut out);
            start.elapsed().as_nanos() as f64 / batch.len() as f64
        });
        let best = rounds.fold(f64::MAX, f64::min);
        println!("{name:10} {best:7.1} ns a row, {:5.1} bytes", out.len() as f64 / batch.len() as f64);
    };
    best("decode", &mut |out| out.extend(batch.iter().map(|(_, message, _)| message.kind as u8)));
    for (name, style) in [
        ("conntrack", Style::Conntrack(ConntrackStyle::default())),
        ("xml", Style::Xml(XmlStyle::default())),
        ("save", Style::Save(SaveStyle::default())),
        ("human", Style::Human(HumanStyle::default())),
    ] {
        let mut formatter = Formatter::new(style);
        best(name, &mut |out| formatter.format(&batch, &mut Nowhere::default(), out));
    }
}
