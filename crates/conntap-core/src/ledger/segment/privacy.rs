//! What a segment does not tell: destinations, and addresses inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::engine::key::Sip;

/// A network: address and prefix length.
pub type Network = (IpAddr, u8);

/// What becomes of an address inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inside {
    #[default]
    Keep,
    /// Only so many leading bits stay, of IPv4 and of IPv6.
    Truncate(u8, u8),
    /// Another address stands for it: always the same, of the same family, never shared by two.
    Pseudonym([u64; 2]),
}

/// What is left out.
#[derive(Clone, Debug, Default)]
pub struct Privacy {
    /// What was dialled, unless the dialled address is itself translated; and who dialled such a one.
    pub no_destination: bool,
    pub inside: Inside,
    /// Besides what NAT hides, addresses of these networks are inside.
    pub networks: Vec<Network>,
}

/// Rounds of the Feistel network; four are enough in theory (Luby, Rackoff), more where halves are short.
const ROUNDS: u64 = 10;

impl Privacy {
    /// An address as it may be told. `hidden`: NAT hides it from the world.
    #[inline]
    #[must_use]
    pub fn tell(&self, address: IpAddr, hidden: bool) -> IpAddr {
        if self.inside == Inside::Keep || !(hidden || self.networks.iter().any(|network| within(address, *network))) {
            return address;
        }
        match (self.inside, address) {
            (Inside::Keep, address) => address,
            (Inside::Truncate(bits, _), IpAddr::V4(address)) => {
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask4(bits)))
            }
            (Inside::Truncate(_, bits), IpAddr::V6(address)) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask6(bits)))
            }
            (Inside::Pseudonym(key), IpAddr::V4(address)) => {
                IpAddr::V4(Ipv4Addr::from_bits(permute4(key, address.to_bits())))
            }
            (Inside::Pseudonym(key), IpAddr::V6(address)) => {
                IpAddr::V6(Ipv6Addr::from_bits(permute6(key, address.to_bits())))
            }
        }
    }
}

fn mask4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or_default()
}

fn mask6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or_default()
}

fn within(address: IpAddr, (network, bits): Network) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (address.to_bits() ^ network.to_bits()) & mask4(bits) == 0,
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits() ^ network.to_bits()) & mask6(bits) == 0,
        _ => false,
    }
}

/// A round function: SipHash-1-3 of family, round and half.
fn sip(key: [u64; 2], round: u64, half: u64) -> u64 {
    let mut sip = Sip::new(key);
    sip.word(round);
    sip.word(half);
    sip.finish()
}

#[allow(clippy::cast_possible_truncation)] // halves
fn permute4(key: [u64; 2], bits: u32) -> u32 {
    let (mut left, mut right) = ((bits >> 16) as u16, bits as u16);
    for round in 0..ROUNDS {
        (left, right) = (right, left ^ sip(key, round, right.into()) as u16);
    }
    (u32::from(left) << 16) | u32::from(right)
}

#[allow(clippy::cast_possible_truncation)] // halves
fn permute6(key: [u64; 2], bits: u128) -> u128 {
    let (mut left, mut right) = ((bits >> 64) as u64, bits as u64);
    for round in 0..ROUNDS {
        (left, right) = (right, left ^ sip(key, round | 1 << 32, right));
    }
    (u128::from(left) << 64) | u128::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn truncation_keeps_leading_bits_of_what_is_inside() {
        let privacy = Privacy {
            inside: Inside::Truncate(24, 48),
            networks: vec![(address("10.0.0.0"), 8), (address("fd00::"), 8)],
            ..Privacy::default()
        };
        assert_eq!(privacy.tell(address("10.1.2.3"), false), address("10.1.2.0"));
        assert_eq!(privacy.tell(address("fd00:1:2:3::4"), false), address("fd00:1:2::"));
        assert_eq!(privacy.tell(address("192.0.2.77"), false), address("192.0.2.77"));
        assert_eq!(privacy.tell(address("192.0.2.77"), true), address("192.0.2.0"));
    }

    #[test]
    fn no_bits_and_all_bits_are_lengths_too() {
        let tell =
            |v4| Privacy { inside: Inside::Truncate(v4, 128), ..Privacy::default() }.tell(address("1.2.3.4"), true);
        assert_eq!((tell(0), tell(32)), (address("0.0.0.0"), address("1.2.3.4")));
    }

    #[test]
    fn a_pseudonym_is_never_shared() {
        let mut seen = std::collections::HashSet::new();
        for bits in 0..200_000_u32 {
            assert!(seen.insert(permute4([1, 2], bits)));
        }
        assert_ne!(permute4([1, 2], 7), permute4([1, 3], 7));
        assert_ne!(permute6([1, 2], 7), 7);
    }
}
