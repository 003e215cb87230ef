//! Invariant: any file is read to its end or to an error that is given once, alike however the bytes come in pieces,
//! and the packets read from it come back from a recording made of them.

use conntap_core::recording::{Counters, Options, Reader, RecordingError, Writer};

type Found = Result<(i64, Vec<u8>, Option<u64>), RecordingError>;

pub fn run(data: &[u8]) {
    let whole = read(data, data.len().max(1));
    let piece = data.iter().fold(0, |sum, byte| sum ^ usize::from(*byte)) % 61 + 1;
    assert_eq!(whole, read(data, piece));

    let packets: Vec<_> = whole.0.into_iter().flatten().collect();
    let (mut writer, mut file) = Writer::new(&Options::default());
    for (time, datagram, dropcount) in &packets {
        // Some count, so that a GAP among the datagrams does not put its own there.
        writer.write(&mut file, datagram, *time, Some(dropcount.unwrap_or(0))).expect("was read from a block");
    }
    let (again, counters) = read(&file, file.len());
    assert_eq!(counters.packets, packets.len() as u64);
    for (found, (time, datagram, dropcount)) in again.into_iter().zip(packets) {
        assert_eq!(found, Ok((time.max(0), datagram, Some(dropcount.unwrap_or(0)))));
    }
}

fn read(data: &[u8], piece: usize) -> (Vec<Found>, Counters) {
    let (mut reader, mut found) = (Reader::new(), Vec::new());
    for part in data.chunks(piece) {
        reader.feed(part);
        while let Some(item) = reader.next() {
            found.push(item.map(|packet| (packet.received_ns, packet.datagram.to_vec(), packet.dropcount)));
            assert!(found.len() <= data.len(), "more results than bytes");
        }
    }
    if let Err(error) = reader.finish() {
        found.push(Err(error));
    }
    let counters = *reader.counters();
    let refused: u64 = counters.refused.iter().sum();
    assert_eq!(counters.packets + refused, found.len() as u64);
    assert!(reader.next().is_none());
    (found, counters)
}
