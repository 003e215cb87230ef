//! Frames within a block. Offsets come from the kernel and are checked all the same: no unsafe code here.

use std::mem::{offset_of, size_of};

use conntap_core::packet::linktype;

/// Bytes that the kernel leaves free before each frame: room to put a VLAN tag back.
pub(super) const HEADROOM: u32 = 4;

const BLOCK: usize = offset_of!(libc::tpacket_block_desc, hdr);
const COUNT_AT: usize = BLOCK + offset_of!(libc::tpacket_hdr_v1, num_pkts);
const FIRST_AT: usize = BLOCK + offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt);

const NEXT: usize = offset_of!(libc::tpacket3_hdr, tp_next_offset);
const SECONDS: usize = offset_of!(libc::tpacket3_hdr, tp_sec);
const NANOSECONDS: usize = offset_of!(libc::tpacket3_hdr, tp_nsec);
const CAPTURED: usize = offset_of!(libc::tpacket3_hdr, tp_snaplen);
const LENGTH: usize = offset_of!(libc::tpacket3_hdr, tp_len);
const STATUS: usize = offset_of!(libc::tpacket3_hdr, tp_status);
const LINK: usize = offset_of!(libc::tpacket3_hdr, tp_mac);
const NETWORK: usize = offset_of!(libc::tpacket3_hdr, tp_net);
const VARIANT: usize = offset_of!(libc::tpacket3_hdr, hv1);
const VLAN_TCI: usize = VARIANT + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci);
const VLAN_TPID: usize = VARIANT + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid);
/// The address behind the header, which is padded to 16 bytes (TPACKET_ALIGN).
const ADDRESS: usize = size_of::<libc::tpacket3_hdr>().next_multiple_of(16);
const INTERFACE: usize = ADDRESS + offset_of!(libc::sockaddr_ll, sll_ifindex);
const HARDWARE: usize = ADDRESS + offset_of!(libc::sockaddr_ll, sll_hatype);
const PACKET_TYPE: usize = ADDRESS + offset_of!(libc::sockaddr_ll, sll_pkttype);
const HEADER_LEN: usize = ADDRESS + size_of::<libc::sockaddr_ll>();

/// Both Ethernet addresses, before which no tag may stand.
const ADDRESSES_LEN: usize = 12;
const ETHERTYPE_VLAN: u16 = 0x8100;

/// One captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Nanoseconds since the epoch, when the kernel met the packet.
    pub time_ns: i64,
    /// Ethernet for devices that have its header, else raw IP ([`linktype`]): tunnels, PPP.
    pub linktype: u16,
    /// The interface's index.
    pub interface: u32,
    /// The frame's length before it was cut.
    pub original_len: u32,
    /// The frame from its link header on, a VLAN tag that the kernel had taken out back in its place.
    pub bytes: &'a [u8],
    pub to: To,
    pub checksum: ChecksumState,
}

/// For whom a frame is (`sll_pkttype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum To {
    /// For this machine.
    Host,
    Broadcast,
    Multicast,
    /// For another machine; heard in promiscuous mode only.
    Other,
    /// Sent by this machine.
    Outgoing,
}

/// What the kernel knows of the layer-4 checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumState {
    /// Nothing: it has to be verified.
    Unknown,
    /// Verified by the network card.
    Valid,
    /// Not made yet (TP_STATUS_CSUMNOTREADY): the packet was made on this machine.
    Pending,
}

/// Give every frame of a block to `each`; returns how many there were.
pub(super) fn frames(block: &mut [u8], each: &mut impl FnMut(&Frame<'_>)) -> usize {
    let (count, first) = (u32_at(block, COUNT_AT).unwrap_or_default(), u32_at(block, FIRST_AT).unwrap_or_default());
    let (mut at, mut given) = (size(first), 0_usize);
    for _ in 0..count {
        let Some(slot) = block.get_mut(at..) else { break };
        let Some(step) = u32_at(slot, NEXT) else { break };
        if let Some(frame) = frame(slot) {
            each(&frame);
            given = given.saturating_add(1);
        }
        at = at.saturating_add(size(step));
    }
    given
}

/// The frame whose header is at the front of `slot`; None for one that is left out.
#[inline]
fn frame(slot: &mut [u8]) -> Option<Frame<'_>> {
    let header = slot.first_chunk::<HEADER_LEN>()?.as_slice();
    let status = u32_at(header, STATUS)?;
    let (hardware, packet_type) = (u16_at(header, HARDWARE)?, *header.get(PACKET_TYPE)?);
    let to = match packet_type {
        libc::PACKET_HOST => To::Host,
        libc::PACKET_BROADCAST => To::Broadcast,
        libc::PACKET_MULTICAST => To::Multicast,
        libc::PACKET_OTHERHOST => To::Other,
        _ => To::Outgoing,
    };
    // The loopback device delivers each packet twice: as it is sent and as it comes back.
    if to == To::Outgoing && hardware == libc::ARPHRD_LOOPBACK {
        return None;
    }
    let seconds = i64::from(u32_at(header, SECONDS)?);
    let time_ns = seconds.saturating_mul(1_000_000_000).saturating_add(u32_at(header, NANOSECONDS)?.into());
    let checksum = match status {
        _ if status & libc::TP_STATUS_CSUMNOTREADY != 0 => ChecksumState::Pending,
        _ if status & libc::TP_STATUS_CSUM_VALID != 0 => ChecksumState::Valid,
        _ => ChecksumState::Unknown,
    };
    let (mut from, mut captured, mut original_len) =
        (usize::from(u16_at(header, LINK)?), size(u32_at(header, CAPTURED)?), u32_at(header, LENGTH)?);
    let interface = u32_at(header, INTERFACE)?;
    let mut linktype = linktype::ETHERNET;
    if hardware != libc::ARPHRD_ETHER && hardware != libc::ARPHRD_LOOPBACK {
        let skipped = usize::from(u16_at(header, NETWORK)?).saturating_sub(from);
        from = from.saturating_add(skipped);
        captured = captured.saturating_sub(skipped);
        original_len = original_len.saturating_sub(u32::try_from(skipped).unwrap_or(u32::MAX));
        linktype = linktype::RAW;
    } else if status & libc::TP_STATUS_VLAN_VALID != 0 && captured >= ADDRESSES_LEN {
        let tci = u16::try_from(u32_at(header, VLAN_TCI)? & 0xffff).unwrap_or_default();
        let tpid =
            if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { u16_at(header, VLAN_TPID)? } else { ETHERTYPE_VLAN };
        from = put_tag_back(slot, from, tpid, tci)?;
        captured = captured.saturating_add(4);
        original_len = original_len.saturating_add(4);
    }
    let bytes = slot.get(from..from.saturating_add(captured))?;
    Some(Frame { time_ns, linktype, interface, original_len, bytes, to, checksum })
}

/// Move the addresses of the frame at `from` into the headroom and write the tag behind them; gives the new start.
fn put_tag_back(slot: &mut [u8], from: usize, tpid: u16, tci: u16) -> Option<usize> {
    let start = from.checked_sub(4).filter(|start| *start >= HEADER_LEN)?;
    let head = slot.get_mut(start..from.checked_add(ADDRESSES_LEN)?)?;
    head.copy_within(4.., 0);
    let ([t0, t1], [v0, v1]) = (tpid.to_be_bytes(), tci.to_be_bytes());
    *head.last_chunk_mut::<4>()? = [t0, t1, v0, v1];
    Some(start)
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn size(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
