//! Windows: which sequence numbers and acknowledgements each side may send.
//!
//! Source: tcp_in_window, tcp_init_sender of net/netfilter/nf_conntrack_proto_tcp.c; RFC 9293, 7323.

use super::header::{ACK, Class, Header, RST, SYN, highest_sack, scale_and_flags};
use super::{
    FLAG_BE_LIBERAL, FLAG_DATA_UNACKNOWLEDGED, FLAG_MAXACK_SET, FLAG_SACK_PERM, FLAG_WINDOW_SCALE, TcpTrack, after,
    before,
};
use crate::engine::key::Direction;
use crate::engine::settings::{Settings, tcp_state::*};
use crate::engine::verdict::Reason;

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

impl Side {
    /// Begin anew with a SYN. Source: tcp_init_sender.
    pub(super) fn begin(&mut self, other: &mut Self, tcp: &Header<'_>, direction: Direction) {
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

    pub(super) fn forget(&mut self) {
        *self = Self { flags: self.flags & FLAG_BE_LIBERAL, ..Self::default() };
    }

    /// How far an acknowledgement may lag behind. Source: MAXACKWINDOW.
    fn max_ack_window(&self) -> u32 {
        self.max_window.max(66_000)
    }
}

/// What the window says of a segment.
pub(super) enum Window {
    Accept,
    Liberal,
    Ignore(Reason),
    Invalid(Reason),
}

impl TcpTrack {
    /// Source: tcp_in_window.
    pub(super) fn window(
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
}
