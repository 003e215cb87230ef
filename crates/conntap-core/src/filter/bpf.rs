//! A filter as a socket filter for events: the kernel drops what is not wanted before it fills the receive buffer.
//!
//! Data offset 0 is nlmsghdr. Loads are big-endian, header fields are not, so those are read byte by byte.
//! Messages that are no rows (acks, errors, other subsystems) always pass.

use super::asm::*;
use super::ast::{EVENT_KINDS, EXPECTATION_KINDS, Ends, FLOW_KINDS, Field, Net, Node, Ranges, States, Test, kind_bit};
use super::reduce::{Goal, reduce};
use crate::model::Kind;
use crate::wire::constants::*;

/// A socket filter (SO_ATTACH_FILTER) for a socket that receives events. Not for dumps: it sees one message only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub insns: Vec<Insn>,
    /// True when it lets through exactly the wanted rows, false when more.
    pub complete: bool,
}

/// Bytes of a host-order u16, low first, and of nlmsg_pid, high first.
const LITTLE: bool = cfg!(target_endian = "little");
const TYPE_LOW: u32 = if LITTLE { 4 } else { 5 };
const TYPE_HIGH: u32 = if LITTLE { 5 } else { 4 };
const FLAGS_LOW: u32 = if LITTLE { 6 } else { 7 };
const FLAGS_HIGH: u32 = if LITTLE { 7 } else { 6 };
const PORTID: [u32; 4] = if LITTLE { [15, 14, 13, 12] } else { [12, 13, 14, 15] };
const FAMILY_AT: u32 = 16;
/// Message numbers within both subsystems (IPCTNL_MSG_CT_NEW …, IPCTNL_MSG_EXP_NEW …).
const NUMBER_NEW: u32 = 0;
const NUMBER_DELETE: u32 = 2;
/// Keep the whole message.
const KEEP: u32 = u32::MAX;

/// Which attribute numbers a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Flow,
    Expectation,
}

impl Class {
    const EACH: [(Self, u16); 2] = [(Self::Flow, FLOW_KINDS), (Self::Expectation, EXPECTATION_KINDS)];

    fn tuple(self, end: Ends) -> Option<u16> {
        match (self, end.is_reply()) {
            (Self::Flow, false) => Some(CTA_TUPLE_ORIG),
            (Self::Flow, true) => Some(CTA_TUPLE_REPLY),
            (Self::Expectation, false) => Some(CTA_EXPECT_TUPLE),
            (Self::Expectation, true) => None,
        }
    }
}

/// The program for a filter; None where the kernel could not drop anything, or it would be too long.
pub(crate) fn compile(node: &Node) -> Option<Program> {
    let parts = Class::EACH.map(|(class, kinds)| (class, widen(reduce(node, kinds), class)));
    if parts.iter().all(|(_, (goal, _))| *goal == Goal::Const(true)) {
        return None;
    }
    let complete = parts.iter().all(|(_, (_, exact))| *exact);
    let mut asm = Assembler::default();
    let (pass, drop, expectation) = (asm.label(), asm.label(), asm.label());
    let flow = asm.label();
    asm.op(LD_B_ABS, TYPE_HIGH);
    asm.branch_or_next(JEQ_K, NFNL_SUBSYS_CTNETLINK.into(), flow);
    asm.branch(JEQ_K, NFNL_SUBSYS_CTNETLINK_EXP.into(), expectation, pass);
    for ((class, (goal, _)), start) in parts.into_iter().zip([flow, expectation]) {
        asm.place(start);
        let row = asm.label();
        asm.op(LD_B_ABS, TYPE_LOW);
        asm.branch_or_next(JEQ_K, NUMBER_NEW, row);
        asm.branch(JEQ_K, NUMBER_DELETE, row, pass);
        asm.place(row);
        emit(&mut asm, &goal, class, pass, drop);
    }
    asm.place(drop);
    asm.ret(0);
    asm.place(pass);
    asm.ret(KEEP);
    Some(Program { insns: asm.finish()?, complete })
}

/// The nearest goal that BPF can decide and that holds wherever `goal` does; true if it is the same goal.
///
/// Negations stand at single tests only, so widening a part widens the whole.
pub(crate) fn widen(goal: Goal<'_>, class: Class) -> (Goal<'_>, bool) {
    match goal {
        Goal::Const(_) => (goal, true),
        Goal::All(parts) => widen_parts(parts, class, true),
        Goal::Any(parts) => widen_parts(parts, class, false),
        Goal::Ask { test, negated } => match fit(test, class) {
            Fit::Exact => (Goal::Ask { test, negated }, true),
            // Code for the test is wide in itself; its negation would be narrow.
            Fit::Wider if !negated => (Goal::Ask { test, negated }, false),
            _ => (Goal::Const(true), false),
        },
    }
}

fn widen_parts(parts: Vec<Goal<'_>>, class: Class, all: bool) -> (Goal<'_>, bool) {
    let mut exact = true;
    let parts = parts.into_iter().map(|part| {
        let (part, same) = widen(part, class);
        exact &= same;
        part
    });
    let parts: Vec<_> = parts.collect();
    (Goal::join(parts.into_iter(), all), exact)
}

enum Fit {
    Exact,
    /// Code exists that lets more through.
    Wider,
    Never,
}

fn fit(test: &Test, class: Class) -> Fit {
    match test {
        Test::Number { field: Field::Portid, .. } => Fit::Exact,
        Test::Number { field, .. } => match source(*field, class) {
            Some(Source { width: Width::Present, .. }) => Fit::Wider,
            Some(_) => Fit::Exact,
            None => Fit::Never,
        },
        Test::Helper(Some(_)) => Fit::Wider,
        // The attribute can be there and empty, which counts as no master.
        Test::Master if class == Class::Expectation => Fit::Wider,
        _ => Fit::Exact,
    }
}

fn emit(asm: &mut Assembler, goal: &Goal<'_>, class: Class, yes: Label, no: Label) {
    let (parts, all) = match goal {
        Goal::Const(value) => return asm.goto(if *value { yes } else { no }),
        Goal::Ask { test, negated: false } => return ask(asm, test, class, yes, no),
        Goal::Ask { test, negated: true } => return ask(asm, test, class, no, yes),
        Goal::All(parts) => (parts, true),
        Goal::Any(parts) => (parts, false),
    };
    for part in parts {
        let next = asm.label();
        if all {
            emit(asm, part, class, next, no)
        } else {
            emit(asm, part, class, yes, next)
        }
        asm.place(next);
    }
    asm.goto(if all { yes } else { no });
}

fn ask(asm: &mut Assembler, test: &Test, class: Class, yes: Label, no: Label) {
    match test {
        Test::Kinds(kinds) => ask_kinds(asm, *kinds, class, yes, no),
        Test::Family(family) => {
            asm.op(LD_B_ABS, FAMILY_AT);
            asm.branch(JEQ_K, u32::from(*family), yes, no);
        }
        Test::Number { field: Field::Portid, mask, ranges } => ask_portid(asm, *mask, ranges, class, yes, no),
        Test::Number { field, mask, ranges } => match source(*field, class) {
            Some(source) => ask_number(asm, &source, *mask, ranges, yes, no),
            None => asm.goto(no),
        },
        Test::Port { ends, ranges } => {
            for end in ends.each() {
                let Some(tuple) = class.tuple(end) else { continue };
                let next = asm.label();
                let port = if end.is_dst() { CTA_PROTO_DST_PORT } else { CTA_PROTO_SRC_PORT };
                asm.find(&[tuple, CTA_TUPLE_PROTO, port], next);
                asm.op(LD_H_IND, 4);
                in_ranges(asm, ranges, yes, next);
                asm.place(next);
            }
            asm.goto(no);
        }
        Test::Address { ends, nets } => {
            for end in ends.each() {
                if let Some(tuple) = class.tuple(end) {
                    ask_address(asm, tuple, end.is_dst(), nets, yes);
                }
            }
            asm.goto(no);
        }
        Test::State(states) => ask_state(asm, states, yes, no),
        Test::Label(bit) => ask_label(asm, *bit, yes, no),
        Test::Helper(_) => present(asm, helper_path(class), yes, no),
        Test::Master if class == Class::Expectation => present(asm, &[CTA_EXPECT_MASTER], yes, no),
        Test::Master => present(asm, &[CTA_TUPLE_MASTER], yes, no),
        Test::Nat { dst } => ask_nat(asm, *dst, yes, no),
    }
}

fn helper_path(class: Class) -> &'static [u16] {
    match class {
        Class::Flow => &[CTA_HELP, CTA_HELP_NAME],
        Class::Expectation => &[CTA_EXPECT_HELP_NAME],
    }
}

fn present(asm: &mut Assembler, path: &[u16], yes: Label, no: Label) {
    asm.find(path, no);
    asm.goto(yes);
}

/// The same decision as [`Kind::of`].
fn ask_kinds(asm: &mut Assembler, kinds: u16, class: Class, yes: Label, no: Label) {
    let to = |flow: Kind, expectation: Kind| {
        let kind = if class == Class::Flow { flow } else { expectation };
        if kinds & kind_bit(kind) != 0 { yes } else { no }
    };
    asm.op(LD_B_ABS, TYPE_LOW);
    asm.branch_or_next(JEQ_K, NUMBER_DELETE, to(Kind::Destroy, Kind::ExpDestroy));
    asm.op(LD_B_ABS, FLAGS_LOW);
    asm.branch_or_next(JSET_K, u32::from(NLM_F_MULTI), to(Kind::Entry, Kind::ExpEntry));
    asm.op(LD_B_ABS, FLAGS_HIGH);
    asm.branch(JSET_K, u32::from(NLM_F_CREATE >> 8), to(Kind::New, Kind::ExpNew), to(Kind::Update, Kind::ExpUpdate));
}

/// nlmsg_pid, put together from its bytes; dump parts carry the reader's own, which does not count.
fn ask_portid(asm: &mut Assembler, mask: u64, ranges: &Ranges, class: Class, yes: Label, no: Label) {
    let event = asm.label();
    ask_kinds(asm, EVENT_KINDS, class, event, no);
    asm.place(event);
    for (at, byte) in PORTID.into_iter().enumerate() {
        asm.op(LD_B_ABS, byte);
        if at > 0 {
            asm.op(LDX_MEM, 0);
            asm.op(OR_X, 0);
        }
        if at < 3 {
            asm.op(LSH_K, 8);
            asm.op(ST, 0);
        }
    }
    masked(asm, mask);
    in_ranges(asm, ranges, yes, no);
}

/// Where a number stands in a message.
struct Source {
    /// The first path that is there counts.
    paths: &'static [&'static [u16]],
    width: Width,
    /// What an absent attribute counts as.
    absent: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Byte,
    Half,
    Word,
    /// 64 bits or a sum: only whether it is there is asked.
    Present,
}

fn source(field: Field, class: Class) -> Option<Source> {
    use Width::{Byte, Half, Present, Word};
    let (paths, width): (&'static [&'static [u16]], Width) = match class {
        Class::Flow => match field {
            Field::L4proto => (&[&[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_NUM]], Byte),
            Field::IcmpType => (
                &[
                    &[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_TYPE],
                    &[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_TYPE],
                ],
                Byte,
            ),
            Field::IcmpCode => (
                &[
                    &[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_CODE],
                    &[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_CODE],
                ],
                Byte,
            ),
            Field::IcmpId => (
                &[
                    &[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_ID],
                    &[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_ID],
                ],
                Half,
            ),
            Field::Status => (&[&[CTA_STATUS]], Word),
            Field::Timeout => (&[&[CTA_TIMEOUT]], Word),
            Field::Mark => (&[&[CTA_MARK]], Word),
            Field::Secmark => (&[&[CTA_SECMARK]], Word),
            Field::Zone => (&[&[CTA_ZONE]], Half),
            Field::OrigZone => (&[&[CTA_TUPLE_ORIG, CTA_TUPLE_ZONE]], Half),
            Field::ReplyZone => (&[&[CTA_TUPLE_REPLY, CTA_TUPLE_ZONE]], Half),
            Field::Id => (&[&[CTA_ID]], Word),
            Field::Use => (&[&[CTA_USE]], Word),
            Field::OrigVtag => (&[&[CTA_PROTOINFO, CTA_PROTOINFO_SCTP, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL]], Word),
            Field::ReplyVtag => (&[&[CTA_PROTOINFO, CTA_PROTOINFO_SCTP, CTA_PROTOINFO_SCTP_VTAG_REPLY]], Word),
            // Counters come with DESTROY only, so asking for their presence alone drops most events.
            Field::OrigPackets | Field::OrigBytes => (&[&[CTA_COUNTERS_ORIG]], Present),
            Field::ReplyPackets | Field::ReplyBytes => (&[&[CTA_COUNTERS_REPLY]], Present),
            Field::Packets | Field::Bytes => (&[&[CTA_COUNTERS_ORIG], &[CTA_COUNTERS_REPLY]], Present),
            Field::StartNs | Field::StopNs => (&[&[CTA_TIMESTAMP]], Present),
            Field::EventNs => (&[&[CTA_TIMESTAMP_EVENT]], Present),
            Field::Portid | Field::Class | Field::Flags => return None,
        },
        Class::Expectation => match field {
            Field::L4proto => (&[&[CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_NUM]], Byte),
            Field::IcmpType => (
                &[
                    &[CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_TYPE],
                    &[CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_TYPE],
                ],
                Byte,
            ),
            Field::IcmpCode => (
                &[
                    &[CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_CODE],
                    &[CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_CODE],
                ],
                Byte,
            ),
            Field::IcmpId => (
                &[
                    &[CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_ID],
                    &[CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_ID],
                ],
                Half,
            ),
            Field::Timeout => (&[&[CTA_EXPECT_TIMEOUT]], Word),
            Field::Zone => (&[&[CTA_EXPECT_ZONE]], Half),
            Field::Id => (&[&[CTA_EXPECT_ID]], Word),
            Field::Class => (&[&[CTA_EXPECT_CLASS]], Word),
            Field::Flags => (&[&[CTA_EXPECT_FLAGS]], Word),
            _ => return None,
        },
    };
    Some(Source { paths, width, absent: field.when_absent() })
}

fn ask_number(asm: &mut Assembler, source: &Source, mask: u64, ranges: &Ranges, yes: Label, no: Label) {
    for path in source.paths {
        let next = asm.label();
        asm.find(path, next);
        let load = match source.width {
            Width::Byte => Some(LD_B_IND),
            Width::Half => Some(LD_H_IND),
            Width::Word => Some(LD_W_IND),
            Width::Present => None,
        };
        match load {
            Some(load) => {
                asm.op(load, 4);
                masked(asm, mask);
                in_ranges(asm, ranges, yes, no);
            }
            None => asm.goto(yes),
        }
        asm.place(next);
    }
    let absent = source.absent.is_some_and(|value| ranges.contains(value & mask));
    asm.goto(if absent { yes } else { no });
}

/// A &= mask, where that changes anything in 32 bits.
fn masked(asm: &mut Assembler, mask: u64) {
    let low = u32::try_from(mask & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    if low != u32::MAX {
        asm.op(AND_K, low);
    }
}

/// Is A in one of the ranges?
fn in_ranges(asm: &mut Assembler, ranges: &Ranges, yes: Label, no: Label) {
    for (low, high) in ranges.as_slice() {
        // What A cannot hold, it is not.
        let Ok(low) = u32::try_from(*low) else { break };
        let high = u32::try_from(*high).unwrap_or(u32::MAX);
        let next = asm.label();
        if low == high {
            asm.branch(JEQ_K, low, yes, next);
        } else {
            if low > 0 {
                // Ranges are sorted: below this one is below all that follow.
                let above = asm.label();
                asm.branch(JGE_K, low, above, no);
                asm.place(above);
            }
            if high == u32::MAX {
                asm.goto(yes);
            } else {
                asm.branch(JGT_K, high, next, yes);
            }
        }
        asm.place(next);
    }
    asm.goto(no);
}

/// To `yes` if the address lies in one of the nets, else on.
fn ask_address(asm: &mut Assembler, tuple: u16, dst: bool, nets: &[Net], yes: Label) {
    let (v4, v6) = if dst { (CTA_IP_V4_DST, CTA_IP_V6_DST) } else { (CTA_IP_V4_SRC, CTA_IP_V6_SRC) };
    if nets.iter().any(Net::is_v4) {
        let other = asm.label();
        asm.find(&[tuple, CTA_TUPLE_IP, v4], other);
        let mut loaded = false; // does A hold the whole address?
        for net in nets {
            let Net::V4 { address, mask } = *net else { continue };
            if !loaded {
                asm.op(LD_W_IND, 4);
            }
            loaded = mask == u32::MAX;
            if !loaded {
                asm.op(AND_K, mask);
            }
            asm.branch_or_next(JEQ_K, address, yes);
        }
        asm.goto(other);
        asm.place(other);
    }
    if nets.iter().any(|net| !net.is_v4()) {
        let other = asm.label();
        asm.find(&[tuple, CTA_TUPLE_IP, v6], other);
        for net in nets {
            let Net::V6 { address, mask } = *net else { continue };
            let next = asm.label();
            for (at, (value, mask)) in (4u32..).step_by(4).zip(words(address).into_iter().zip(words(mask))) {
                if mask == 0 {
                    continue;
                }
                asm.op(LD_W_IND, at);
                if mask != u32::MAX {
                    asm.op(AND_K, mask);
                }
                let equal = asm.label();
                asm.branch(JEQ_K, value, equal, next);
                asm.place(equal);
            }
            asm.goto(yes);
            asm.place(next);
        }
        asm.goto(other);
        asm.place(other);
    }
}

/// The four words of an IPv6 address, first bytes first.
fn words(address: u128) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address.to_be_bytes();
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(u32::from_be_bytes)
}

fn ask_state(asm: &mut Assembler, states: &States, yes: Label, no: Label) {
    for (nest, attr, wanted) in [
        (CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE, states.tcp),
        (CTA_PROTOINFO_SCTP, CTA_PROTOINFO_SCTP_STATE, states.sctp),
        (CTA_PROTOINFO_DCCP, CTA_PROTOINFO_DCCP_STATE, states.dccp),
    ] {
        if wanted == 0 {
            continue;
        }
        let next = asm.label();
        asm.find(&[CTA_PROTOINFO, nest, attr], next);
        asm.op(LD_B_IND, 4);
        for state in (0..16u8).filter(|state| States::has(wanted, *state)) {
            asm.branch_or_next(JEQ_K, state.into(), yes);
        }
        asm.goto(no);
        asm.place(next);
    }
    asm.goto(no);
}

/// Labels are host-order words: in bytes that means another place on each kind of machine.
fn ask_label(asm: &mut Assembler, bit: u8, yes: Label, no: Label) {
    let word = u32::from(bit >> 5).saturating_mul(4);
    let byte = u32::from((bit & 31) >> 3);
    let at = word.saturating_add(if LITTLE { byte } else { 3u32.saturating_sub(byte) });
    asm.find(&[CTA_LABELS], no);
    // nla_len, its low byte: labels are at most 16 bytes. Fewer words may have been sent.
    let there = asm.label();
    asm.op(LD_B_IND, if LITTLE { 0 } else { 1 });
    asm.branch(JGE_K, word.saturating_add(8), there, no);
    asm.place(there);
    asm.op(LD_B_IND, at.saturating_add(4));
    asm.branch(JSET_K, 1u32.wrapping_shl(u32::from(bit & 7)), yes, no);
}

/// The DONE bit, and original and reply tuples that are no mirror of each other.
fn ask_nat(asm: &mut Assembler, dst: bool, yes: Label, no: Label) {
    let done = asm.label();
    asm.find(&[CTA_STATUS], no);
    asm.op(LD_W_IND, 4);
    asm.branch(JSET_K, if dst { IPS_DST_NAT_DONE } else { IPS_SRC_NAT_DONE }, done, no);
    asm.place(done);
    let pairs: &[(u16, u16, u16, u16)] = if dst {
        &[
            (CTA_TUPLE_IP, CTA_IP_V4_DST, CTA_IP_V4_SRC, 4),
            (CTA_TUPLE_IP, CTA_IP_V6_DST, CTA_IP_V6_SRC, 16),
            (CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT, CTA_PROTO_SRC_PORT, 2),
        ]
    } else {
        &[
            (CTA_TUPLE_IP, CTA_IP_V4_SRC, CTA_IP_V4_DST, 4),
            (CTA_TUPLE_IP, CTA_IP_V6_SRC, CTA_IP_V6_DST, 16),
            (CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT, 2),
            (CTA_TUPLE_PROTO, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_ID, 2),
            (CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_ID, 2),
        ]
    };
    for (nest, orig, reply, len) in pairs {
        let next = asm.label();
        // Offsets of both attributes go to memory: X is needed for either.
        asm.find(&[CTA_TUPLE_ORIG, *nest, *orig], next);
        asm.op(TXA, 0);
        asm.op(ST, 0);
        asm.find(&[CTA_TUPLE_REPLY, *nest, *reply], next);
        asm.op(TXA, 0);
        asm.op(ST, 1);
        let (load, step) = if *len == 2 { (LD_H_IND, 2) } else { (LD_W_IND, 4) };
        for at in (0..u32::from(*len)).step_by(step) {
            let at = at.saturating_add(4);
            asm.op(LDX_MEM, 0);
            asm.op(load, at);
            asm.op(ST, 2);
            asm.op(LDX_MEM, 1);
            asm.op(load, at);
            asm.op(LDX_MEM, 2);
            let equal = asm.label();
            asm.branch(JEQ_X, 0, equal, yes);
            asm.place(equal);
        }
        asm.goto(next);
        asm.place(next);
    }
    asm.goto(no);
}
