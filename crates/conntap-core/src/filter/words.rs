//! The words of the language, and which one a misspelt word was meant to be.

use super::ast::{EXPECTATION_KINDS, Ends, FLOW_KINDS, Field};
use crate::model::names;
use crate::wire::constants::*;

/// What a keyword does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    And,
    Or,
    Not,
    Kinds(u16),
    Family(u8),
    Proto(u8),
    /// `src`, `dst`, `reply_src` …: an address, or a port if `port` follows.
    End(Ends),
    /// `orig`, `reply`: what follows is of this direction.
    Direction {
        reply: bool,
    },
    Host,
    Port(Ends),
    /// `/MASK` spelt out: `src A mask M`.
    Mask,
    Number(Field),
    /// Status bits: mask and value.
    Status(u32, u32),
    State {
        tcp: bool,
        sctp: bool,
        dccp: bool,
    },
    Label,
    Helper,
    Master,
    Snat,
    Dnat,
    Nat,
    To,
    From,
}

const ANY_STATE: Word = Word::State { tcp: true, sctp: true, dccp: true };

const fn set(bit: u32) -> Word {
    Word::Status(bit, bit)
}

/// Every keyword, lower case. `-` may be written for `_`.
pub(crate) const WORDS: &[(&str, Word)] = &[
    ("and", Word::And),
    ("or", Word::Or),
    ("not", Word::Not),
    ("new", Word::Kinds(1 << 1)),
    ("update", Word::Kinds(1 << 2)),
    ("updates", Word::Kinds(1 << 2)),
    ("destroy", Word::Kinds(1 << 3)),
    ("exp_new", Word::Kinds(1 << 5)),
    ("exp_update", Word::Kinds(1 << 6)),
    ("exp_destroy", Word::Kinds(1 << 7)),
    ("flow", Word::Kinds(FLOW_KINDS)),
    ("expectation", Word::Kinds(EXPECTATION_KINDS)),
    ("expect", Word::Kinds(EXPECTATION_KINDS)),
    ("ip", Word::Family(AF_INET)),
    ("ip4", Word::Family(AF_INET)),
    ("ipv4", Word::Family(AF_INET)),
    ("ip6", Word::Family(AF_INET6)),
    ("ipv6", Word::Family(AF_INET6)),
    ("tcp", Word::Proto(IPPROTO_TCP)),
    ("udp", Word::Proto(IPPROTO_UDP)),
    ("udplite", Word::Proto(IPPROTO_UDPLITE)),
    ("sctp", Word::Proto(IPPROTO_SCTP)),
    ("dccp", Word::Proto(IPPROTO_DCCP)),
    ("gre", Word::Proto(IPPROTO_GRE)),
    ("icmp", Word::Proto(IPPROTO_ICMP)),
    ("icmp6", Word::Proto(IPPROTO_ICMPV6)),
    ("icmpv6", Word::Proto(IPPROTO_ICMPV6)),
    ("proto", Word::Number(Field::L4proto)),
    ("l4proto", Word::Number(Field::L4proto)),
    ("src", Word::End(Ends::SRC)),
    ("dst", Word::End(Ends::DST)),
    ("orig_src", Word::End(Ends::SRC)),
    ("orig_dst", Word::End(Ends::DST)),
    ("reply_src", Word::End(Ends::REPLY_SRC)),
    ("reply_dst", Word::End(Ends::REPLY_DST)),
    ("orig", Word::Direction { reply: false }),
    ("reply", Word::Direction { reply: true }),
    ("host", Word::Host),
    ("net", Word::Host),
    ("mask", Word::Mask),
    ("port", Word::Port(Ends::ALL)),
    ("sport", Word::Port(Ends::SRC)),
    ("dport", Word::Port(Ends::DST)),
    ("srckey", Word::Port(Ends::SRC)),
    ("dstkey", Word::Port(Ends::DST)),
    ("orig_sport", Word::Port(Ends::SRC)),
    ("orig_dport", Word::Port(Ends::DST)),
    ("reply_sport", Word::Port(Ends::REPLY_SRC)),
    ("reply_dport", Word::Port(Ends::REPLY_DST)),
    ("icmptype", Word::Number(Field::IcmpType)),
    ("icmpcode", Word::Number(Field::IcmpCode)),
    ("icmpid", Word::Number(Field::IcmpId)),
    ("icmp_type", Word::Number(Field::IcmpType)),
    ("icmp_code", Word::Number(Field::IcmpCode)),
    ("icmp_id", Word::Number(Field::IcmpId)),
    ("type", Word::Number(Field::IcmpType)),
    ("code", Word::Number(Field::IcmpCode)),
    ("state", ANY_STATE),
    ("tcp_state", Word::State { tcp: true, sctp: false, dccp: false }),
    ("sctp_state", Word::State { tcp: false, sctp: true, dccp: false }),
    ("dccp_state", Word::State { tcp: false, sctp: false, dccp: true }),
    ("status", Word::Number(Field::Status)),
    ("assured", set(IPS_ASSURED)),
    ("replied", set(IPS_SEEN_REPLY)),
    ("seen_reply", set(IPS_SEEN_REPLY)),
    ("unreplied", Word::Status(IPS_SEEN_REPLY, 0)),
    ("related", set(IPS_EXPECTED)),
    ("expected", set(IPS_EXPECTED)),
    ("confirmed", set(IPS_CONFIRMED)),
    ("src_nat", set(IPS_SRC_NAT)),
    ("dst_nat", set(IPS_DST_NAT)),
    ("src_nat_done", set(IPS_SRC_NAT_DONE)),
    ("dst_nat_done", set(IPS_DST_NAT_DONE)),
    ("seq_adjust", set(IPS_SEQ_ADJUST)),
    ("seq_adj", set(IPS_SEQ_ADJUST)),
    ("dying", set(IPS_DYING)),
    ("fixed_timeout", set(IPS_FIXED_TIMEOUT)),
    ("template", set(IPS_TEMPLATE)),
    ("nat_clash", set(IPS_NAT_CLASH)),
    ("offload", set(IPS_OFFLOAD)),
    ("hw_offload", set(IPS_HW_OFFLOAD)),
    ("snat", Word::Snat),
    ("dnat", Word::Dnat),
    ("nat", Word::Nat),
    ("to", Word::To),
    ("helper", Word::Helper),
    ("master", Word::Master),
    ("label", Word::Label),
    ("mark", Word::Number(Field::Mark)),
    ("secmark", Word::Number(Field::Secmark)),
    ("zone", Word::Number(Field::Zone)),
    ("orig_zone", Word::Number(Field::OrigZone)),
    ("reply_zone", Word::Number(Field::ReplyZone)),
    ("id", Word::Number(Field::Id)),
    ("use", Word::Number(Field::Use)),
    ("portid", Word::Number(Field::Portid)),
    ("from", Word::From),
    ("timeout", Word::Number(Field::Timeout)),
    ("packets", Word::Number(Field::Packets)),
    ("bytes", Word::Number(Field::Bytes)),
    ("orig_packets", Word::Number(Field::OrigPackets)),
    ("orig_bytes", Word::Number(Field::OrigBytes)),
    ("reply_packets", Word::Number(Field::ReplyPackets)),
    ("reply_bytes", Word::Number(Field::ReplyBytes)),
    ("orig_vtag", Word::Number(Field::OrigVtag)),
    ("reply_vtag", Word::Number(Field::ReplyVtag)),
    ("start_ns", Word::Number(Field::StartNs)),
    ("stop_ns", Word::Number(Field::StopNs)),
    ("event_ns", Word::Number(Field::EventNs)),
    ("class", Word::Number(Field::Class)),
    ("flags", Word::Number(Field::Flags)),
];

/// Protocols without a tracker that people name all the same (IANA protocol numbers).
const MORE_PROTOCOLS: [(&str, u8); 12] = [
    ("igmp", 2),
    ("ipip", 4),
    ("ipv6-encap", 41),
    ("esp", 50),
    ("ah", 51),
    ("eigrp", 88),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("fc", 133),
];

/// The keyword that `text` is.
pub(crate) fn lookup(text: &str) -> Option<Word> {
    let text = normal(text);
    WORDS.iter().find(|(name, _)| *name == text).map(|(_, word)| *word)
}

/// A protocol's number by name.
pub(crate) fn protocol(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    if name == "icmp6" || name == "ipv6-icmp" {
        return Some(IPPROTO_ICMPV6);
    }
    names::l4proto_number(&name)
        .or_else(|| MORE_PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number))
}

/// Lower case, `_` for `-`.
pub(crate) fn normal(text: &str) -> String {
    text.to_ascii_lowercase().replace('-', "_")
}

/// The known word that `text` most likely was meant to be.
pub(crate) fn nearest<'w>(text: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let text: Vec<char> = normal(text).chars().take(32).collect();
    // One slip in short words, two in longer ones; more would be guessing.
    let limit = if text.len() <= 3 { 1 } else { 2 };
    known
        .map(|word| (distance(&text, &normal(word).chars().collect::<Vec<_>>()), word))
        .filter(|(distance, word)| *distance <= limit && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edit distance with swaps of neighbours as one edit (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len().saturating_add(1);
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..width).collect());
    for (i, ca) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(width);
        row.push(i.saturating_add(1));
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX);
            let change = at(&last, j).saturating_add(usize::from(ca != cb));
            let drop = at(&last, j.saturating_add(1)).saturating_add(1);
            let add = at(&row, j).saturating_add(1);
            let mut best = change.min(drop).min(add);
            let swapped = i.checked_sub(1).and_then(|i| a.get(i)) == Some(cb)
                && j.checked_sub(1).and_then(|j| b.get(j)) == Some(ca);
            if let (true, Some(j)) = (swapped, j.checked_sub(1)) {
                best = best.min(at(&before, j).saturating_add(1));
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_by_itself_and_none_stands_twice() {
        for (at, (name, word)) in WORDS.iter().enumerate() {
            assert_eq!(lookup(name), Some(*word));
            assert_eq!(WORDS.iter().position(|(other, _)| other == name), Some(at), "{name}");
        }
    }

    #[test]
    fn every_word_is_documented() {
        let text = include_str!("../../../../docs/filter.md");
        let documented: Vec<_> = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
        for (name, _) in WORDS {
            assert!(documented.contains(name), "{name} is missing in docs/filter.md");
        }
    }

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let near = |text| nearest(text, WORDS.iter().map(|(name, _)| *name));
        assert_eq!(near("dprot"), Some("dport"));
        assert_eq!(near("destory"), Some("destroy"));
        assert_eq!(near("hw-ofload"), Some("hw_offload"));
        assert_eq!(near("rumpelstiltskin"), None);
    }
}
