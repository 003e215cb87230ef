//! A filter as a tree of tests.

use std::net::IpAddr;

use crate::model::Kind;

/// A filter: tests joined by and, or, not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Const(bool),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Test(Test),
}

/// One question to a row. A row that lacks the field asked for answers no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// One of these kinds, as bits of [`kind_bit`].
    Kinds(u16),
    /// nfgen_family.
    Family(u8),
    /// `field & mask` lies in one of the ranges.
    Number { field: Field, mask: u64, ranges: Ranges },
    /// A port (or GRE key) of one of these ends lies in one of the ranges.
    Port { ends: Ends, ranges: Ranges },
    /// An address of one of these ends lies in one of the nets.
    Address { ends: Ends, nets: Box<[Net]> },
    /// Protocol state: bit masks over state numbers by protocol.
    State(States),
    /// This connection label is set.
    Label(u8),
    /// A helper is attached; with this name, if one is given.
    Helper(Option<Box<str>>),
    /// The row names its master.
    Master,
    /// Source NAT (`false`) or destination NAT (`true`) was done and changed something.
    Nat { dst: bool },
}

/// The bit of a kind in [`Test::Kinds`]. A ledger's record counts as what made it.
pub(crate) fn kind_bit(kind: Kind) -> u16 {
    match kind {
        Kind::Entry | Kind::Open => 1 << 0,
        Kind::New | Kind::Binding => 1 << 1,
        Kind::Update | Kind::Interim => 1 << 2,
        Kind::Destroy | Kind::Flow => 1 << 3,
        Kind::ExpEntry => 1 << 4,
        Kind::ExpNew => 1 << 5,
        Kind::ExpUpdate => 1 << 6,
        Kind::ExpDestroy => 1 << 7,
        Kind::Gap => 1 << 8,
    }
}

/// Kinds that only events have.
pub(crate) const EVENT_KINDS: u16 = 0b1110_1110;
pub(crate) const FLOW_KINDS: u16 = 0b0000_1111;
pub(crate) const EXPECTATION_KINDS: u16 = 0b1111_0000;

/// Ends of a flow: which tuples' sources and destinations a test looks at, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends(pub u8);

impl Ends {
    pub const SRC: Self = Self(1);
    pub const DST: Self = Self(2);
    pub const REPLY_SRC: Self = Self(4);
    pub const REPLY_DST: Self = Self(8);
    pub const ORIG: Self = Self(3);
    pub const REPLY: Self = Self(12);
    pub const ALL: Self = Self(15);
    pub const EACH: [Self; 4] = [Self::SRC, Self::DST, Self::REPLY_SRC, Self::REPLY_DST];

    pub fn has(self, end: Self) -> bool {
        self.0 & end.0 != 0
    }

    /// The single ends in this set.
    pub fn each(self) -> impl Iterator<Item = Self> {
        Self::EACH.into_iter().filter(move |end| self.has(*end))
    }

    pub fn is_single(self) -> bool {
        self.0.is_power_of_two()
    }

    pub fn is_reply(self) -> bool {
        self.0 & Self::ORIG.0 == 0
    }

    pub fn is_dst(self) -> bool {
        self.0 & (Self::SRC.0 | Self::REPLY_SRC.0) == 0
    }
}

/// Numbers of a row that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    L4proto,
    Status,
    Timeout,
    Mark,
    Secmark,
    Zone,
    OrigZone,
    ReplyZone,
    Id,
    Use,
    Portid,
    OrigPackets,
    OrigBytes,
    ReplyPackets,
    ReplyBytes,
    /// Both directions.
    Packets,
    Bytes,
    IcmpType,
    IcmpCode,
    IcmpId,
    OrigVtag,
    ReplyVtag,
    StartNs,
    StopNs,
    EventNs,
    /// Expectations only.
    Class,
    Flags,
}

impl Field {
    pub fn name(self) -> &'static str {
        match self {
            Self::L4proto => "proto",
            Self::Status => "status",
            Self::Timeout => "timeout",
            Self::Mark => "mark",
            Self::Secmark => "secmark",
            Self::Zone => "zone",
            Self::OrigZone => "orig zone",
            Self::ReplyZone => "reply zone",
            Self::Id => "id",
            Self::Use => "use",
            Self::Portid => "portid",
            Self::OrigPackets => "orig_packets",
            Self::OrigBytes => "orig_bytes",
            Self::ReplyPackets => "reply_packets",
            Self::ReplyBytes => "reply_bytes",
            Self::Packets => "packets",
            Self::Bytes => "bytes",
            Self::IcmpType => "icmptype",
            Self::IcmpCode => "icmpcode",
            Self::IcmpId => "icmpid",
            Self::OrigVtag => "orig_vtag",
            Self::ReplyVtag => "reply_vtag",
            Self::StartNs => "start_ns",
            Self::StopNs => "stop_ns",
            Self::EventNs => "event_ns",
            Self::Class => "class",
            Self::Flags => "flags",
        }
    }

    /// The largest value that the field can hold.
    pub fn max(self) -> u64 {
        match self {
            Self::L4proto | Self::IcmpType | Self::IcmpCode => u8::MAX.into(),
            Self::Zone | Self::OrigZone | Self::ReplyZone | Self::IcmpId => u16::MAX.into(),
            Self::OrigPackets
            | Self::OrigBytes
            | Self::ReplyPackets
            | Self::ReplyBytes
            | Self::Packets
            | Self::Bytes
            | Self::StartNs
            | Self::StopNs
            | Self::EventNs => u64::MAX,
            _ => u32::MAX.into(),
        }
    }

    /// What a flow that lacks the field counts as: the kernel leaves out zero marks and zones.
    pub fn when_absent(self) -> Option<u64> {
        matches!(self, Self::Mark | Self::Zone | Self::OrigZone | Self::ReplyZone).then_some(0)
    }

    /// Fields for which `N/MASK` is offered.
    pub fn takes_mask(self) -> bool {
        matches!(self, Self::Mark | Self::Status | Self::Secmark | Self::Flags)
    }
}

/// A set of numbers as inclusive ranges: sorted, disjoint, not adjacent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranges(Box<[(u64, u64)]>);

impl Ranges {
    pub fn new(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.retain(|(low, high)| low <= high);
        ranges.sort_unstable();
        let mut out: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match out.last_mut() {
                Some(last) if last.1.checked_add(1).is_none_or(|next| low <= next) => last.1 = last.1.max(high),
                _ => out.push((low, high)),
            }
        }
        Self(out.into())
    }

    pub fn one(value: u64) -> Self {
        Self([(value, value)].into())
    }

    /// Every number that is not in this set.
    pub fn complement(&self) -> Self {
        let mut out = Vec::with_capacity(self.0.len().saturating_add(1));
        let mut from = Some(0u64);
        for (low, high) in &self.0 {
            if let (Some(from), Some(to)) = (from, low.checked_sub(1)) {
                out.push((from, to));
            }
            from = high.checked_add(1);
        }
        if let Some(from) = from {
            out.push((from, u64::MAX));
        }
        Self::new(out)
    }

    #[inline]
    pub fn contains(&self, value: u64) -> bool {
        self.0.iter().any(|(low, high)| *low <= value && value <= *high)
    }

    pub fn as_slice(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// The one number in this set, if it is one.
    pub fn single(&self) -> Option<u64> {
        match &*self.0 {
            [(low, high)] if low == high => Some(*low),
            _ => None,
        }
    }
}

/// Addresses that agree with one address in the bits of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    V4 { address: u32, mask: u32 },
    V6 { address: u128, mask: u128 },
}

impl Net {
    /// None where mask and address are of different families.
    pub fn new(address: IpAddr, mask: IpAddr) -> Option<Self> {
        match (address, mask) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => {
                let (address, mask) = (u32::from(address), u32::from(mask));
                Some(Self::V4 { address: address & mask, mask })
            }
            (IpAddr::V6(address), IpAddr::V6(mask)) => {
                let (address, mask) = (u128::from(address), u128::from(mask));
                Some(Self::V6 { address: address & mask, mask })
            }
            _ => None,
        }
    }

    /// None where the address has fewer than `length` bits.
    pub fn prefix(address: IpAddr, length: u32) -> Option<Self> {
        let mask = match address {
            IpAddr::V4(_) => IpAddr::from(u32::MAX.checked_shl(32u32.checked_sub(length)?).unwrap_or(0).to_be_bytes()),
            IpAddr::V6(_) => {
                IpAddr::from(u128::MAX.checked_shl(128u32.checked_sub(length)?).unwrap_or(0).to_be_bytes())
            }
        };
        Self::new(address, mask)
    }

    #[inline]
    pub fn contains(&self, found: IpAddr) -> bool {
        match (self, found) {
            (Self::V4 { address, mask }, IpAddr::V4(found)) => u32::from(found) & mask == *address,
            (Self::V6 { address, mask }, IpAddr::V6(found)) => u128::from(found) & mask == *address,
            _ => false,
        }
    }

    /// The address, if the mask leaves only one.
    pub fn single(&self) -> Option<IpAddr> {
        match self {
            Self::V4 { address, mask: u32::MAX } => Some(IpAddr::from(address.to_be_bytes())),
            Self::V6 { address, mask: u128::MAX } => Some(IpAddr::from(address.to_be_bytes())),
            _ => None,
        }
    }

    pub fn is_v4(&self) -> bool {
        matches!(self, Self::V4 { .. })
    }
}

/// Wanted state numbers of each protocol, and how they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct States {
    pub tcp: u16,
    pub sctp: u16,
    pub dccp: u16,
    /// `state established,3`: the canonical text.
    pub text: Box<str>,
}

impl States {
    /// Is bit `state` set in `mask`?
    #[inline]
    pub fn has(mask: u16, state: u8) -> bool {
        mask.checked_shr(state.into()).is_some_and(|rest| rest & 1 == 1)
    }
}

impl Node {
    /// All of these, flattened.
    pub fn and(parts: Vec<Self>) -> Self {
        Self::join(parts, true)
    }

    /// Any of these, flattened.
    pub fn or(parts: Vec<Self>) -> Self {
        Self::join(parts, false)
    }

    /// `neutral` is what changes nothing: true for and, false for or.
    fn join(parts: Vec<Self>, neutral: bool) -> Self {
        let mut out = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Const(value) if value == neutral => {}
                Self::Const(value) => return Self::Const(value),
                Self::And(inner) if neutral => out.extend(inner),
                Self::Or(inner) if !neutral => out.extend(inner),
                other => out.push(other),
            }
        }
        match out.pop() {
            None => Self::Const(neutral),
            Some(only) if out.is_empty() => only,
            Some(last) => {
                out.push(last);
                if neutral { Self::And(out) } else { Self::Or(out) }
            }
        }
    }

    /// The opposite. (A method `not` would need the operator's trait.)
    pub fn negate(self) -> Self {
        match self {
            Self::Const(value) => Self::Const(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub fn number(field: Field, ranges: Ranges) -> Self {
        Self::Test(Test::Number { field, mask: u64::MAX, ranges })
    }

    /// These bits of `field` have these values.
    pub fn bits(field: Field, mask: u64, value: u64) -> Self {
        Self::Test(Test::Number { field, mask, ranges: Ranges::one(value) })
    }
}
