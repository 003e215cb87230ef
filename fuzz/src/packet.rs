//! Invariant: any frame decodes or is refused, and what it decodes to lies within the frame; fragments in any order are
//! each told of once, leave nothing behind when their time is over, and what they are put together to decodes; frames
//! come back from a capture made of them.
//!
//! Input: pieces, each a byte of choices (bits 0 to 3: link type, bit 4: half of the frame is captured, bit 5: ten
//! seconds pass first), a length of two bytes, little-endian, and so many bytes of a frame.

use conntap_core::capture::{Frame, Options, Reader, Writer};
use conntap_core::packet::{
    Packet, PacketError, Reassembled, Reassembler, checksum, decode, decode_ip, decode_quoted, decode_rebuilt,
    linktype, verify_l4,
};
use conntap_core::wire::constants::{AF_INET, AF_INET6};

const LINKTYPES: [u16; 11] = [
    linktype::ETHERNET,
    linktype::RAW,
    linktype::NULL,
    linktype::LOOP,
    linktype::LINUX_SLL,
    linktype::LINUX_SLL2,
    linktype::IPV4,
    linktype::IPV6,
    linktype::RAW_BSD,
    linktype::RAW_OPENBSD,
    105,
];

pub fn run(data: &[u8]) {
    let (mut reassembler, mut now_ns, mut rest) = (Reassembler::default(), 0, data);
    let (mut writer, mut file) = Writer::new(&Options::default());
    let mut frames = Vec::new();
    while let Some(([choices, low, high], behind)) = rest.split_first_chunk::<3>() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(behind.len());
        let (frame, behind) = behind.split_at(len);
        rest = behind;
        let linktype = LINKTYPES[usize::from(choices & 15) % LINKTYPES.len()];
        let bytes = if choices & 16 != 0 { &frame[..len / 2] } else { frame };
        if choices & 32 != 0 {
            now_ns += 10_000_000_000;
        }
        let original_len = len as u32;
        let frame = Frame { time_ns: now_ns, linktype, interface: 0, original_len, bytes, dropcount: None };
        writer.write(&mut file, &frame).expect("is short");
        frames.push(frame);
        match decode(linktype, bytes, original_len) {
            Ok(packet) => tracked(&packet, bytes, original_len, &mut reassembler, now_ns),
            Err(error) => assert!(error.counter() < PacketError::COUNTERS.len() && !error.to_string().is_empty()),
        }
        for family in [AF_INET, AF_INET6] {
            if let Some(packet) = decode_quoted(family, bytes) {
                assert!(packet.ip == bytes && packet.no_l4.is_none());
            }
        }
    }
    reassembler.expire(i64::MAX);
    assert_eq!((reassembler.incomplete(), reassembler.deadline_ns()), (0, None));

    let mut reader = Reader::new();
    reader.feed(&file);
    for frame in frames {
        let found = reader.next().expect("was written").expect("is whole");
        assert_eq!(Frame { interface: 0, ..found }, frame);
    }
    assert!(reader.next().is_none());
    assert_eq!(reader.finish(), Ok(()));
}

fn tracked(packet: &Packet<'_>, frame: &[u8], original_len: u32, reassembler: &mut Reassembler, now_ns: i64) {
    assert!(frame.as_ptr_range().contains(&packet.ip.as_ptr()) && packet.ip.len() <= frame.len());
    assert!(packet.ip.len() as u32 <= packet.total_len && packet.total_len <= original_len);
    assert!(packet.l4().len() as u32 <= packet.l4_len());
    assert_eq!(decode_ip(packet.ip, packet.total_len), Ok(*packet), "no padding is needed to read it again");
    let _ = (verify_l4(packet), checksum::is_partial(packet));

    let before = *reassembler.counters();
    let done = reassembler.push(packet, now_ns);
    let after = *reassembler.counters();
    let dropped = |counters: [u64; 7]| counters.iter().sum::<u64>();
    let counted = [
        after.datagrams - before.datagrams,
        after.as_is - before.as_is,
        dropped(after.dropped) - dropped(before.dropped),
    ];
    match done {
        Reassembled::Whole(datagram) => {
            let whole = decode_rebuilt(&datagram.bytes).expect("was put together");
            assert!(!whole.needs_reassembly());
            assert_eq!(counted, [1, 0, 0]);
        }
        Reassembled::AsIs => assert_eq!(counted, [0, u64::from(packet.needs_reassembly()), 0]),
        Reassembled::Dropped(error) => {
            assert_eq!(counted, [0, 0, 1]);
            assert!(!error.to_string().is_empty());
        }
        Reassembled::Queued => assert_eq!(counted, [0, 0, 0]),
    }
}
