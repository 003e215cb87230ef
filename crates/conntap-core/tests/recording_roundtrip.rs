//! What is written comes back: bytes, times, gaps; whole, byte by byte and cut at every byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use conntap_core::model::Gap;
use conntap_core::recording::{Options, Packet, Reader, RecordingError, Statistics, Writer};
use conntap_core::wire::Writer as Message;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
struct Row {
    message: Vec<u8>,
    received_ns: i64,
    dropcount: Option<u64>,
    gap: Option<Gap>,
}

impl From<Packet<'_>> for Row {
    fn from(packet: Packet<'_>) -> Self {
        let Packet { received_ns, dropcount, gap, .. } = packet;
        Self { message: packet.datagram.to_vec(), received_ns, dropcount, gap }
    }
}

/// Read `file` in pieces of `piece` bytes; all packets, and the first error.
fn read(file: &[u8], piece: usize) -> (Vec<Row>, Result<(), RecordingError>) {
    let (mut reader, mut rows) = (Reader::new(), Vec::new());
    for part in file.chunks(piece) {
        reader.feed(part);
        while let Some(found) = reader.next() {
            match found {
                Ok(packet) => rows.push(packet.into()),
                Err(error) => return (rows, Err(error)),
            }
        }
    }
    let end = reader.finish();
    (rows, end)
}

fn write(rows: &[(Vec<u8>, i64, Option<u64>)], statistics: Option<&Statistics>) -> Vec<u8> {
    let (mut writer, mut file) =
        Writer::new(&Options { filter: "tcp and nat", comment: "a test", ..Options::default() });
    for (message, received_ns, lost) in rows {
        writer.write(&mut file, message, *received_ns, *lost).unwrap();
    }
    if let Some(statistics) = statistics {
        writer.finish(&mut file, statistics);
    }
    file
}

fn message(len: usize) -> Vec<u8> {
    let mut message = Message::new(0x100, 0x600, 1, 0, 2, 0, 0);
    message.raw(&vec![7; len]);
    message.finish()
}

proptest! {
    #[test]
    fn written_rows_come_back(
        rows in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..80), 0..i64::MAX, prop::option::of(any::<u64>())), 0..20),
        piece in 1_usize..300,
    ) {
        let file = write(&rows, Some(&Statistics::default()));
        let (found, end) = read(&file, piece);
        prop_assert_eq!(end, Ok(()));
        let found: Vec<_> = found.into_iter().map(|row| (row.message, row.received_ns, row.dropcount)).collect();
        // A message that happens to be a GAP passes its count on to the next; random bytes are none.
        prop_assert_eq!(found, rows);
    }

    #[test]
    fn a_damaged_file_neither_panics_nor_hangs(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        piece in 1_usize..300,
    ) {
        let rows: Vec<_> = (0..6).map(|number| (message(number * 4), number as i64, Some(number as u64))).collect();
        let mut file = write(&rows, Some(&Statistics::default()));
        for (index, value) in flips {
            let at = index.index(file.len());
            file[at] = value;
        }
        let mut reader = Reader::new();
        let mut given = 0;
        for part in file.chunks(piece) {
            reader.feed(part);
            while reader.next().is_some() {
                given += 1;
                prop_assert!(given <= file.len(), "more results than bytes");
            }
        }
        let _ = reader.finish();
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, 7);
    }
}

#[test]
fn every_cut_gives_the_packets_before_it_and_an_error_within_a_block() {
    let rows: Vec<_> = (0..4).map(|number| (message(number * 3), 1_000 + number as i64, None)).collect();
    let file = write(&rows, Some(&Statistics::default()));
    let (whole, _) = read(&file, file.len());
    assert_eq!(whole.len(), 4);
    let mut clean = 0;
    for cut in 0..file.len() {
        let (found, end) = read(&file[..cut], usize::MAX);
        assert_eq!(found, whole[..found.len()], "cut at {cut}");
        match end {
            Ok(()) => clean += 1,
            Err(RecordingError::Truncated { at, need, have }) => {
                assert_eq!(usize::try_from(at).unwrap() + have, cut);
                assert!(have > 0 && have < need, "cut at {cut}: {have} of {need}");
            }
            Err(RecordingError::NotARecording { have, .. }) => assert!(cut < 4 && have == cut),
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
    assert_eq!(clean, 6, "behind the section, the interface and each packet");
}

#[test]
fn a_gap_comes_back_in_its_place_and_the_next_packet_says_its_count_once() {
    let gap = Gap { lost: Some(1024), after_ns: 10, before_ns: 20, ..Gap::default() };
    let file = write(&[(message(0), 10, None), (gap.encode(), 20, None), (message(4), 21, None)], None);
    let (rows, end) = read(&file, 1);
    assert_eq!(end, Ok(()));
    assert_eq!(rows.iter().map(|row| row.dropcount).collect::<Vec<_>>(), [None, None, Some(1024)]);
    assert_eq!(rows[1].message, gap.encode());
    assert_eq!(rows[2].gap, None, "the GAP row has said it");
}

#[test]
fn a_drop_count_without_a_gap_row_becomes_a_gap() {
    let (rows, _) = read(&write(&[(message(0), 10, None), (message(4), 21, Some(3))], None), usize::MAX);
    assert_eq!(rows[1].gap, Some(Gap { lost: Some(3), after_ns: 10, before_ns: 21, ..Gap::default() }));
}

#[test]
fn a_loss_is_counted_once_whether_a_gap_row_or_a_drop_count_says_it_even_at_the_end() {
    let gap = |lost| (Gap { lost: Some(lost), after_ns: 10, before_ns: 20, ..Gap::default() }.encode(), 20, None);
    let cases = [
        (vec![(message(0), 10, None), gap(5)], 5), // nothing behind it that could carry a drop count
        (vec![gap(5), (message(0), 21, None)], 5),
        (vec![(message(0), 10, None), (message(0), 21, Some(3))], 3),
        (vec![gap(5), (message(0), 21, None), (message(0), 22, Some(3)), gap(1)], 9),
    ];
    for (rows, lost) in cases {
        let mut reader = Reader::new();
        reader.feed(&write(&rows, None));
        while reader.next().is_some() {}
        assert_eq!(reader.counters().lost, lost);
    }
}

#[test]
fn statistics_come_back() {
    let statistics = Statistics {
        start_ns: Some(1_790_000_000_123_456_789),
        end_ns: Some(1_790_000_009_000_000_000),
        received: Some(1204),
        lost: Some(1024),
        accepted: Some(380),
    };
    let mut reader = Reader::new();
    reader.feed(&write(&[(message(0), 1, None)], Some(&statistics)));
    while reader.next().is_some() {}
    assert_eq!((reader.statistics(), reader.finish()), (Some(statistics), Ok(())));
}

#[test]
fn a_message_too_long_for_a_block_is_refused_and_nothing_is_written() {
    let (mut writer, mut file) = Writer::new(&Options::default());
    let before = file.len();
    let long = vec![0; conntap_core::recording::MAX_BLOCK];
    assert!(matches!(writer.write(&mut file, &long, 0, None), Err(RecordingError::TooLong { .. })));
    assert_eq!(file.len(), before);
}
