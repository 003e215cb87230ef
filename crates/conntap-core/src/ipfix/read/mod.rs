//! Reads IPFIX (RFC 7011) and NetFlow v9 (RFC 3954) into rows: messages in, records out, no I/O.
//!
//! Everything is from strangers: what they can make a [`Reader`] remember is bounded by [`Limits`], what one message
//! can make it do is bounded by its length, and what is left out is counted ([`Counters`]).

mod counters;
pub mod element;
mod error;
mod going;
mod record;
mod sequence;
mod session;
mod template;
mod times;
mod values;

pub use counters::Counters;
pub use error::ReadError;

use counters::add;
use element::Number;
use going::Going;
use record::Context;
use sequence::Numbered;
use session::{Session, Sessions, Waiting};
use template::{FIRST_ID, Form, Item, take_u16};
use values::Values;

use crate::batch::Batch;
use crate::model::Gap;

const IPFIX: u16 = 10;
const NETFLOW9: u16 = 9;
const IPFIX_HEADER: usize = 16;
const NETFLOW9_HEADER: usize = 20;
const SECOND: i64 = 1_000_000_000;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Observation domains of all exporters' sessions; beyond it those silent longest are forgotten.
    pub sessions: usize,
    /// Templates of one session and domain, and fields of them all.
    pub templates: usize,
    pub fields: usize,
    /// Bytes of sets that wait for their template, for one session and domain.
    pub waiting_bytes: usize,
    /// How long they wait.
    pub waiting_ns: i64,
    /// Over UDP: how long a template is valid without having been sent again.
    pub lifetime_ns: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 1024,
            templates: 1024,
            fields: 8192,
            waiting_bytes: 128 << 10,
            waiting_ns: 600 * SECOND,
            // Routers refresh every 30 minutes as they come; RFC 7011 8.4 asks for three times the refresh.
            lifetime_ns: 5400 * SECOND,
        }
    }
}

/// Who sent a message, and in which way.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// Its address, as text.
    pub exporter: &'a str,
    /// Tells its sessions apart.
    pub port: u16,
    /// One message a datagram: templates age, nothing is withdrawn, NetFlow v9 is possible.
    pub datagram: bool,
}

/// What a message's header says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Header {
    pub v9: bool,
    pub domain: u32,
    pub seq: u32,
    /// When it left the exporter; whole seconds.
    pub export_ns: i64,
    /// NetFlow v9: milliseconds since the exporter's start, then.
    pub uptime_ms: Option<u32>,
    pub received_ns: i64,
}

/// Turns messages into rows.
#[derive(Debug, Default)]
pub struct Reader {
    limits: Limits,
    sessions: Sessions,
    counters: Counters,
    values: Values,
    going: Going,
    gaps: Vec<Gap>,
    sample: Option<(ReadError, Vec<u8>)>,
}

/// What was counted in one message.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    records: u32,
    options: u32,
    /// Something could not be read, so that the numbers are too low.
    partly: bool,
}

impl Reader {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Read the message at the front of `bytes` and append its rows to `out`; returns the bytes it took.
    ///
    /// Without `received_ns` (a file) the message's own time stands for it. What was read before a fault stays.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        peer: &Peer<'_>,
        received_ns: Option<i64>,
        out: &mut Batch,
    ) -> Result<usize, ReadError> {
        let read = self.message(bytes, peer, received_ns, out);
        let gaps = std::mem::take(&mut self.gaps);
        self.write_gaps(gaps, out);
        if let Err(error) = read {
            self.counters.refuse(error);
            self.sample.get_or_insert_with(|| (error, bytes.get(..bytes.len().min(4096)).unwrap_or_default().to_vec()));
        }
        read
    }

    /// The length of the message at the front of a stream; None where more bytes are needed to tell, or to have it.
    pub fn framed(bytes: &[u8]) -> Result<Option<usize>, ReadError> {
        let mut head = bytes;
        let (Some(version), Some(len)) = (take_u16(&mut head), take_u16(&mut head)) else { return Ok(None) };
        let len = usize::from(len);
        if version != IPFIX {
            return Err(ReadError::Version { found: version });
        }
        if len < IPFIX_HEADER {
            return Err(ReadError::Length { said: len, have: bytes.len() });
        }
        Ok(Some(len).filter(|len| *len <= bytes.len()))
    }

    /// A stream cannot be read further: count why.
    pub fn refuse(&mut self, error: ReadError, bytes: &[u8]) {
        self.counters.refuse(error);
        self.sample.get_or_insert_with(|| (error, bytes.get(..bytes.len().min(4096)).unwrap_or_default().to_vec()));
    }

    fn message(
        &mut self,
        bytes: &[u8],
        peer: &Peer<'_>,
        received_ns: Option<i64>,
        out: &mut Batch,
    ) -> Result<usize, ReadError> {
        let (mut header, len) = Header::read(bytes, peer.datagram)?;
        header.received_ns = received_ns.unwrap_or(header.export_ns);
        let Self { limits, sessions, counters, values, going, gaps, .. } = self;
        add(if header.v9 { &mut counters.messages_netflow9 } else { &mut counters.messages_ipfix }, 1);
        if peer.datagram {
            add(&mut counters.trailing_bytes, u64::try_from(bytes.len().saturating_sub(len)).unwrap_or_default());
        }
        let part = (peer.port, header.domain, header.v9);
        let Some(session) = sessions.enter(peer.exporter, part, header.received_ns, limits, counters) else {
            return Ok(len);
        };
        session.expire(header.received_ns, limits, counters);
        let start = if header.v9 { NETFLOW9_HEADER } else { IPFIX_HEADER };
        let body = bytes.get(start..len).unwrap_or_default();
        let mut work = Work { limits, session, counters, values, going, header, peer, tally: Tally::default() };
        let read = work.sets(body, out);
        let Work { session, counters, tally, .. } = work;
        let whole = read.is_ok() && !tally.partly;
        let numbered = Numbered::of(&header, tally.records, tally.options, whole);
        session.sequence.take(numbered, counters, gaps);
        read.map(|()| len)
    }

    fn write_gaps(&mut self, gaps: Vec<Gap>, out: &mut Batch) {
        for gap in gaps {
            add(&mut self.counters.gaps, 1);
            out.push_gap(&gap);
        }
    }

    /// Time went by: what is missing since long is lost, and what waits since long is dropped.
    pub fn settle(&mut self, now_ns: i64, out: &mut Batch) {
        let mut gaps = Vec::new();
        for session in self.sessions.all_mut() {
            session.sequence.settle(now_ns, &mut self.counters, &mut gaps);
            session.expire(now_ns, &self.limits, &mut self.counters);
        }
        self.write_gaps(gaps, out);
    }

    /// A connection, or a file, has ended: nothing of it is waited for.
    pub fn end(&mut self, exporter: &str, port: u16, out: &mut Batch) {
        let mut gaps = Vec::new();
        for session in self.sessions.of_mut(exporter, port) {
            session.sequence.settle(i64::MAX, &mut self.counters, &mut gaps);
        }
        self.sessions.leave(exporter, port, &mut self.counters);
        self.write_gaps(gaps, out);
    }

    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sessions, templates, and bytes of sets that wait, as held now.
    #[must_use]
    pub fn held(&self) -> (usize, usize, usize) {
        let sums = self
            .sessions
            .all()
            .map(Session::held)
            .fold((0_usize, 0_usize), |sum, held| (sum.0.saturating_add(held.0), sum.1.saturating_add(held.1)));
        (self.sessions.len(), sums.0, sums.1)
    }

    /// The first message that could not be read whole, and why.
    #[must_use]
    pub fn sample(&self) -> Option<&(ReadError, Vec<u8>)> {
        self.sample.as_ref()
    }
}

impl Header {
    /// Read it; returns it and the message's length.
    fn read(bytes: &[u8], datagram: bool) -> Result<(Self, usize), ReadError> {
        let word =
            |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).map(|word| u32::from_be_bytes(*word));
        let mut head = bytes;
        let short = |said| ReadError::Length { said, have: bytes.len() };
        let version = take_u16(&mut head).ok_or(short(IPFIX_HEADER))?;
        let export = |word: u32| i64::from(word).saturating_mul(SECOND);
        match version {
            IPFIX => {
                let len = usize::from(take_u16(&mut head).ok_or(short(IPFIX_HEADER))?);
                let (Some(time), Some(seq), Some(domain)) = (word(4), word(8), word(12)) else {
                    return Err(short(IPFIX_HEADER));
                };
                if len < IPFIX_HEADER || len > bytes.len() {
                    return Err(short(len));
                }
                Ok((Self { domain, seq, export_ns: export(time), ..Self::default() }, len))
            }
            NETFLOW9 if datagram => {
                let (Some(uptime), Some(time), Some(seq), Some(domain)) = (word(4), word(8), word(12), word(16)) else {
                    return Err(short(NETFLOW9_HEADER));
                };
                let uptime_ms = Some(uptime);
                Ok((Self { v9: true, domain, seq, export_ns: export(time), uptime_ms, ..Self::default() }, bytes.len()))
            }
            found => Err(ReadError::Version { found }),
        }
    }
}

/// One message being read.
struct Work<'a> {
    limits: &'a Limits,
    session: &'a mut Session,
    counters: &'a mut Counters,
    values: &'a mut Values,
    going: &'a mut Going,
    header: Header,
    peer: &'a Peer<'a>,
    tally: Tally,
}

impl Work<'_> {
    fn sets(&mut self, mut body: &[u8], out: &mut Batch) -> Result<(), ReadError> {
        // Fewer bytes than a set's header are padding.
        while body.len() >= 4 {
            let (Some(id), Some(len)) = (take_u16(&mut body), take_u16(&mut body)) else { break };
            let bad = ReadError::Set { id, len: len.into(), have: body.len().saturating_add(4) };
            let inside = usize::from(len).checked_sub(4).ok_or(bad)?;
            let (set, rest) = body.split_at_checked(inside).ok_or(bad)?;
            body = rest;
            match (id, self.header.v9) {
                (2 | 3, false) => self.templates(set, Form::Ipfix { options: id == 3 }, out)?,
                (0 | 1, true) => self.templates(set, Form::NetFlow9 { options: id == 1 }, out)?,
                (FIRST_ID.., _) => self.data(id, set, out)?,
                _ => add(&mut self.counters.reserved_sets, 1),
            }
        }
        Ok(())
    }

    fn templates(&mut self, mut set: &[u8], form: Form, out: &mut Batch) -> Result<(), ReadError> {
        while let Some(item) = Item::next(&mut set, form) {
            match item? {
                Item::Template(id, template) => {
                    self.session.learn(id, template, self.header.received_ns, self.limits, self.counters);
                    self.read_awaited(id, out)?;
                }
                Item::TooLarge(id) => {
                    self.session.withdraw(id);
                    add(&mut self.counters.templates_refused, 1);
                }
                Item::Withdrawal(_) if self.peer.datagram => add(&mut self.counters.withdrawals_ignored, 1),
                Item::Withdrawal(id @ FIRST_ID..) => {
                    let known = self.session.withdraw(id);
                    add(&mut self.counters.templates_withdrawn, known.into());
                }
                Item::Withdrawal(set_id) => {
                    let gone = self.session.withdraw_all(set_id == 3);
                    add(&mut self.counters.templates_withdrawn, gone);
                }
            }
        }
        Ok(())
    }

    fn read_awaited(&mut self, id: u16, out: &mut Batch) -> Result<(), ReadError> {
        let (header, tally) = (self.header, self.tally);
        for set in self.session.awaited(id) {
            self.header = set.header;
            add(&mut self.counters.waited_read, 1);
            let read = self.data(id, &set.bytes, out);
            (self.header, self.tally) = (header, tally); // they were of another message
            read?;
        }
        Ok(())
    }

    fn data(&mut self, id: u16, mut set: &[u8], out: &mut Batch) -> Result<(), ReadError> {
        let lifetime = if self.peer.datagram { self.limits.lifetime_ns } else { i64::MAX };
        let init_ms = self.session.init_ms;
        let Some(template) = self.session.template(id, self.header.received_ns, lifetime, self.counters) else {
            self.tally.partly = true;
            let set = Waiting { id, header: self.header, bytes: set.into() };
            self.session.wait(set, self.limits, self.counters);
            return Ok(());
        };
        let mut told = None;
        while set.len() >= template.min_len {
            let padding = set.len() < 4 && set.iter().all(|byte| *byte == 0) && template.min_len < 4;
            if padding {
                break;
            }
            set = self.values.read(template, set).ok_or(ReadError::Record { template: id })?;
            if template.options {
                self.tally.options = self.tally.options.saturating_add(1);
                add(&mut self.counters.options_records, 1);
                told = self.values.get(Number::InitMilliseconds).or(told);
            } else {
                self.tally.records = self.tally.records.saturating_add(1);
                let context = Context { header: &self.header, peer: self.peer, init_ms };
                record::append(self.values, &context, self.going, self.counters, out);
            }
        }
        add(&mut self.counters.elements_dropped, std::mem::take(&mut self.values.dropped));
        if told.is_some() {
            self.session.init_ms = told;
        }
        Ok(())
    }
}
