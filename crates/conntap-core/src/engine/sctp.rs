//! SCTP: chunks move the state, verification tags guard it.
//!
//! Source: kernel net/netfilter/nf_conntrack_proto_sctp.c (6.18); RFC 9260, section 8.5.

use super::flow::{Flow, Proto, event};
use super::key::Direction;
use super::track::{Track, Verdict, again, assure};
use super::verdict::Reason;
use crate::packet::Packet;
use crate::wire::constants::IPS_CONFIRMED;

mod state {
    pub const NONE: u8 = 0;
    pub const CLOSED: u8 = 1;
    pub const COOKIE_WAIT: u8 = 2;
    pub const COOKIE_ECHOED: u8 = 3;
    pub const ESTABLISHED: u8 = 4;
    pub const SHUTDOWN_SENT: u8 = 5;
    pub const SHUTDOWN_RECD: u8 = 6;
    pub const SHUTDOWN_ACK_SENT: u8 = 7;
    pub const HEARTBEAT_SENT: u8 = 8;
    pub const INVALID: u8 = 255;
}

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const ERROR: u8 = 9;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;

/// The T bit: the sender had no association and reflects the tag.
const FLAG_T: u8 = 1;

/// `TRANSITIONS[direction][row of the chunk][state]`.
#[rustfmt::skip]
const TRANSITIONS: [[[u8; 9]; 11]; 2] = {
    use state::{CLOSED as CL, COOKIE_ECHOED as CE, COOKIE_WAIT as CW, ESTABLISHED as ES, HEARTBEAT_SENT as HS,
                INVALID as IV, SHUTDOWN_ACK_SENT as SA, SHUTDOWN_RECD as SR, SHUTDOWN_SENT as SS};
    [
        [
            //NO CL  CW  CE  ES  SS  SR  SA  HS
            [CL, CL, CW, CE, ES, CL, CL, SA, CW], // INIT
            [CL, CL, CW, CE, ES, SS, SR, SA, CL], // INIT ACK
            [CL, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
            [CL, CL, CW, CE, SS, SS, SR, SA, CL], // SHUTDOWN
            [SA, CL, CW, CE, ES, SA, SA, SA, SA], // SHUTDOWN ACK
            [CL, CL, CW, CE, ES, SS, SR, SA, CL], // ERROR
            [CL, CL, CE, CE, ES, SS, SR, SA, CL], // COOKIE ECHO
            [CL, CL, CW, ES, ES, SS, SR, SA, CL], // COOKIE ACK
            [CL, CL, CW, CE, ES, SS, SR, CL, CL], // SHUTDOWN COMPLETE
            [HS, CL, CW, CE, ES, SS, SR, SA, HS], // HEARTBEAT
            [CL, CL, CW, CE, ES, SS, SR, SA, HS], // HEARTBEAT ACK
        ],
        [
            [IV, CL, CW, CE, ES, SS, SR, SA, IV],
            [IV, CW, CW, CE, ES, SS, SR, SA, IV],
            [IV, CL, CL, CL, CL, CL, CL, CL, IV],
            [IV, CL, CW, CE, SR, SS, SR, SA, IV],
            [IV, CL, CW, CE, ES, SA, SA, SA, IV],
            [IV, CL, CW, CL, ES, SS, SR, SA, IV],
            [IV, CL, CE, CE, ES, SS, SR, SA, IV],
            [IV, CL, CW, ES, ES, SS, SR, SA, IV],
            [IV, CL, CW, CE, ES, SS, SR, CL, IV],
            [IV, CL, CW, CE, ES, SS, SR, SA, HS],
            [IV, CL, CW, CE, ES, SS, SR, SA, ES],
        ],
    ]
};

/// An association's state. Source: struct ip_ct_sctp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SctpTrack {
    /// The tag that packets of a direction must carry.
    pub tags: [u32; 2],
    /// An INIT of this direction is on its way.
    init: [bool; 2],
    heartbeat_failed: Option<Direction>,
    pub state: u8,
}

/// One chunk: type, flags, and its bytes from the header on.
#[derive(Clone, Copy, Debug)]
struct Chunk<'a> {
    kind: u8,
    flags: u8,
    length: u16,
    bytes: &'a [u8],
}

impl Chunk<'_> {
    /// The tag that an INIT or INIT ACK asks for.
    fn init_tag(&self) -> Option<u32> {
        // The fixed part of an INIT is 20 bytes long, header included.
        let [_, _, _, _, t0, t1, t2, t3, ..] = self.bytes.first_chunk::<20>()?;
        Some(u32::from_be_bytes([*t0, *t1, *t2, *t3]))
    }
}

fn chunks<'a>(l4: &'a [u8]) -> impl Iterator<Item = Chunk<'a>> + Clone {
    let mut rest = l4.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let [kind, flags, l0, l1] = *rest.first_chunk::<4>()?;
        let length = u16::from_be_bytes([l0, l1]);
        let bytes = rest;
        let step = usize::from(length).next_multiple_of(4);
        // A length of zero ends the walk behind this chunk: it is refused before the state is touched.
        rest = if step == 0 { &[] } else { rest.get(step..).unwrap_or_default() };
        Some(Chunk { kind, flags, length, bytes })
    })
}

/// Which kinds of chunks there are; Err where they may not stand together. Source: do_basic_checks.
fn kinds(l4: &[u8]) -> Result<[bool; 256], Reason> {
    let mut found = [false; 256];
    let (mut count, mut alone) = (0_u32, false);
    for chunk in chunks(l4) {
        alone |= matches!(chunk.kind, INIT | INIT_ACK | SHUTDOWN_COMPLETE);
        let misplaced = (matches!(chunk.kind, COOKIE_ACK | COOKIE_ECHO) || alone) && count != 0;
        if misplaced || chunk.length == 0 {
            return Err(Reason::ChunksMisplaced);
        }
        if let Some(seen) = found.get_mut(usize::from(chunk.kind)) {
            *seen = true;
        }
        count = count.saturating_add(1);
    }
    if count == 0 { Err(Reason::ChunksMisplaced) } else { Ok(found) }
}

fn next(direction: Direction, current: u8, kind: u8) -> u8 {
    let row = match kind {
        INIT => 0,
        INIT_ACK => 1,
        ABORT => 2,
        SHUTDOWN => 3,
        SHUTDOWN_ACK => 4,
        ERROR => 5,
        COOKIE_ECHO => 6,
        COOKIE_ACK => 7,
        SHUTDOWN_COMPLETE => 8,
        HEARTBEAT => 9,
        HEARTBEAT_ACK => 10,
        _ => return current, // DATA, SACK and the like keep the state
    };
    let table = TRANSITIONS.get(direction.index()).and_then(|table| table.get::<usize>(row));
    table.and_then(|row| row.get(usize::from(current))).copied().unwrap_or(state::INVALID)
}

impl SctpTrack {
    fn tag(&self, direction: Direction) -> u32 {
        self.tags.get(direction.index()).copied().unwrap_or_default()
    }

    fn set_tag(&mut self, direction: Direction, tag: u32) {
        if let Some(field) = self.tags.get_mut(direction.index()) {
            *field = tag;
        }
    }

    fn init(&self, direction: Direction) -> bool {
        self.init.get(direction.index()).copied().unwrap_or_default()
    }

    fn set_init(&mut self, direction: Direction, value: bool) {
        if let Some(field) = self.init.get_mut(direction.index()) {
            *field = value;
        }
    }

    /// Source: sctp_new.
    fn open(l4: &[u8], tag: u32) -> Result<Self, Reason> {
        let mut fresh = Self::default();
        for chunk in chunks(l4) {
            if matches!(next(Direction::Original, state::NONE, chunk.kind), state::NONE | state::INVALID) {
                return Err(Reason::ChunkCannotOpen);
            }
            match chunk.kind {
                INIT if tag != 0 => return Err(Reason::TagNotZero),
                INIT => {
                    let Some(wanted) = chunk.init_tag() else { return Err(Reason::ChunksMisplaced) };
                    fresh.set_tag(Direction::Reply, wanted);
                }
                HEARTBEAT => fresh.set_tag(Direction::Original, tag),
                SHUTDOWN_ACK => fresh.set_tag(Direction::Reply, tag), // out of the blue: section 8.4
                _ => {}
            }
        }
        Ok(fresh)
    }

    /// Tags of chunks with rules of their own. Ok(true): go on with the next chunk. Source: section 8.5.1.
    fn check_tag(
        &mut self,
        chunk: &Chunk<'_>,
        tag: u32,
        direction: Direction,
        has_data: bool,
        ignore: &mut bool,
    ) -> Result<bool, Reason> {
        let other = direction.other();
        match chunk.kind {
            INIT if tag != 0 => return Err(Reason::TagNotZero),
            ABORT | SHUTDOWN_COMPLETE => {
                let wanted = if chunk.flags & FLAG_T == 0 { self.tag(direction) } else { self.tag(other) };
                if tag != wanted {
                    return Err(Reason::TagMismatch);
                }
            }
            COOKIE_ECHO if tag != self.tag(direction) => return Err(Reason::TagMismatch),
            COOKIE_ACK => self.init = [false; 2],
            HEARTBEAT | HEARTBEAT_ACK if self.tag(direction) == 0 => self.set_tag(direction, tag),
            HEARTBEAT | HEARTBEAT_ACK if tag == self.tag(direction) => self.heartbeat_failed = None,
            HEARTBEAT | HEARTBEAT_ACK if has_data || *ignore => return Err(Reason::TagMismatch),
            HEARTBEAT => {
                self.heartbeat_failed = Some(direction);
                *ignore = true;
                return Ok(true);
            }
            HEARTBEAT_ACK => {
                if self.heartbeat_failed != Some(other) {
                    return Err(Reason::TagMismatch);
                }
                self.heartbeat_failed = None;
                self.set_tag(direction, tag);
                self.set_tag(other, 0);
            }
            _ => {}
        }
        Ok(false)
    }

    /// Note the tags that INIT and INIT ACK announce.
    fn note_init(&mut self, chunk: &Chunk<'_>, direction: Direction, old: u8) -> Result<(), Reason> {
        let other = direction.other();
        let Some(wanted) = chunk.init_tag() else { return Err(Reason::ChunksMisplaced) };
        let known = self.tag(other);
        if chunk.kind == INIT {
            // One that repeats the peer's tag is stale or sent again.
            if old == state::NONE || known != wanted {
                if self.init(direction) && self.init(other) {
                    self.set_init(other, false);
                }
                self.set_init(direction, true);
            }
        } else {
            let stale = !self.init(other) && known != 0 && known != wanted;
            let collision = self.init(direction) && self.init(other) && known != wanted;
            if stale || collision {
                return Err(Reason::TagMismatch);
            }
        }
        self.set_tag(other, wanted);
        Ok(())
    }
}

/// Track one packet. Source: nf_conntrack_sctp_packet.
pub fn packet(flow: &mut Flow, packet: &Packet<'_>, direction: Direction, track: &Track<'_>) -> Verdict {
    match apply(flow, packet.l4(), direction, track, || track.checksum_is_good(packet)) {
        Ok(verdict) => verdict,
        Err(reason) => Verdict::Invalid(reason),
    }
}

fn apply(
    flow: &mut Flow,
    l4: &[u8],
    direction: Direction,
    track: &Track<'_>,
    good_checksum: impl FnOnce() -> bool,
) -> Result<Verdict, Reason> {
    let Some([_, _, _, _, t0, t1, t2, t3, ..]) = l4.first_chunk::<12>() else {
        return Err(Reason::ShortHeader { have: u32::try_from(l4.len()).unwrap_or(u32::MAX), need: 12 });
    };
    if !good_checksum() {
        return Err(Reason::BadChecksum);
    }
    let tag = u32::from_be_bytes([*t0, *t1, *t2, *t3]);
    let found = kinds(l4)?;
    let has = |kind: u8| found.get(usize::from(kind)).copied().unwrap_or_default();
    let confirmed = flow.has(IPS_CONFIRMED);
    if !confirmed {
        if has(ABORT) || has(SHUTDOWN_COMPLETE) || has(COOKIE_ACK) {
            return Err(Reason::ChunkCannotOpen); // out of the blue: section 8.4
        }
        flow.proto = Proto::Sctp(SctpTrack::open(l4, tag)?);
    }
    let Proto::Sctp(mut sctp) = flow.proto else { return Err(Reason::NoTransport) };
    let special = [INIT, SHUTDOWN_COMPLETE, COOKIE_ECHO, ABORT, SHUTDOWN_ACK, HEARTBEAT, HEARTBEAT_ACK];
    if !special.iter().any(|kind| has(*kind)) && tag != sctp.tag(direction) {
        return Err(Reason::TagMismatch);
    }

    let mut ignore = false;
    let mut reason = again(flow);
    let mut new = state::NONE;
    let mut failed = None;
    for chunk in chunks(l4) {
        match sctp.check_tag(&chunk, tag, direction, has(DATA), &mut ignore) {
            Ok(false) => {}
            Ok(true) => {
                reason = Reason::HeartbeatTag;
                continue;
            }
            Err(why) => {
                failed = Some(why);
                break;
            }
        }
        let old = sctp.state;
        new = next(direction, old, chunk.kind);
        if new == state::INVALID {
            failed = Some(Reason::ChunkCannotOpen);
            break;
        }
        if matches!(chunk.kind, INIT | INIT_ACK) {
            if let Err(why) = sctp.note_init(&chunk, direction, old) {
                failed = Some(why);
                break;
            }
            if chunk.kind == INIT && new == state::CLOSED && old == state::CLOSED && confirmed {
                ignore = true;
                reason = Reason::InitAgain;
            }
        }
        sctp.state = new;
        if old != new {
            flow.pending |= event::PROTOINFO;
            if new == state::ESTABLISHED {
                assure(flow);
            }
        }
    }
    flow.proto = Proto::Sctp(sctp); // also where a later chunk is refused: what came before it counts
    if let Some(why) = failed {
        return Err(why);
    }
    if ignore {
        return Ok(Verdict::Ignore(reason));
    }
    let timeout = track.settings.sctp_timeouts.get(usize::from(new)).copied().unwrap_or_default();
    Ok(Verdict::Accept { reason, timeout })
}
