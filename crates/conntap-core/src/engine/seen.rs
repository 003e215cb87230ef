//! NAT as a gateway was seen to do it: the engine is told, and decides nothing ([`crate::pairing`]).

use hashbrown::HashTable;

use super::expect::Wanted;
use super::flow::Flow;
use super::key::Key;
use super::{Engine, seconds};
use crate::wire::constants::*;

/// As long as an expectation lives whose policy is not looked up here: the kernel's longest but SIP's.
const EXPECTED_SECONDS: u32 = 300;

/// What a gateway was seen to do.
#[derive(Debug, Default)]
pub struct Seen {
    /// By original tuple: since when its packets left as what.
    left: Times,
    /// By the destination that was reached: since when, through which tuple.
    reached: Times,
    /// Something was translated: this is no plain router, whose flows would not have the marks of NAT.
    translates: bool,
}

impl Seen {
    #[inline]
    pub fn translates(&self) -> bool {
        self.translates
    }
}

/// What a tuple stands for, from which time on; oldest first.
type Times = HashTable<(Key, Vec<(i64, Key)>)>;

fn enter(table: &mut Times, key: Key, since_ns: i64, value: Key, hash: impl Fn(&Key) -> u64) {
    if let Some((_, times)) = table.find_mut(hash(&key), |(known, _)| *known == key) {
        let at = times.partition_point(|(time, _)| *time <= since_ns);
        if times.get(at.wrapping_sub(1)).is_none_or(|(_, before)| *before != value) {
            times.insert(at, (since_ns, value));
        }
    } else {
        table.insert_unique(hash(&key), (key, vec![(since_ns, value)]), |(known, _)| hash(known));
    }
}

fn find<'t>(table: &'t Times, key: &Key, hash: u64) -> &'t [(i64, Key)] {
    table.find(hash, |(known, _)| known == key).map_or(&[], |(_, times)| times)
}

/// A destination, whoever asks for it.
fn destination(of: &Key, dst: [u8; 16], dport: u16) -> Key {
    Key { src: [0; 16], sport: 0, dst, dport, zone: 0, ..*of }
}

impl Engine {
    /// A gateway was seen to send packets of the tuple `original` on as `left`, from `since_ns` on. From now on new flows
    /// are translated as they were seen to be; those that were not seen are not translated, unless a rule says so. Where
    /// nothing was seen to be translated, the gateway is taken for a plain router.
    pub fn learn(&mut self, original: &Key, left: &Key, since_ns: i64) {
        let table = &self.table;
        let seen = self.nat.seen.get_or_insert_default();
        seen.translates |= original != left;
        enter(&mut seen.left, *original, since_ns, *left, |key| table.hash(key));
        if (original.dst, original.dport) != (left.dst, left.dport) {
            let reached = destination(left, left.dst, left.dport);
            enter(&mut seen.reached, reached, since_ns, *original, |key| table.hash(key));
        }
    }

    /// What a new flow's first packet left as; before the first time that is known, as it did then.
    pub(super) fn left_as(&self, flow: &Flow) -> Option<Key> {
        let original = Key { zone: 0, ..flow.orig };
        let times = find(&self.nat.seen.as_ref()?.left, &original, self.table.hash(&original));
        let before = times.partition_point(|(time, _)| *time <= self.now_ns);
        let (_, left) = times.get(before.saturating_sub(1))?;
        Some(Key { zone: flow.orig.zone, ..*left })
    }

    /// Translate a new flow as it was seen, whatever an expectation said of it.
    pub(super) fn translate_as(&mut self, flow: &mut Flow, left: &Key) {
        let Some(reply) = left.inverse() else { return };
        let orig = flow.orig;
        flow.status &= !(IPS_SRC_NAT | IPS_DST_NAT);
        if orig != *left || flow.extra.is_some() {
            flow.extra().reply = (orig != *left).then_some(reply);
        }
        if (orig.src, orig.sport) != (left.src, left.sport) {
            flow.status |= IPS_SRC_NAT;
        }
        if (orig.dst, orig.dport) != (left.dst, left.dport) {
            flow.status |= IPS_DST_NAT;
        }
        flow.status |= IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
    }

    /// The port that the gateway's helper announced for what is expected: the connection that came by it tells. The
    /// kernel takes the same port where it can and draws another where it cannot (`nf_nat_exp_find_port`).
    pub(super) fn announced(&self, wanted: &Wanted) -> Option<u16> {
        let (seen, nat) = (self.nat.seen.as_ref()?, wanted.nat?);
        let master = self.call_flow()?.tuple(nat.direction.other());
        let reached = destination(&wanted.key, nat.saved_addr.unwrap_or(master.src), nat.saved_port);
        let times = find(&seen.reached, &reached, self.table.hash(&reached));
        let from = times.partition_point(|(time, _)| *time < self.now_ns);
        let until_ns = self.now_ns.saturating_add(seconds(wanted.timeout.unwrap_or(EXPECTED_SECONDS)));
        let mut children = times.get(from..)?.iter().take_while(|(time, _)| *time <= until_ns);
        children.find(|(_, child)| child.dst == wanted.key.dst).map(|(_, child)| child.dport)
    }
}
