//! Invariant: whatever packets come in whatever order and time, and whatever helpers and rules answer, each packet has
//! one outcome that a counter knows; every event decodes, a flow's NEW comes before all else and its DESTROY once; the
//! tables find all that is in them and hold nothing else, within their limits; what leaves the gateway is a packet,
//! with a right checksum if it came with one; when time is over nothing is left.
//!
//! Input: four bytes that choose the engine ([`Gateway::new`]), then steps, each a byte and what it needs. Bits 0 to 3
//! say which ([`World::step`]), bit 4: IPv6, bit 5: the other way round, bit 6: with a fault, bit 7: some time passes first.

use std::collections::BTreeMap;

use conntap_core::packet::linktype;
use conntap_core::wire::constants::*;

use super::forge::{Ends, Script, answer, error_about, fix_ip, fix_l4, fragments, packet, port};
use super::gateway::Gateway;

const LINKTYPES: [u16; 8] = [
    linktype::RAW,
    linktype::ETHERNET,
    linktype::NULL,
    linktype::LINUX_SLL,
    linktype::LINUX_SLL2,
    linktype::IPV4,
    linktype::IPV6,
    105,
];

/// How many packets can be taken up again.
const KEPT: usize = 16;

/// How many packets pass between two looks at the tables.
const LOOK_EVERY: u64 = 16;

pub fn run(data: &[u8]) {
    play(data);
}

/// Play a script; returns how many packets it had.
pub fn play(data: &[u8]) -> u64 {
    let mut script = Script(data);
    let mut world = World { gateway: Gateway::new(&mut script), seqs: BTreeMap::new(), kept: Vec::new(), id: 0 };
    let mut looked = 0;
    while !script.is_over() {
        world.step(&mut script);
        if world.gateway.packets() >= looked + LOOK_EVERY {
            looked = world.gateway.packets();
            world.gateway.check();
        }
    }
    world.gateway.check();
    world.gateway.end(data.len().is_multiple_of(4));
    world.gateway.packets()
}

/// The gateway, and what the hosts around it know.
struct World {
    gateway: Gateway,
    /// The next sequence numbers by ends.
    seqs: BTreeMap<Ends, u32>,
    /// The last packets, as they came to the gateway and as they left it.
    kept: Vec<Vec<u8>>,
    id: u16,
}

impl World {
    fn send(&mut self, mut bytes: Vec<u8>, fault: bool, script: &mut Script<'_>) {
        let mut captured = bytes.len();
        if fault {
            spoil(&mut bytes, &mut captured, script);
        }
        let len = bytes.len() as u32;
        self.gateway.frame(linktype::RAW, &bytes[..captured.min(bytes.len())], len, script);
        let left: Vec<_> = self.gateway.engine.forwarded().map(|packet| packet.into_owned()).collect();
        self.kept.push(bytes);
        self.kept.extend(left);
        if self.kept.len() > KEPT {
            self.kept.drain(..self.kept.len() - KEPT);
        }
    }

    fn old(&self, back: u8) -> Vec<u8> {
        let at = self.kept.len().checked_sub(1 + usize::from(back) % KEPT);
        at.and_then(|at| self.kept.get(at)).cloned().unwrap_or_default()
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let choice = script.u8();
        let (v6, reverse, fault) = (choice & 16 != 0, choice & 32 != 0, choice & 64 != 0);
        if choice & 128 != 0 {
            self.pass_time(script);
        }
        self.id = self.id.wrapping_add(1);
        match choice & 15 {
            0..=2 => {
                let ends = Ends::read(script, v6, reverse);
                let l4 = self.tcp(ends, script);
                self.send(packet(ends, IPPROTO_TCP, &l4, self.id), fault, script);
            }
            3 | 4 => {
                let ends = Ends::read(script, v6, reverse);
                let (len, how) = (script.u8(), script.u8());
                let said = match how & 3 {
                    0..=2 => 8 + u16::from(len),
                    _ => u16::from(script.u8()),
                };
                let (l4proto, said) =
                    if how & 16 == 0 { (IPPROTO_UDP, said) } else { (IPPROTO_UDPLITE, said & 0xfff8) };
                let mut l4 =
                    [port(ends.sport).to_be_bytes(), port(ends.dport).to_be_bytes(), said.to_be_bytes(), [0, 0]]
                        .concat();
                l4.resize(8 + usize::from(len), b'u');
                let mut bytes = packet(ends, l4proto, &l4, self.id);
                if how & 32 != 0 {
                    let at = bytes.len() - l4.len() + 6;
                    bytes[at..at + 2].fill(0); // none
                }
                self.send(bytes, fault, script);
            }
            5 => {
                let ends = Ends::read(script, v6, reverse);
                let kinds = if v6 { [128, 129, 139, 140, 134, 143, 137, 1] } else { [8, 0, 13, 14, 17, 18, 5, 9] };
                let how = script.u8();
                let kind = if how & 64 == 0 { kinds[usize::from(how & 7)] } else { script.u8() };
                let mut l4 = vec![kind, how >> 3 & 1, 0, 0, 0, how >> 4 & 3, 0, 1];
                l4.extend(script.bytes(usize::from(how >> 7) * 44));
                self.send(packet(ends, if v6 { IPPROTO_ICMPV6 } else { IPPROTO_ICMP }, &l4, self.id), fault, script);
            }
            6 => {
                let (back, sender, kind, quoted) = (script.u8(), script.u8(), script.u8(), script.u8());
                let kinds = [3, 11, 5, 1, 2, 137, 4, 12];
                let bytes =
                    error_about(&self.old(back), sender & 15, kinds[usize::from(kind & 7)], kind >> 3, quoted.into());
                self.send(bytes, fault, script);
            }
            7 => {
                let ends = Ends::read(script, v6, reverse);
                let l4 = sctp(ends, script);
                self.send(packet(ends, IPPROTO_SCTP, &l4, self.id), fault, script);
            }
            8 => {
                let ends = Ends::read(script, v6, reverse);
                let how = script.u8();
                let (l4, l4proto) = match how & 3 {
                    0 => (
                        vec![
                            0x30,
                            0x81,
                            0x88,
                            0x0b,
                            0,
                            0,
                            port(ends.dport).to_be_bytes()[0],
                            port(ends.dport).to_be_bytes()[1],
                        ],
                        IPPROTO_GRE,
                    ),
                    1 => (vec![0, how >> 4, 0x08, 0], IPPROTO_GRE),
                    2 => (vec![0x30, how >> 4, 0x88, 0x0b, 0, 0, 0, 1, 2, 3], IPPROTO_GRE),
                    _ => (script.bytes(usize::from(how >> 4)).to_vec(), script.u8()),
                };
                self.send(packet(ends, l4proto, &l4, self.id), fault, script);
            }
            9 => self.send_fragments(fault, script),
            10 | 11 => {
                // What the other side answers to the packet as it arrived, or the same once more.
                let bytes = self.old(script.u8());
                let bytes = if reverse { bytes } else { answer(&bytes) };
                let bytes = if choice & 1 == 0 { bytes } else { self.next_segment(bytes, script) };
                self.send(bytes, fault, script);
            }
            12 => {
                let (link, len) = (script.u8(), script.u8());
                let bytes = script.bytes(usize::from(len));
                let len = bytes.len() as u32 + u32::from(link >> 4);
                self.gateway.frame(LINKTYPES[usize::from(link & 7)], bytes, len, script);
            }
            13 => {
                let bytes = self.old(script.u8());
                let linktype = LINKTYPES[usize::from(choice >> 4 & 7)];
                let frame = [framing(linktype, &bytes), bytes].concat();
                self.gateway.frame(linktype, &frame, frame.len() as u32, script);
            }
            14 => {
                let how = script.u8();
                self.gateway.zone = u16::from(how & 1);
                self.gateway.verified = how & 32 != 0;
                if how & 128 != 0 {
                    let [original, left] = [0, 1].map(|_| Ends::read(script, v6, reverse).key(IPPROTO_UDP));
                    self.gateway.engine.learn(&original, &left, self.gateway.now_ns);
                }
                self.gateway.interfaces = (u32::from(how >> 1 & 3), u32::from(how >> 3 & 3));
            }
            _ => {
                self.pass_time(script);
                if reverse {
                    self.gateway.dump();
                }
                if v6 {
                    self.gateway.turn_clock();
                }
            }
        }
    }

    fn pass_time(&mut self, script: &mut Script<'_>) {
        const STEPS: [i64; 16] = [1, 1, 1, 4, 11, 31, 61, 121, 301, 601, 3_700, 90_000, 500_000, -1, -100, -200_000];
        let how = script.u8();
        let seconds = STEPS[usize::from(how & 15)];
        let fine = i64::from(how >> 4) * 1_000_000;
        self.gateway.now_ns = match how {
            0xfe => i64::MAX,
            0xff => i64::MIN,
            0xfd => 0,
            _ => self.gateway.now_ns.saturating_add(seconds.saturating_mul(1_000_000_000)).saturating_add(fine),
        };
    }

    /// A segment between these ends, near to where both sides are.
    fn tcp(&mut self, ends: Ends, script: &mut Script<'_>) -> Vec<u8> {
        const FLAGS: [u8; 16] =
            [0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x10, 0x19, 0x10, 0x00, 0x29, 0x03, 0x30, 0x22, 0xc2];
        let (kind, near, window, extra) = (script.u8(), script.u8(), script.u8(), script.u8());
        let flags = FLAGS[usize::from(kind & 15)];
        let own = self.seqs.get(&ends).copied().unwrap_or(1000);
        let other = self.seqs.get(&ends.reverse()).copied().unwrap_or(if kind & 2 == 0 { 0 } else { 1000 });
        let seq = shifted(own, near & 15, script);
        let ack = shifted(other, near >> 4, script);
        let options = tcp_options(kind >> 4, ack, script);
        let window = [0, 1, 512, 1024, 0x7fff, 0xffff, 8192, u16::from(window)][usize::from(window & 7)];
        let payload = [0, 0, 1, 100, 8, usize::from(extra), 1400, 40][usize::from(extra & 7)];
        let header = 20 + options.len();
        let mut out = [port(ends.sport).to_be_bytes(), port(ends.dport).to_be_bytes()].concat();
        out.extend(seq.to_be_bytes());
        out.extend(ack.to_be_bytes());
        out.extend([(header as u8 / 4) << 4, flags]);
        out.extend(window.to_be_bytes());
        out.extend([0; 4]);
        out.extend(&options);
        out.resize(header + payload, b't');
        if near & 15 < 4 {
            let counted = u32::from(flags & 2 != 0) + u32::from(flags & 1 != 0);
            self.seqs.insert(ends, own.wrapping_add(payload as u32).wrapping_add(counted));
        }
        out
    }

    /// Turn a packet that was answered by its mirror image into a segment that acknowledges it.
    fn next_segment(&self, mut bytes: Vec<u8>, script: &mut Script<'_>) -> Vec<u8> {
        let v6 = bytes.first().is_some_and(|first| first >> 4 == 6);
        let at = if v6 { 40 } else { 20 };
        if bytes.get(if v6 { 6 } else { 9 }) == Some(&IPPROTO_TCP) && bytes.len() >= at + 20 {
            let how = script.u8();
            let word =
                |from: usize| u32::from_be_bytes([bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]]);
            let (seq, ack, flags) = (word(at + 4), word(at + 8), bytes[at + 13]);
            let len = (bytes.len() - at).saturating_sub(usize::from(bytes[at + 12] >> 4) * 4) as u32;
            let next =
                seq.wrapping_add(len).wrapping_add(u32::from(flags & 2 != 0)).wrapping_add(u32::from(flags & 1 != 0));
            let own = if flags & 0x10 == 0 { 5000 } else { ack };
            bytes[at + 4..at + 8].copy_from_slice(&own.wrapping_add(u32::from(how >> 6)).to_be_bytes());
            bytes[at + 8..at + 12].copy_from_slice(&next.wrapping_sub(u32::from(how >> 4 & 3)).to_be_bytes());
            bytes[at + 13] = [0x12, 0x10, 0x11, 0x14, 0x18, 0x10, 0x04, 0x02][usize::from(how & 7)];
            fix_l4(&mut bytes);
        }
        bytes
    }

    fn send_fragments(&mut self, fault: bool, script: &mut Script<'_>) {
        let (back, size, order) = (script.u8(), script.u8(), script.u8());
        let size = if order & 128 == 0 { (usize::from(size) & !7).max(8) } else { usize::from(size).max(1) };
        let id = if order & 64 == 0 { self.id } else { 7 };
        let parts = fragments(&self.old(back), size, id);
        for turn in 0..parts.len().min(12) {
            let at = match order & 7 {
                0 | 1 => turn,
                2 => parts.len() - 1 - turn,
                3 => turn ^ 1,
                4 => turn / 2,
                5 => turn * 2 % parts.len(),
                _ => usize::from(script.u8()) % parts.len(),
            };
            let lost = order & 0x38 == 0x38 && turn == 0;
            if let Some(part) = parts.get(at).filter(|_| !lost) {
                let part = part.clone();
                let len = part.len() as u32;
                let captured = if fault { part.len() - usize::from(order >> 3 & 7) } else { part.len() };
                self.gateway.frame(linktype::RAW, &part[..captured], len, script);
            }
        }
    }
}

/// A number near to where a side is.
fn shifted(at: u32, how: u8, script: &mut Script<'_>) -> u32 {
    match how {
        0..=3 => at,
        4 => at.wrapping_sub(1),
        5 => at.wrapping_add(1),
        6 => 0,
        7 => at.wrapping_add(0xffff),
        8 => at.wrapping_sub(66_001),
        9 => at.wrapping_add(0x8000_0000),
        10 => at.wrapping_add(u32::from(script.u8())),
        11 => at.wrapping_sub(u32::from(script.u8())),
        12 => at.wrapping_add(u32::from(script.u16())),
        13 => at.wrapping_sub(u32::from(script.u16())),
        14 => u32::MAX,
        _ => script.u32(),
    }
}

fn tcp_options(choice: u8, ack: u32, script: &mut Script<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if choice & 1 != 0 {
        out.extend([1, 3, 3, script.u8()]);
    }
    if choice & 2 != 0 {
        out.extend([4, 2]);
    }
    if choice & 4 != 0 {
        let how = script.u8();
        out.extend(vec![1; usize::from(how >> 6)]);
        out.extend([5, 10]);
        out.extend(ack.wrapping_add(u32::from(how & 31)).to_be_bytes());
        out.extend(ack.wrapping_add(u32::from(how & 63) * 40).to_be_bytes());
    }
    if choice & 8 != 0 {
        let len = script.u8() & 15;
        out.extend(script.bytes(usize::from(len)));
    }
    out.resize(out.len().next_multiple_of(4).min(40), 0);
    out
}

/// Chunks, with tags that few values choose.
fn sctp(ends: Ends, script: &mut Script<'_>) -> Vec<u8> {
    const KINDS: [u8; 16] = [1, 2, 10, 11, 0, 3, 4, 5, 6, 7, 8, 14, 9, 1, 0, 64];
    const TAGS: [u32; 4] = [0, 0x11, 0x22, 0x33];
    let how = script.u8();
    let mut out = [port(ends.sport).to_be_bytes(), port(ends.dport).to_be_bytes()].concat();
    out.extend(TAGS[usize::from(how & 3)].to_be_bytes());
    out.extend([0; 4]);
    for _ in 0..=(how >> 2 & 3) {
        let choice = script.u8();
        let kind = KINDS[usize::from(choice & 15)];
        let len = if matches!(kind, 1 | 2) { 20 } else { 4 + usize::from(choice >> 6) * 4 };
        let said = if choice & 32 == 0 { len } else { usize::from(script.u8()) };
        out.extend([kind, choice >> 4 & 1, 0, said as u8]);
        if len == 20 {
            out.extend(TAGS[usize::from(how >> 4 & 3)].to_be_bytes());
            out.extend([0; 12]);
        } else {
            out.extend(vec![0; len - 4]);
        }
    }
    out
}

/// Something is wrong with a packet: a byte, its length, what was captured of it, its checksums.
fn spoil(bytes: &mut Vec<u8>, captured: &mut usize, script: &mut Script<'_>) {
    let (how, value) = (script.u8(), script.u8());
    let at = usize::from(script.u8());
    match how & 7 {
        0 => *captured = at,
        1 => bytes.truncate(at),
        2 => bytes.extend(vec![value; at]),
        kind => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= value;
            }
            if kind >= 4 {
                fix_ip(bytes);
            }
            if kind >= 5 {
                fix_l4(bytes);
            }
        }
    }
    *captured = (*captured).min(bytes.len());
}

/// What stands before a packet on a link.
fn framing(linktype: u16, bytes: &[u8]) -> Vec<u8> {
    let v6 = bytes.first().is_some_and(|first| first >> 4 == 6);
    let ethertype: [u8; 2] = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    match linktype {
        linktype::ETHERNET => [&[0; 12][..], &ethertype].concat(),
        linktype::LINUX_SLL => [&[0; 14][..], &ethertype].concat(),
        linktype::LINUX_SLL2 => [&ethertype[..], &[0; 18]].concat(),
        linktype::NULL => vec![if v6 { 10 } else { 2 }, 0, 0, 0],
        _ => Vec::new(),
    }
}
