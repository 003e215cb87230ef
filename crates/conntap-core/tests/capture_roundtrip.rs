//! Captures of packets: what is written comes back, whole or byte by byte, and several merge in order of time. What
//! other programs write is in recording_foreign.rs: the same reader reads it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use conntap_core::capture::{CaptureError, Format, Frame, MAX_BLOCK, Merge, Next, Options, Reader, Statistics, Writer};
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    time_ns: i64,
    linktype: u16,
    original_len: u32,
    bytes: Vec<u8>,
    dropcount: Option<u64>,
}

impl Owned {
    fn frame(&self) -> Frame<'_> {
        let Self { time_ns, linktype, original_len, ref bytes, dropcount } = *self;
        Frame { time_ns, linktype, interface: 0, original_len, bytes, dropcount }
    }
}

impl From<Frame<'_>> for Owned {
    fn from(frame: Frame<'_>) -> Self {
        let Frame { time_ns, linktype, original_len, bytes, dropcount, .. } = frame;
        Self { time_ns, linktype, original_len, bytes: bytes.to_vec(), dropcount }
    }
}

fn frame(time_ns: i64, byte: u8) -> Owned {
    Owned { time_ns, linktype: 1, original_len: 60, bytes: vec![byte; 60], dropcount: None }
}

fn write(format: Format, frames: &[Owned]) -> Vec<u8> {
    let (mut writer, mut file) = Writer::new(&Options { format, linktype: 1, ..Options::default() });
    for frame in frames {
        writer.write(&mut file, &frame.frame()).unwrap();
    }
    writer.finish(&mut file, &Statistics { lost: Some(3), ..Statistics::default() });
    file
}

fn read(file: &[u8], piece: usize) -> (Vec<Owned>, Result<(), CaptureError>) {
    let (mut reader, mut frames) = (Reader::new(), Vec::new());
    for part in file.chunks(piece) {
        reader.feed(part);
        while let Some(frame) = reader.next() {
            match frame {
                Ok(frame) => frames.push(frame.into()),
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    let end = reader.finish();
    assert_eq!(reader.counters().frames, frames.len() as u64);
    (frames, end)
}

prop_compose! {
    fn frames(linktypes: &'static [u16], last_ns: i64)(
        frames in prop::collection::vec(
            (0..=last_ns, prop::sample::select(linktypes), prop::collection::vec(any::<u8>(), 0..80), 0_u32..2000,
                prop::option::of(any::<u64>())), 0..20),
    ) -> Vec<Owned> {
        let owned = |(time_ns, linktype, bytes, cut, dropcount): (i64, u16, Vec<u8>, u32, Option<u64>)| {
            Owned { time_ns, linktype, original_len: bytes.len() as u32 + cut, bytes, dropcount }
        };
        frames.into_iter().map(owned).collect()
    }
}

proptest! {
    #[test]
    fn pcapng_keeps_everything(frames in frames(&[1, 101, 113], i64::MAX), piece in 1_usize..300) {
        let (found, end) = read(&write(Format::PcapNg, &frames), piece);
        prop_assert_eq!((found, end), (frames, Ok(())));
    }

    #[test]
    fn pcap_keeps_everything_but_drop_counts(
        frames in frames(&[1], i64::from(u32::MAX) * 1_000_000_000), piece in 1_usize..300,
    ) {
        let (found, end) = read(&write(Format::Pcap, &frames), piece);
        let frames: Vec<_> = frames.into_iter().map(|frame| Owned { dropcount: None, ..frame }).collect();
        prop_assert_eq!((found, end), (frames, Ok(())));
    }

    #[test]
    fn a_merge_is_all_frames_sorted_by_time_however_the_bytes_come(
        inputs in prop::collection::vec(frames(&[1], 1000), 0..5), piece in 1_usize..300,
    ) {
        let inputs: Vec<Vec<Owned>> = inputs
            .into_iter()
            .map(|mut frames| {
                frames.sort_by_key(|frame| frame.time_ns);
                frames
            })
            .collect();
        let files: Vec<_> = inputs.iter().map(|frames| write(Format::PcapNg, frames)).collect();
        let mut parts: Vec<_> = files.iter().map(|file| file.chunks(piece)).collect();
        let (mut merge, mut found) = (Merge::new(inputs.len()), Vec::new());
        loop {
            match merge.next() {
                Next::Frame(input, frame) => found.push((input, Owned::from(frame))),
                Next::Error(_, error) => panic!("{error}"),
                Next::Need(input) => match parts[input].next() {
                    Some(part) => merge.feed(input, part),
                    None => merge.finish(input),
                },
                Next::End => break,
            }
        }
        let numbered = |(input, frames): (usize, Vec<Owned>)| frames.into_iter().map(move |frame| (input, frame));
        let mut expected: Vec<_> = inputs.into_iter().enumerate().flat_map(numbered).collect();
        expected.sort_by_key(|(_, frame)| frame.time_ns);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, 7);
        let mut merge = Merge::new(2);
        merge.feed(0, &bytes);
        merge.finish(0);
        merge.finish(1);
        let mut turns = 0;
        while !matches!(merge.next(), Next::End) {
            turns += 1;
            assert!(turns < 100);
        }
    }
}

#[test]
fn a_merge_needs_the_next_frame_of_every_input_before_it_gives_one() {
    let file = write(Format::PcapNg, &[frame(5, 1), frame(9, 2)]);
    let mut merge = Merge::new(2);
    assert_eq!(merge.next(), Next::Need(0));
    merge.feed(0, &file);
    assert_eq!(merge.next(), Next::Need(1));
    merge.feed(1, &write(Format::Pcap, &[frame(7, 3)]));
    let mut order = Vec::new();
    while let Next::Frame(input, frame) = merge.next() {
        order.push((input, frame.time_ns));
    }
    assert_eq!(order, [(0, 5), (1, 7)], "then the second input could hold something before 9");
    assert_eq!(merge.next(), Next::Need(1));
    merge.finish(1);
    assert!(matches!(merge.next(), Next::Frame(0, Frame { time_ns: 9, .. })));
    assert_eq!(merge.next(), Next::Need(0));
    merge.finish(0);
    assert_eq!(merge.next(), Next::End);
    assert_eq!(merge.reader(0).unwrap().counters().frames, 2);
}

#[test]
fn a_merge_sets_an_inputs_clock_right() {
    let mut merge = Merge::new(2);
    merge.set_ahead_ns(1, 100);
    merge.feed(0, &write(Format::PcapNg, &[frame(5, 1)]));
    merge.feed(1, &write(Format::PcapNg, &[frame(103, 2)]));
    merge.finish(0);
    merge.finish(1);
    let mut order = Vec::new();
    while let Next::Frame(input, frame) = merge.next() {
        order.push((input, frame.time_ns));
    }
    assert_eq!(order, [(1, 3), (0, 5)]);
}

#[test]
fn a_merge_tells_an_inputs_fault_once_and_goes_on_with_the_others() {
    let file = write(Format::Pcap, &[frame(5, 1), frame(6, 1)]);
    let mut merge = Merge::new(2);
    merge.feed(0, &file[..file.len() - 1]);
    merge.feed(1, &write(Format::Pcap, &[frame(8, 2)]));
    merge.finish(0);
    merge.finish(1);
    assert!(matches!(merge.next(), Next::Frame(0, Frame { time_ns: 5, .. })));
    assert!(matches!(merge.next(), Next::Error(0, CaptureError::Truncated { .. })));
    assert!(matches!(merge.next(), Next::Frame(1, Frame { time_ns: 8, .. })));
    assert_eq!(merge.next(), Next::End);
}

#[test]
fn a_frame_looked_at_is_still_there_when_more_bytes_have_come() {
    let file = write(Format::PcapNg, &[frame(5, 1), frame(9, 2)]);
    let mut reader = Reader::new();
    reader.feed(&file[..file.len() - 100]);
    assert_eq!((reader.peek_ns(), reader.peek_ns()), (Some(Ok(5)), Some(Ok(5))));
    reader.feed(&file[file.len() - 100..]);
    let first = Owned::from(reader.next().unwrap().unwrap());
    assert_eq!(first, frame(5, 1));
    assert_eq!(Owned::from(reader.next().unwrap().unwrap()), frame(9, 2));
}

#[test]
fn totals_come_back_from_pcapng() {
    let mut reader = Reader::new();
    reader.feed(&write(Format::PcapNg, &[]));
    assert!(reader.next().is_none());
    assert_eq!(reader.statistics().unwrap().lost, Some(3));
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let (mut writer, mut file) = Writer::new(&Options { format: Format::Pcap, linktype: 1, ..Options::default() });
    let before = file.len();
    let other = Owned { linktype: 101, ..frame(1, 1) };
    let refused = writer.write(&mut file, &other.frame());
    assert_eq!(refused, Err(CaptureError::Linktype { linktype: 101, file: 1 }));
    let long = Owned { bytes: vec![0; MAX_BLOCK], ..frame(1, 1) };
    assert!(matches!(writer.write(&mut file, &long.frame()), Err(CaptureError::TooLong { .. })));
    assert_eq!(file.len(), before);
}

#[test]
fn every_error_has_a_counter_of_its_own() {
    let errors = [
        CaptureError::NotACapture { first: [0; 4], have: 0 },
        CaptureError::Truncated { at: 0, need: 0, have: 0 },
        CaptureError::BlockLength { at: 0, len: 0 },
        CaptureError::TooLong { at: 0, len: 0 },
        CaptureError::Section { at: 0 },
        CaptureError::PacketLength { at: 0, len: 0, have: 0 },
        CaptureError::Interface { at: 0, interface: 0 },
        CaptureError::Linktype { linktype: 0, file: 0 },
    ];
    let counters: Vec<_> = errors.iter().map(|error| error.counter()).collect();
    assert_eq!(counters, (0..CaptureError::COUNTERS.len()).collect::<Vec<_>>());
}
