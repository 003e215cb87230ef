//! TCP: transitions, windows, timeouts.
//!
//! Source: kernel net/netfilter/nf_conntrack_proto_tcp.c (6.18); RFC 9293, 7323, 2018, 5961.

mod header;
mod window;

use super::flow::{Flow, Proto, event};
use super::key::Direction;
use super::settings::{Settings, tcp_state::*};
use super::track::{Track, Verdict};
use super::verdict::Reason;
use crate::packet::Packet;
use crate::wire::constants::{IPS_ASSURED, IPS_CONFIRMED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY};
pub use header::Class;
use header::{Header, RST, header, scale_and_flags};
pub use window::Side;
use window::Window;

pub const FLAG_WINDOW_SCALE: u8 = 0x01;
pub const FLAG_SACK_PERM: u8 = 0x02;
pub const FLAG_CLOSE_INIT: u8 = 0x04;
pub const FLAG_BE_LIBERAL: u8 = 0x08;
pub const FLAG_DATA_UNACKNOWLEDGED: u8 = 0x10;
pub const FLAG_MAXACK_SET: u8 = 0x20;
/// Only in the notes about the last packet.
const FLAG_EXP_CHALLENGE_ACK: u8 = 0x40;
const FLAG_SIMULTANEOUS_OPEN: u8 = 0x80;

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
        let answers_syn =
            flow_status & IPS_SEEN_REPLY != 0 && self.last_class == Class::Syn && self.last_direction != direction;
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
            if direction == Direction::Reply && class == Class::Ack && tcp.last_flags & FLAG_SIMULTANEOUS_OPEN != 0 =>
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
            Window::Liberal if matches!(reason, Reason::PickedUp) => {}
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
