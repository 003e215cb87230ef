//! Keys out of packets, and out of the packets that ICMP errors quote.
//!
//! Source: nf_ct_get_tuple and the *_pkt_to_tuple functions of the kernel's trackers.

use super::key::Key;
use super::verdict::Reason;
use crate::packet::Packet;
use crate::wire::constants::*;

/// GRE protocol number of PPP (RFC 2637).
const GRE_PPP: u16 = 0x880b;

/// A packet's key. `gre_key` finds the sender's call id of a PPTP tuple whose `sport` is still 0.
#[inline]
pub fn key(packet: &Packet<'_>, zone: u16, gre_key: &dyn Fn(&Key) -> u16) -> Result<Key, Reason> {
    let bare = Key {
        src: packet.src,
        dst: packet.dst,
        sport: 0,
        dport: 0,
        l4proto: packet.l4proto,
        family: packet.family,
        zone,
    };
    with_ports(bare, packet.l4(), gre_key)
}

#[inline]
fn with_ports(mut key: Key, l4: &[u8], gre_key: &dyn Fn(&Key) -> u16) -> Result<Key, Reason> {
    let short = |need: u32| Reason::ShortHeader { have: u32::try_from(l4.len()).unwrap_or(u32::MAX), need };
    match key.l4proto {
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP => {
            let [s0, s1, d0, d1] = *l4.first_chunk::<4>().ok_or(short(4))?;
            key.sport = u16::from_be_bytes([s0, s1]);
            key.dport = u16::from_be_bytes([d0, d1]);
        }
        IPPROTO_ICMP | IPPROTO_ICMPV6 => {
            let [kind, code, _, _, i0, i1, _, _] = *l4.first_chunk::<8>().ok_or(short(8))?;
            key.sport = u16::from_be_bytes([i0, i1]);
            key.dport = u16::from_be_bytes([kind, code]);
        }
        IPPROTO_GRE => {
            // Version 0, or too short to tell: no keys, as any other protocol.
            if let Some([_, version, p0, p1, _, _, c0, c1]) = l4.first_chunk::<8>()
                && version & 0x07 == 1
            {
                if u16::from_be_bytes([*p0, *p1]) != GRE_PPP {
                    return Err(Reason::GreProtocol);
                }
                key.dport = u16::from_be_bytes([*c0, *c1]);
                key.sport = gre_key(&key);
            }
        }
        _ => {}
    }
    Ok(key)
}
