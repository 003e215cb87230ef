//! TCP: transitions, windows, timeouts.
//!
//! Source: kernel net/netfilter/nf_conntrack_proto_tcp.c (6.18); RFC 9293, 7323, 2018, 5961.

use super::flow::{Flow, Proto, event};
use super::key::Direction;
use super::settings::{Settings, tcp_state::*};
use super::track::{Track, Verdict};
use super::verdict::Reason;
use crate::packet::Packet;
use crate::wire::constants::{IPS_ASSURED, IPS_CONFIRMED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY};

pub const FLAG_WINDOW_SCALE: u8 = 0x01;
pub const FLAG_SACK_PERM: u8 = 0x02;
pub const FLAG_CLOSE_INIT: u8 = 0x04;
pub const FLAG_BE_LIBERAL: u8 = 0x08;
pub const FLAG_DATA_UNACKNOWLEDGED: u8 = 0x10;
pub const FLAG_MAXACK_SET: u8 = 0x20;
/// Only in the notes about the last packet.
const FLAG_EXP_CHALLENGE_ACK: u8 = 0x40;
const FLAG_SIMULTANEOUS_OPEN: u8 = 0x80;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

/// What a segment is to the transition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    Syn = 0,
    SynAck = 1,
    Fin = 2,
    Ack = 3,
    Rst = 4,
    None = 5,
}

/// Let pass without effect.
const IG: u8 = 254;
/// INVALID.
const IV: u8 = 255;

/// `TRANSITIONS[direction][class][state]`; columns NONE, SYN_SENT … CLOSE, SYN_SENT2.
#[rustfmt::skip]
const TRANSITIONS: [[[u8; 10]; 6]; 2] = [
    [
        // NONE      SS        SR        ES           FW        CW          LA         TW         CL     S2
        [SYN_SENT, SYN_SENT, IG, IG, IG, IG, IG, SYN_SENT, SYN_SENT, SYN_SENT2],
        [IV, IV, SYN_RECV, IV, IV, IV, IV, IV, IV, SYN_RECV],
        [IV, IV, FIN_WAIT, FIN_WAIT, LAST_ACK, LAST_ACK, LAST_ACK, TIME_WAIT, CLOSE, IV],
        [ESTABLISHED, IV, ESTABLISHED, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT, TIME_WAIT, TIME_WAIT, CLOSE, IV],
        [IV, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE],
        [IV; 10],
    ],
    [
        [IV, SYN_SENT2, IV, IV, IV, IV, IV, SYN_SENT, IV, SYN_SENT2],
        [IV, SYN_RECV, IG, IG, IG, IG, IG, IG, IG, SYN_RECV],
        [IV, IV, FIN_WAIT, FIN_WAIT, LAST_ACK, LAST_ACK, LAST_ACK, TIME_WAIT, CLOSE, IV],
        [IV, IG, SYN_RECV, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT, TIME_WAIT, TIME_WAIT, CLOSE, IG],
        [IV, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE],
        [IV; 10],
    ],
];

/// One side of a connection. Source: struct ip_ct_tcp_state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Highest sequence number sent, plus one.
    pub end: u32,
    /// Highest that may be sent.
    pub max_end: u32,
    /// Largest window advertised, scaled; 0: nothing was heard of this side.
    pub max_window: u32,
    /// Highest acknowledgement sent.
    pub max_ack: u32,
    pub scale: u8,
    pub flags: u8,
}

/// A connection's state. Source: struct ip_ct_tcp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpTrack {
    pub sides: [Side; 2],
    last_seq: u32,
    last_ack: u32,
    last_end: u32,
    last_window: u16,
    last_class: Class,
    last_direction: Direction,
    last_scale: u8,
    last_flags: u8,
    retransmissions: u8,
    pub state: u8,
}

impl Default for TcpTrack {
    fn default() -> Self {
        Self {
            sides: [Side::default(); 2],
            last_seq: 0,
            last_ack: 0,
            last_end: 0,
            last_window: 0,
            last_class: Class::None,
            last_direction: Direction::Original,
            last_scale: 0,
            last_flags: 0,
            retransmissions: 0,
            state: NONE,
        }
    }
}

/// Is `a` behind `b` on the circle of 2^32 numbers?
#[inline]
pub fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// Is `a` before `b` on the circle of 2^32 numbers?
#[inline]
pub fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

/// The header fields that tracking reads.
#[derive(Clone, Copy, Debug)]
struct Header<'a> {
    seq: u32,
    ack: u32,
    window: u16,
    flags: u8,
    options: &'a [u8],
    /// Sequence number behind the segment.
    end: u32,
}

impl Header<'_> {
    #[inline]
    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    fn class(&self) -> Class {
        if self.is(RST) {
            Class::Rst
        } else if self.is(SYN) {
            if self.is(ACK) { Class::SynAck } else { Class::Syn }
        } else if self.is(FIN) {
            Class::Fin
        } else if self.is(ACK) {
            Class::Ack
        } else {
            Class::None
        }
    }
}

/// Check a segment's header. Source: tcp_error.
#[inline]
fn header<'a>(packet: &Packet<'a>, good_checksum: impl FnOnce() -> bool) -> Result<Header<'a>, Reason> {
    let l4 = packet.l4();
    let have = packet.l4_len();
    let Some((fixed, rest)) = l4.split_first_chunk::<20>() else {
        return Err(Reason::ShortHeader { have: have.min(u32::try_from(l4.len()).unwrap_or(u32::MAX)), need: 20 });
    };
    let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, _, _] = *fixed;
    let header = u32::from(offset >> 4).wrapping_mul(4);
    if header < 20 || have < header {
        return Err(Reason::BadHeaderLength { header, have });
    }
    if !good_checksum() {
        return Err(Reason::BadChecksum);
    }
    let flags = flags & (FIN | SYN | RST | PSH | ACK | URG);
    const SYN_URG: u8 = SYN | URG;
    const SYN_ACK: u8 = SYN | ACK;
    const RST_ACK: u8 = RST | ACK;
    const FIN_ACK: u8 = FIN | ACK;
    const FIN_ACK_URG: u8 = FIN | ACK | URG;
    const ACK_URG: u8 = ACK | URG;
    match flags & !PSH {
        SYN | SYN_URG | SYN_ACK | RST | RST_ACK | FIN_ACK | FIN_ACK_URG | ACK | ACK_URG => {}
        _ => return Err(Reason::FlagsImpossible { flags }),
    }
    let seq = u32::from_be_bytes([s0, s1, s2, s3]);
    let counted = u32::from(flags & SYN != 0).wrapping_add(u32::from(flags & FIN != 0));
    let options = usize::try_from(header.wrapping_sub(20)).unwrap_or_default();
    Ok(Header {
        seq,
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        window: u16::from_be_bytes([w0, w1]),
        flags,
        options: rest.get(..options).unwrap_or(rest),
        end: seq.wrapping_add(have.wrapping_sub(header)).wrapping_add(counted),
    })
}

/// Walk over options until the end or the first silly one.
fn options(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let (kind, behind) = rest.split_first()?;
            match kind {
                0 => return None,
                1 => rest = behind,
                _ => {
                    let len = usize::from(*behind.first()?);
                    let value = rest.get(2..len)?;
                    rest = rest.get(len..)?;
                    return Some((*kind, value));
                }
            }
        }
    })
}

/// Window scale and SACK permission of a SYN. Source: tcp_options.
fn scale_and_flags(bytes: &[u8]) -> (u8, u8) {
    let (mut scale, mut flags) = (0, 0);
    for (kind, value) in options(bytes) {
        match (kind, value) {
            (4, []) => flags |= FLAG_SACK_PERM,
            (3, [shift]) => {
                scale = (*shift).min(14); // RFC 7323, section 2.3
                flags |= FLAG_WINDOW_SCALE;
            }
            _ => {}
        }
    }
    (scale, flags)
}

/// The highest right edge of the first SACK option, or `ack`. Source: tcp_sack.
fn highest_sack(bytes: &[u8], ack: u32) -> u32 {
    let Some((_, blocks)) = options(bytes).find(|(kind, value)| *kind == 5 && value.len() >= 8 && value.len() % 8 == 0)
    else {
        return ack;
    };
    let edges = blocks.chunks_exact(8).filter_map(|block| block.last_chunk::<4>());
    edges.fold(ack, |highest, edge| {
        let edge = u32::from_be_bytes(*edge);
        if after(edge, highest) { edge } else { highest }
    })
}

impl Side {
    /// Begin anew with a SYN. Source: tcp_init_sender.
    fn begin(&mut self, other: &mut Self, tcp: &Header<'_>, direction: Direction) {
        self.end = tcp.end;
        self.max_end = tcp.end;
        self.max_window = u32::from(tcp.window).max(1);
        if !tcp.options.is_empty() {
            let (scale, flags) = scale_and_flags(tcp.options);
            self.scale = scale;
            self.flags = flags | self.flags & FLAG_BE_LIBERAL;
        }
        // RFC 7323: both sides must offer scaling, or there is none.
        if direction == Direction::Reply && self.flags & other.flags & FLAG_WINDOW_SCALE == 0 {
            self.scale = 0;
            other.scale = 0;
        }
    }

    fn forget(&mut self) {
        *self = Self { flags: self.flags & FLAG_BE_LIBERAL, ..Self::default() };
    }

    /// How far an acknowledgement may lag behind. Source: MAXACKWINDOW.
    fn max_ack_window(&self) -> u32 {
        self.max_window.max(66_000)
    }
}

/// What the window says of a segment.
enum Window {
    Accept,
    Liberal,
    Ignore(Reason),
    Invalid(Reason),
}

impl TcpTrack {
    fn both(&mut self, direction: Direction) -> (&mut Side, &mut Side) {
        let [original, reply] = &mut self.sides;
        match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        }
    }

    /// Begin with the first segment seen. Source: tcp_new.
    fn open(&mut self, tcp: &Header<'_>, settings: &Settings) -> Result<Reason, Reason> {
        let class = tcp.class();
        *self = Self::default();
        match class {
            Class::Syn => {
                let (sender, _) = self.both(Direction::Original);
                let (scale, flags) = scale_and_flags(tcp.options);
                *sender = Side {
                    end: tcp.end,
                    max_end: tcp.end,
                    max_window: u32::from(tcp.window).max(1),
                    max_ack: 0,
                    scale,
                    flags,
                };
                Ok(Reason::FirstPacket)
            }
            Class::Ack if !settings.tcp_loose => Err(Reason::NotLoose),
            Class::Ack => {
                let (sender, receiver) = self.both(Direction::Original);
                let window = u32::from(tcp.window).max(1);
                // Window scaling is not known: be liberal, and take SACK for granted.
                let flags = FLAG_SACK_PERM | FLAG_BE_LIBERAL;
                *sender = Side {
                    end: tcp.end,
                    max_end: tcp.end.wrapping_add(window),
                    max_window: window,
                    max_ack: 0,
                    scale: 0,
                    flags,
                };
                receiver.flags = flags;
                Ok(Reason::PickedUp)
            }
            _ => Err(Reason::CannotOpen),
        }
    }

    /// Source: tcp_in_window.
    fn window(
        &mut self,
        direction: Direction,
        class: Class,
        tcp: &Header<'_>,
        receiver_offset: i32,
        settings: &Settings,
    ) -> Window {
        let state = self.state;
        let (sender, receiver) = self.both(direction);
        let (mut seq, mut end) = (tcp.seq, tcp.end);
        let mut ack = tcp.ack;
        let mut sack = if receiver.flags & FLAG_SACK_PERM != 0 { highest_sack(tcp.options, ack) } else { ack };
        // Numbers that NAT has changed.
        ack = ack.wrapping_sub(receiver_offset.cast_unsigned());
        sack = sack.wrapping_sub(receiver_offset.cast_unsigned());
        let raw_window = u32::from(tcp.window);

        if sender.max_window == 0 {
            if tcp.is(SYN) {
                sender.begin(receiver, tcp, direction);
                if !tcp.is(ACK) {
                    return Window::Accept; // simultaneous open
                }
            } else {
                // The middle of a connection: take what this packet says.
                sender.end = end;
                let scaled = raw_window << sender.scale;
                sender.max_window = scaled.max(1);
                sender.max_end = end.wrapping_add(sender.max_window);
                if receiver.max_window == 0 {
                    receiver.end = sack;
                    receiver.max_end = sack;
                } else if sack == receiver.end.wrapping_add(1) {
                    receiver.end = receiver.end.wrapping_add(1); // answer to a keepalive
                }
            }
        } else if tcp.is(SYN) && after(end, sender.end) && (state == SYN_SENT || state == SYN_RECV) {
            sender.begin(receiver, tcp, direction);
            if direction == Direction::Reply && !tcp.is(ACK) {
                return Window::Accept;
            }
        }

        if !tcp.is(ACK) || (tcp.is(RST) && ack == 0) {
            ack = receiver.end; // none, or a stack that forgets it in a RST
            sack = ack;
        }
        if tcp.is(RST) && seq == 0 && state == SYN_SENT {
            seq = sender.end; // RST that answers a SYN
            end = seq;
        }

        let liberal = settings.tcp_be_liberal || sender.flags & FLAG_BE_LIBERAL != 0;
        let lowest_end = sender.end.wrapping_sub(receiver.max_window).wrapping_sub(1);
        let lowest_ack = receiver.end.wrapping_sub(sender.max_ack_window()).wrapping_sub(1);
        if !before(seq, sender.max_end.wrapping_add(1)) {
            let overshot = end.wrapping_sub(sender.max_end).wrapping_add(1);
            if receiver.max_window != 0
                && after(end, lowest_end)
                && after(sack, lowest_ack)
                && overshot <= receiver.max_window
                && before(sack, receiver.end.wrapping_add(1))
            {
                // More than the window allows; if the peer acknowledges it, that must not be INVALID too.
                sender.end = end;
                sender.flags |= FLAG_DATA_UNACKNOWLEDGED;
                return if liberal { Window::Liberal } else { Window::Ignore(Reason::Overshot { bytes: overshot }) };
            }
            let by = seq.wrapping_sub(sender.max_end);
            return if liberal { Window::Liberal } else { Window::Invalid(Reason::SeqOver { by }) };
        }
        if !before(sack, receiver.end.wrapping_add(1)) {
            let by = sack.wrapping_sub(receiver.end);
            return if liberal { Window::Liberal } else { Window::Invalid(Reason::AckOver { by }) };
        }
        if receiver.max_window != 0 && !after(end, lowest_end) {
            let below = lowest_end.wrapping_sub(end).wrapping_add(1);
            return if liberal { Window::Liberal } else { Window::Ignore(Reason::SeqUnder { below }) };
        }
        if !after(sack, lowest_ack) {
            let below = lowest_ack.wrapping_sub(sack).wrapping_add(1);
            return if liberal { Window::Liberal } else { Window::Ignore(Reason::AckUnder { below }) };
        }

        let window = if tcp.is(SYN) { raw_window } else { raw_window << sender.scale };
        sender.max_window = sender.max_window.max(window.wrapping_add(sack.wrapping_sub(ack)));
        if after(end, sender.end) {
            sender.end = end;
            sender.flags |= FLAG_DATA_UNACKNOWLEDGED;
        }
        if tcp.is(ACK) {
            if sender.flags & FLAG_MAXACK_SET == 0 {
                sender.max_ack = ack;
                sender.flags |= FLAG_MAXACK_SET;
            } else if after(ack, sender.max_ack) {
                sender.max_ack = ack;
            }
        }
        if receiver.max_window != 0 && after(end, sender.max_end) {
            receiver.max_window = receiver.max_window.wrapping_add(end.wrapping_sub(sender.max_end));
        }
        if after(sack.wrapping_add(window), receiver.max_end.wrapping_sub(1)) {
            receiver.max_end = sack.wrapping_add(window).wrapping_add(u32::from(window == 0));
        }
        if ack == receiver.end {
            receiver.flags &= !FLAG_DATA_UNACKNOWLEDGED;
        }
        if class == Class::Ack {
            let same = self.last_direction == direction
                && (self.last_seq, self.last_ack, self.last_end, self.last_window) == (seq, ack, end, tcp.window);
            if same {
                self.retransmissions = self.retransmissions.wrapping_add(1);
            } else {
                self.last_direction = direction;
                self.last_seq = seq;
                self.last_ack = ack;
                self.last_end = end;
                self.last_window = tcp.window;
                self.retransmissions = 0;
            }
        }
        Window::Accept
    }

    /// Note a segment that is let pass without effect: the sides may be in step with each other and not with us.
    fn note(&mut self, direction: Direction, class: Class, tcp: &Header<'_>) {
        self.last_class = class;
        self.last_direction = direction;
        self.last_seq = tcp.seq;
        self.last_end = tcp.end;
        self.last_window = tcp.window;
        if class == Class::Syn && direction == Direction::Original {
            let (scale, flags) = scale_and_flags(tcp.options);
            self.last_flags = flags;
            self.last_scale = if flags & FLAG_WINDOW_SCALE != 0 { scale } else { 0 };
            if self.state == LAST_ACK {
                // RFC 5961: the answer may be a challenge ACK, which must not pass for the last one.
                self.last_flags |= FLAG_EXP_CHALLENGE_ACK;
            }
        }
        if self.state == SYN_SENT && class == Class::Ack && direction == Direction::Reply {
            self.last_ack = tcp.ack;
        }
    }

    /// Take over what was noted of a SYN, now that the other side has answered it.
    fn resynchronise(&mut self, direction: Direction) {
        self.last_flags &= !FLAG_EXP_CHALLENGE_ACK;
        let noted = Side {
            end: self.last_end,
            max_end: self.last_end,
            max_window: u32::from(self.last_window).max(1),
            max_ack: 0,
            scale: self.last_scale,
            flags: self.last_flags,
        };
        let (sender, other) = self.both(direction);
        other.end = noted.end;
        other.max_end = noted.max_end;
        other.max_window = noted.max_window;
        other.scale = noted.scale;
        other.flags = noted.flags;
        sender.forget();
    }

    /// What a RST does where it would close. Some(new state) to look at the window, None to skip it.
    fn reset(
        &self,
        flow_status: u32,
        direction: Direction,
        tcp: &Header<'_>,
        settings: &Settings,
    ) -> Result<(u8, bool), Reason> {
        let old = self.state;
        if matches!(old, FIN_WAIT | CLOSE_WAIT | LAST_ACK | TIME_WAIT | CLOSE) {
            return Ok((CLOSE, false)); // closing: the tuple may be in use again, our notes are old
        }
        let mut new = CLOSE;
        let established = old == ESTABLISHED && flow_status & IPS_ASSURED != 0; // nf_conntrack_tcp_established
        let other = self.sides.get(direction.other().index()).copied().unwrap_or_default();
        if other.flags & FLAG_MAXACK_SET != 0 && self.last_class != Class::Syn {
            if tcp.seq == 0 && !established {
                return Ok((CLOSE, true));
            }
            if before(tcp.seq, other.max_ack) && !settings.tcp_ignore_invalid_rst {
                return Err(Reason::ResetBelow { by: other.max_ack.wrapping_sub(tcp.seq) });
            }
            if !established || tcp.seq == other.max_ack {
                return Ok((CLOSE, true));
            }
            // The end of a train: data, then RST right behind it.
            if self.last_class == Class::Ack && self.last_direction == direction && tcp.seq == self.last_end {
                return Ok((CLOSE, true));
            }
            new = old; // not exact: leave room for a challenge ACK
        }
        let answers_syn = flow_status & IPS_SEEN_REPLY != 0
            && self.last_class == Class::Syn
            && self.last_direction != direction;
        let answers_ack = flow_status & IPS_ASSURED == 0 && self.last_class == Class::Ack;
        if (answers_syn || answers_ack) && tcp.ack == self.last_end {
            return Ok((new, false));
        }
        let answers_challenge = old == SYN_SENT
            && self.last_class == Class::Ack
            && self.last_direction == Direction::Reply
            && tcp.seq == self.last_ack;
        Ok((new, !answers_challenge))
    }

    /// Seconds until the end. Source: the timeouts' choice in nf_conntrack_tcp_packet.
    fn timeout(&self, new: u8, class: Class, settings: &Settings) -> u32 {
        let of = |state: u8| settings.tcp_timeouts.get(usize::from(state)).copied().unwrap_or_default();
        let normal = of(new);
        let unacknowledged = self.sides.iter().any(|side| side.flags & FLAG_DATA_UNACKNOWLEDGED != 0);
        if self.retransmissions >= settings.tcp_max_retrans && normal > settings.tcp_timeout_max_retrans {
            settings.tcp_timeout_max_retrans
        } else if class == Class::Rst {
            of(CLOSE)
        } else if unacknowledged && normal > settings.tcp_timeout_unacknowledged {
            settings.tcp_timeout_unacknowledged
        } else if self.last_window == 0 && normal > settings.tcp_timeout_max_retrans {
            settings.tcp_timeout_max_retrans
        } else {
            normal
        }
    }
}

/// A FIN or RST out of window in an assured connection: the second one, from the other side, shortens its life.
/// Source: nf_tcp_handle_invalid.
fn out_of_window(flow: &mut Flow, track: &mut Track<'_>, direction: Direction, class: Class) {
    if !flow.has(IPS_ASSURED) || flow.has(IPS_FIXED_TIMEOUT) || !matches!(class, Class::Rst | Class::Fin) {
        return;
    }
    let left_ns = flow.expires_ns.saturating_sub(track.now_ns);
    let Proto::Tcp(tcp) = &mut flow.proto else { return };
    if tcp.last_direction != direction && matches!(tcp.last_class, Class::Fin | Class::Rst) {
        let unacknowledged = super::seconds(track.settings.tcp_timeout_unacknowledged);
        if left_ns >= super::seconds(120) && left_ns > unacknowledged {
            track.shorten_to_ns = Some(track.now_ns.saturating_add(unacknowledged));
        }
    } else {
        tcp.last_class = class;
        tcp.last_direction = direction;
    }
}

/// Track one segment. Source: nf_conntrack_tcp_packet.
pub fn packet(flow: &mut Flow, packet: &Packet<'_>, direction: Direction, track: &mut Track<'_>) -> Verdict {
    let segment = match header(packet, || track.checksum_is_good(packet)) {
        Ok(segment) => segment,
        Err(reason) => return Verdict::Invalid(reason),
    };
    let settings = track.settings;
    let mut reason = Reason::InWindow;
    if !flow.has(IPS_CONFIRMED) {
        let mut fresh = TcpTrack::default();
        match fresh.open(&segment, settings) {
            Ok(opened) => reason = opened,
            Err(refused) => return Verdict::Invalid(refused),
        }
        flow.proto = Proto::Tcp(fresh);
    }
    let status = flow.status;
    let receiver_offset = flow.seq_offset(direction.other(), segment.ack.wrapping_sub(1));
    let Proto::Tcp(tcp) = &mut flow.proto else { return Verdict::Invalid(Reason::NoTransport) };
    let mut old = tcp.state;
    let class = segment.class();
    let mut new = TRANSITIONS
        .get(direction.index())
        .and_then(|table| table.get(usize::from(class as u8)))
        .and_then(|row| row.get(usize::from(old)))
        .copied()
        .unwrap_or(IV);
    let mut look_at_window = true;

    match new {
        IV => return Verdict::Invalid(Reason::StateForbids { state: old }),
        SYN_SENT if old >= TIME_WAIT => {
            let closed = tcp.sides.iter().any(|side| side.flags & FLAG_CLOSE_INIT != 0);
            if closed || (tcp.last_direction == direction && tcp.last_class == Class::Rst) {
                return Verdict::Repeat;
            }
            new = IG;
        }
        TIME_WAIT
            if old == LAST_ACK
                && class == Class::Ack
                && tcp.last_direction != direction
                && tcp.last_class == Class::Syn
                && tcp.last_flags & FLAG_EXP_CHALLENGE_ACK != 0 =>
        {
            tcp.last_flags &= !FLAG_EXP_CHALLENGE_ACK;
            return Verdict::Ignore(Reason::ChallengeAck);
        }
        SYN_SENT2 => tcp.last_flags |= FLAG_SIMULTANEOUS_OPEN,
        SYN_RECV
            if direction == Direction::Reply
                && class == Class::Ack
                && tcp.last_flags & FLAG_SIMULTANEOUS_OPEN != 0 =>
        {
            new = ESTABLISHED;
        }
        CLOSE if class == Class::Rst => match tcp.reset(status, direction, &segment, settings) {
            Err(refused) => return Verdict::Invalid(refused),
            Ok((state, look)) => {
                new = state;
                look_at_window = look;
                if !look {
                    reason = Reason::SkippedWindow;
                } else if state == ESTABLISHED {
                    reason = Reason::ResetInexact;
                }
            }
        },
        _ => {}
    }
    if new == IG {
        let answers_noted_syn = class == Class::SynAck
            && tcp.last_class == Class::Syn
            && tcp.last_direction != direction
            && segment.ack == tcp.last_end;
        if !answers_noted_syn {
            tcp.note(direction, class, &segment);
            return Verdict::Ignore(Reason::Ignored { state: old });
        }
        tcp.resynchronise(direction);
        old = SYN_SENT;
        new = SYN_RECV;
        reason = Reason::Resynchronised;
    }

    if look_at_window {
        match tcp.window(direction, class, &segment, receiver_offset, settings) {
            Window::Accept => {}
            Window::Liberal => reason = Reason::Liberal,
            Window::Ignore(why) => return Verdict::Ignore(why),
            Window::Invalid(why) => {
                out_of_window(flow, track, direction, class);
                return Verdict::Invalid(why);
            }
        }
    }
    let Proto::Tcp(tcp) = &mut flow.proto else { return Verdict::Invalid(Reason::NoTransport) };
    tcp.last_class = class;
    tcp.last_direction = direction;
    tcp.state = new;
    if old != new && new == FIN_WAIT {
        tcp.both(direction).0.flags |= FLAG_CLOSE_INIT;
    }
    let mut timeout = tcp.timeout(new, class, settings);
    if new != old {
        flow.pending |= event::PROTOINFO;
    }
    if !flow.has(IPS_SEEN_REPLY) {
        if segment.is(RST) {
            return Verdict::Kill(Reason::ResetBeforeAnswer);
        }
        if class == Class::Syn && old == SYN_SENT {
            return Verdict::Ignore(Reason::SynAgain);
        }
        if new == ESTABLISHED {
            timeout = timeout.min(settings.tcp_timeout_unacknowledged);
        }
    } else if !flow.has(IPS_ASSURED) && (old == SYN_RECV || old == ESTABLISHED) && new == ESTABLISHED {
        flow.status |= IPS_ASSURED;
        flow.pending |= event::ASSURED;
    }
    Verdict::Accept { reason, timeout }
}
