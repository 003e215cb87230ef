//! Events as the kernel sends them: the same attributes in the same order.
//!
//! Source: ctnetlink_conntrack_event, ctnetlink_exp_dump_expect of net/netfilter/nf_conntrack_netlink.c.

use super::expect::Expect;
use super::flow::{Count, Flow, Proto, event};
use super::key::Key;
use super::settings::Settings;
use super::{left_seconds, nanoseconds};
use crate::batch::Batch;
use crate::model::Kind;
use crate::wire::Writer;
use crate::wire::constants::*;

/// What an event is written with.
pub struct Teller<'a> {
    pub settings: &'a Settings,
    pub now_ns: i64,
    /// Names of helpers by number.
    pub helpers: &'a dyn Fn(u16) -> &'a str,
}

impl Teller<'_> {
    fn helper(&self, flow: &Flow, writer: &mut Writer) {
        if let Some(helper) = flow.helper() {
            writer.nest(CTA_HELP, |writer| writer.text(CTA_HELP_NAME, (self.helpers)(helper).as_bytes()));
        }
    }

    fn event_time(&self, writer: &mut Writer) {
        if self.settings.timestamp {
            writer.be64(CTA_TIMESTAMP_EVENT, nanoseconds(self.now_ns));
        }
    }

    fn counters(&self, flow: &Flow, writer: &mut Writer) {
        if self.settings.acct {
            for (kind, count) in [CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY].into_iter().zip(flow.counts) {
                write_count(writer, kind, count);
            }
        }
    }

    /// NEW or UPDATE, as the flow's pending bits say; `master` only where it was announced.
    pub fn changed(&self, out: &mut Batch, flow: &Flow) {
        let created = flow.pending & (event::NEW | event::RELATED) != 0;
        let (kind, flags) = if created { (Kind::New, NLM_F_CREATE | NLM_F_EXCL) } else { (Kind::Update, 0) };
        out.push_with(kind, CT_NEW, flags, flow.orig.family, self.now_ns, |writer| {
            write_tuples(writer, flow);
            writer.be32(CTA_ID, flow.id);
            writer.be32(CTA_STATUS, flow.status);
            writer.be32(CTA_TIMEOUT, left_seconds(flow.expires_ns, self.now_ns));
            if flow.pending & event::PROTOINFO != 0 {
                write_protoinfo(writer, &flow.proto, true);
            }
            self.helper(flow, writer);
            if flow.pending & event::RELATED != 0
                && let Some((master, _)) = flow.extra.as_ref().and_then(|extra| extra.master)
            {
                master.write(writer, CTA_TUPLE_MASTER, None);
            }
            if flow.mark != 0 || flow.pending & event::MARK != 0 {
                writer.be32(CTA_MARK, flow.mark);
            }
            self.event_time(writer);
        });
    }

    /// DESTROY; `time_ns` is when it ended.
    pub fn ended(&self, out: &mut Batch, flow: &Flow) {
        out.push_with(Kind::Destroy, CT_DELETE, 0, flow.orig.family, self.now_ns, |writer| {
            write_tuples(writer, flow);
            writer.be32(CTA_ID, flow.id);
            writer.be32(CTA_STATUS, flow.status | IPS_DYING);
            let left = left_seconds(flow.expires_ns, self.now_ns);
            if left > 0 {
                writer.be32(CTA_TIMEOUT, left);
            }
            self.counters(flow, writer);
            if self.settings.timestamp {
                writer.nest(CTA_TIMESTAMP, |writer| {
                    writer.be64(CTA_TIMESTAMP_START, nanoseconds(flow.start_ns));
                    writer.be64(CTA_TIMESTAMP_STOP, nanoseconds(self.now_ns));
                });
            }
            write_protoinfo(writer, &flow.proto, false);
            if flow.mark != 0 {
                writer.be32(CTA_MARK, flow.mark);
            }
            self.event_time(writer);
        });
    }

    /// An entry of the table, as a dump tells it. Source: ctnetlink_fill_info.
    pub fn entry(&self, out: &mut Batch, flow: &Flow) {
        out.push_with(Kind::Entry, CT_NEW, NLM_F_MULTI, flow.orig.family, self.now_ns, |writer| {
            write_tuples(writer, flow);
            writer.be32(CTA_STATUS, flow.status);
            writer.be32(CTA_MARK, flow.mark);
            writer.be32(CTA_ID, flow.id);
            writer.be32(CTA_USE, 1);
            if let Some((master, _)) = flow.extra.as_ref().and_then(|extra| extra.master) {
                master.write(writer, CTA_TUPLE_MASTER, None);
            }
            writer.be32(CTA_TIMEOUT, left_seconds(flow.expires_ns, self.now_ns));
            write_protoinfo(writer, &flow.proto, true);
            self.counters(flow, writer);
            if self.settings.timestamp {
                writer.nest(CTA_TIMESTAMP, |writer| {
                    writer.be64(CTA_TIMESTAMP_START, nanoseconds(flow.start_ns));
                });
            }
            self.helper(flow, writer);
            if flow.has(IPS_SEQ_ADJUST)
                && let Some(adjust) = flow.extra.as_ref().and_then(|extra| extra.seq_adj)
            {
                for (kind, way) in [CTA_SEQ_ADJ_ORIG, CTA_SEQ_ADJ_REPLY].into_iter().zip(adjust) {
                    writer.nest(kind, |writer| {
                        writer.be32(CTA_SEQADJ_CORRECTION_POS, way.correction_pos);
                        writer.be32(CTA_SEQADJ_OFFSET_BEFORE, way.offset_before.cast_unsigned());
                        writer.be32(CTA_SEQADJ_OFFSET_AFTER, way.offset_after.cast_unsigned());
                    });
                }
            }
        });
    }

    /// EXP_NEW, EXP_DESTROY or an entry of the expectation table.
    pub fn expectation(&self, out: &mut Batch, kind: Kind, expect: &Expect) {
        let (message, flags) = match kind {
            Kind::ExpNew => (EXP_NEW, NLM_F_CREATE | NLM_F_EXCL),
            Kind::ExpEntry => (EXP_NEW, NLM_F_MULTI),
            _ => (EXP_DELETE, 0),
        };
        let wanted = &expect.wanted;
        out.push_with(kind, message, flags, wanted.key.family, self.now_ns, |writer| {
            wanted.key.write(writer, CTA_EXPECT_TUPLE, None);
            mask_of(expect).write(writer, CTA_EXPECT_MASK, None);
            expect.master.0.write(writer, CTA_EXPECT_MASTER, None);
            if let Some(nat) = &wanted.nat
                && (nat.saved_port != 0 || nat.saved_addr.is_some())
            {
                writer.nest(CTA_EXPECT_NAT, |writer| {
                    writer.be32(CTA_EXPECT_NAT_DIR, u32::from(nat.direction as u8));
                    let saved = Key {
                        src: nat.saved_addr.unwrap_or_default(),
                        dst: [0; 16],
                        sport: nat.saved_port,
                        dport: 0,
                        l4proto: expect.master.0.l4proto, // not the child's: so the kernel has it
                        ..wanted.key
                    };
                    saved.write(writer, CTA_EXPECT_NAT_TUPLE, None);
                });
            }
            writer.be32(CTA_EXPECT_TIMEOUT, left_seconds(expect.expires_ns, self.now_ns));
            writer.be32(CTA_EXPECT_ID, expect.id);
            writer.be32(CTA_EXPECT_FLAGS, wanted.flags);
            writer.be32(CTA_EXPECT_CLASS, u32::from(wanted.class));
            if let Some(helper) = expect.master_helper {
                writer.text(CTA_EXPECT_HELP_NAME, (self.helpers)(helper).as_bytes());
            }
            if let Some(name) = wanted.nat.and_then(|nat| nat.function.name()) {
                writer.text(CTA_EXPECT_FN, name.as_bytes());
            }
        });
    }
}

/// The mask as netlink tells it: everything but the source is exact. Source: ctnetlink_exp_dump_mask.
fn mask_of(expect: &Expect) -> Key {
    let wanted = &expect.wanted;
    let (dport, sport) = (u16::MAX, wanted.sport_mask);
    Key { src: wanted.src_mask, dst: [0xff; 16], sport, dport, ..wanted.key }
}

fn write_tuples(writer: &mut Writer, flow: &Flow) {
    let (orig, reply) = (flow.orig, flow.reply());
    let (orig_zone, reply_zone) = match flow.zone_dir {
        1 => (Some(orig.zone), None),
        2 => (None, Some(reply.zone)),
        _ => (None, None),
    };
    orig.write(writer, CTA_TUPLE_ORIG, orig_zone);
    reply.write(writer, CTA_TUPLE_REPLY, reply_zone);
    if flow.zone_dir == 0 && orig.zone != 0 {
        writer.be16(CTA_ZONE, orig.zone);
    }
}

fn write_count(writer: &mut Writer, kind: u16, count: Count) {
    writer.nest(kind, |writer| {
        writer.be64(CTA_COUNTERS_PACKETS, count.packets);
        writer.be64(CTA_COUNTERS_BYTES, count.bytes);
    });
}

/// The tracker's state; a DESTROY tells no more than the state's number.
fn write_protoinfo(writer: &mut Writer, proto: &Proto, whole: bool) {
    match proto {
        Proto::Tcp(tcp) => writer.nest(CTA_PROTOINFO, |writer| {
            writer.nest(CTA_PROTOINFO_TCP, |writer| {
                writer.u8(CTA_PROTOINFO_TCP_STATE, tcp.state);
                if whole {
                    let [original, reply] = &tcp.sides;
                    writer.u8(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, original.scale);
                    writer.u8(CTA_PROTOINFO_TCP_WSCALE_REPLY, reply.scale);
                    writer.attr(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, &[original.flags, 0]);
                    writer.attr(CTA_PROTOINFO_TCP_FLAGS_REPLY, &[reply.flags, 0]);
                }
            });
        }),
        Proto::Sctp(sctp) => writer.nest(CTA_PROTOINFO, |writer| {
            writer.nest(CTA_PROTOINFO_SCTP, |writer| {
                writer.u8(CTA_PROTOINFO_SCTP_STATE, sctp.state);
                if whole {
                    let [original, reply] = sctp.tags;
                    writer.be32(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, original);
                    writer.be32(CTA_PROTOINFO_SCTP_VTAG_REPLY, reply);
                }
            });
        }),
        Proto::Udp(_) | Proto::None => {}
    }
}
