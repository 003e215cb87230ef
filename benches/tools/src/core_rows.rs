//! Nanoseconds a row in the core alone: no kernel, no Python. `--file` is a recorded dump datagram.

use std::hint::black_box;
use std::time::Instant;

use conntap_core::batch::{Batch, Scan};
use conntap_core::columns::Columns;
use conntap_core::filter::{Filter, NoNames};
use conntap_core::json::write_row;
use conntap_core::text::{ConntrackStyle, Formatter, HumanStyle, Nowhere, Style};

use crate::Outcome;
use crate::arguments::Arguments;

/// Copies of the datagram in one batch: about 4,000 rows, as many as a flood fills.
const COPIES: usize = 100;
const FILTER: &str = "tcp and dport 443 and not src 10.0.0.0/8";

pub fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.text("file").ok_or("--file must name a datagram")?;
    let rounds: usize = arguments.number("rounds", 200)?;
    let datagram = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let received_ns = 1_795_474_031_000_000_000;
    let mut batch = Batch::default();
    let fill = |batch: &mut Batch| {
        batch.clear();
        for _ in 0..COPIES {
            batch.append(&datagram, received_ns, &mut |_, _, _| true, &mut Scan::default());
        }
    };
    fill(&mut batch);
    let filter = Filter::parse(FILTER, &NoNames).map_err(|error| error.to_string())?;
    let measure = |name: &'static str, rows: usize, work: &mut dyn FnMut()| {
        let mut times: Vec<f64> = (0..rounds)
            .map(|_| {
                let started = Instant::now();
                work();
                started.elapsed().as_nanos() as f64 / rows.max(1) as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let middle = times.get(rounds / 2).copied().unwrap_or_default();
        let least = times.first().copied().unwrap_or_default();
        format!("{{\"name\": \"{name}\", \"median\": {middle:.1}, \"least\": {least:.1}}}")
    };
    let rows = batch.len();
    let mut out = Vec::new();
    let mut texts = Vec::new();
    let mut scratch = batch.clone();
    texts.push(measure("take in (check, index)", rows, &mut || fill(&mut scratch)));
    texts.push(measure("decode", rows, &mut || {
        for row in batch.iter() {
            black_box(&row);
        }
    }));
    texts.push(measure("decode and filter", rows, &mut || {
        let passed = batch.iter().filter(|(row, message, content)| filter.matches(row.kind, content, message));
        black_box(passed.count());
    }));
    for (name, style) in [
        ("conntrack text", Style::Conntrack(ConntrackStyle::default())),
        ("human line", Style::Human(HumanStyle::default())),
    ] {
        let mut formatter = Formatter::new(style);
        texts.push(measure(name, rows, &mut || {
            out.clear();
            formatter.format(&batch, &mut Nowhere::default(), &mut out);
        }));
    }
    texts.push(measure("json", rows, &mut || {
        out.clear();
        for (row, message, content) in batch.iter() {
            write_row(&mut out, row, &message, &content);
        }
    }));
    texts.push(measure("columns", rows, &mut || {
        black_box(Columns::of(&batch).into_columns());
    }));
    println!("{{\"rows\": {rows}, \"filter\": \"{FILTER}\", \"nanoseconds\": [{}]}}", texts.join(", "));
    Ok(())
}
