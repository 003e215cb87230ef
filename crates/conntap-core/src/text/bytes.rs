//! Numbers and addresses as ASCII, appended to a byte vector without std's formatting machinery.
//!
//! Each writer appends a block of fixed size and takes back what is too much: the copies have constant lengths,
//! so that no call and no loop is left in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `0.` … `255.`: text with a dot behind, and its length.
const OCTETS: [([u8; 4], u8); 256] = octets();

const fn octets() -> [([u8; 4], u8); 256] {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // evaluated by the compiler
    let mut table = [([0; 4], 0); 256];
    let mut n: usize = 0;
    while n < 256 {
        let digits = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        table[n] = match n {
            0..10 => ([digits[2], b'.', 0, 0], 2),
            10..100 => ([digits[1], digits[2], b'.', 0], 3),
            _ => ([digits[0], digits[1], digits[2], b'.'], 4),
        };
        n += 1;
    }
    table
}

const HEX: [u8; 16] = *b"0123456789abcdef";

/// Append the first `len` bytes of `block`.
#[inline]
fn block<const N: usize>(out: &mut Vec<u8>, block: [u8; N], len: usize) {
    let end = out.len().saturating_add(len);
    out.extend_from_slice(&block);
    out.truncate(end);
}

/// The eight decimal digits of `n` < 10^8 as values 0…9, most significant in the lowest byte.
#[inline]
fn digits8(n: u32) -> u64 {
    // Four digits in each half, then two in each quarter, then one in each byte; the factors are 2^k / 100 and / 10.
    let halves = u64::from(n / 10_000) | u64::from(n % 10_000).wrapping_shl(32);
    let high = (halves.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = high | halves.wrapping_sub(high.wrapping_mul(100)).wrapping_shl(16);
    let high = (quarters.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
    high | quarters.wrapping_sub(high.wrapping_mul(10)).wrapping_shl(8)
}

const ASCII: u64 = 0x3030_3030_3030_3030;

/// A decimal number below 10^8, without leading zeros.
#[inline]
fn small(out: &mut Vec<u8>, n: u32) {
    let digits = digits8(n);
    let zeros = (digits.trailing_zeros() / 8).min(7); // the last digit stays, also when it is 0
    let text = (digits | ASCII).wrapping_shr(zeros.wrapping_mul(8));
    block(out, text.to_le_bytes(), 8usize.wrapping_sub(zeros as usize));
}

/// Exactly eight digits.
#[inline]
fn padded8(out: &mut Vec<u8>, n: u32) {
    out.extend_from_slice(&(digits8(n) | ASCII).to_le_bytes());
}

const E8: u64 = 100_000_000;

/// A decimal number.
#[inline]
pub fn decimal(out: &mut Vec<u8>, n: u64) {
    if n < E8 {
        return small(out, n as u32);
    }
    large(out, n);
}

#[cold]
fn large(out: &mut Vec<u8>, n: u64) {
    decimal(out, n / E8);
    padded8(out, (n % E8) as u32);
}

/// A decimal number with zeros in front, at least `width` (at most 20) wide.
pub fn padded(out: &mut Vec<u8>, n: u64, width: usize) {
    let start = out.len();
    decimal(out, n);
    let have = out.len().saturating_sub(start);
    let missing = width.min(20).saturating_sub(have);
    out.splice(start..start, std::iter::repeat_n(b'0', missing));
}

/// Two digits, for clocks; larger numbers keep their last two.
#[inline]
pub fn two(out: &mut Vec<u8>, n: u32) {
    let digits = (digits8(n % 100) | ASCII).to_le_bytes();
    let [.., tens, ones] = digits;
    out.extend_from_slice(&[tens, ones]);
}

/// A decimal number with commas between groups of three: `1,024`.
pub fn grouped(out: &mut Vec<u8>, n: u64) {
    let start = out.len();
    decimal(out, n);
    let mut at = out.len();
    while at.saturating_sub(start) > 3 {
        at = at.saturating_sub(3);
        out.insert(at, b',');
    }
}

/// A hexadecimal number, lower case, no padding, no prefix.
pub fn hex(out: &mut Vec<u8>, n: u64) {
    let digits = (64u32.saturating_sub(n.leading_zeros())).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let nibble = n.wrapping_shr(place.saturating_mul(4)) & 15;
        out.push(HEX.get(nibble as usize).copied().unwrap_or(b'0'));
    }
}

/// An address as `inet_ntop` writes it.
#[inline]
pub fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => ipv4(out, address),
        IpAddr::V6(address) => ipv6(out, address),
    }
}

/// Four decimals with dots.
#[inline]
pub fn ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    for octet in address.octets() {
        // A u8 cannot miss a table of 256: the check is optimised out.
        if let Some((text, len)) = OCTETS.get(usize::from(octet)) {
            block(out, *text, usize::from(*len));
        }
    }
    out.pop(); // the last dot
}

/// RFC 5952 form with glibc's two dotted forms: `::ffff:192.0.2.1` and `::192.0.2.1`.
pub fn ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    let words = address.segments();
    let (gap, gap_end) = longest_zeros(words);
    let mapped = gap == 0 && (gap_end == 6 || (gap_end == 5 && words.get(5) == Some(&0xffff)));
    for (at, word) in words.into_iter().enumerate() {
        if gap_end > gap && (gap..gap_end).contains(&at) {
            if at == gap {
                out.push(b':');
            }
            continue;
        }
        if at > 0 {
            out.push(b':');
        }
        if mapped && at == 6 {
            let [.., a, b, c, d] = address.octets();
            return ipv4(out, Ipv4Addr::new(a, b, c, d));
        }
        hex(out, u64::from(word));
    }
    if gap_end == 8 {
        out.push(b':');
    }
}

/// The first of the longest runs of two or more zero words, as start and end; 0, 0 if there is none.
fn longest_zeros(words: [u16; 8]) -> (usize, usize) {
    let (mut best, mut start) = ((0, 0), 0);
    for (at, word) in words.into_iter().enumerate() {
        let end = at.saturating_add(1);
        if word != 0 {
            start = end;
            continue;
        }
        let (best_start, best_end): (usize, usize) = best;
        let run = end.saturating_sub(start);
        if run >= 2 && run > best_end.saturating_sub(best_start) {
            best = (start, end);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"x".to_vec(); // something in front, so that a writer that looks back is found out
        write(&mut out);
        String::from_utf8(out).unwrap()[1..].to_owned()
    }

    #[test]
    fn addresses_are_written_as_inet_ntop_does() {
        for (bytes, want) in [
            ("::", "::"),
            ("::1", "::1"),
            ("::1:2", "::0.1.0.2"),
            ("::c000:201", "::192.0.2.1"),
            ("::ffff:c000:201", "::ffff:192.0.2.1"),
            ("2001:db8:0:1::2", "2001:db8:0:1::2"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("fe80::", "fe80::"),
            ("0:0:0:0:0:fffe:c000:201", "::fffe:c000:201"),
            ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"),
            ("0:0:1::", "0:0:1::"),
        ] {
            assert_eq!(text(|out| ipv6(out, bytes.parse().unwrap())), want);
        }
    }

    #[test]
    fn hexadecimal_and_grouped_numbers() {
        assert_eq!(text(|out| hex(out, 0)), "0");
        assert_eq!(text(|out| hex(out, 0x10)), "10");
        assert_eq!(text(|out| hex(out, u64::MAX)), "ffffffffffffffff");
        assert_eq!(text(|out| grouped(out, 999)), "999");
        assert_eq!(text(|out| grouped(out, 1_024)), "1,024");
        assert_eq!(text(|out| grouped(out, 12_345_678)), "12,345,678");
        assert_eq!(text(|out| padded(out, 42, 6)), "000042");
        assert_eq!(text(|out| two(out, 7)), "07");
    }

    proptest! {
        #[test]
        fn decimals_read_as_std_writes_them(n in any::<u64>(), shift in 0u32..64) {
            let n = n >> shift;
            prop_assert_eq!(text(|out| decimal(out, n)), n.to_string());
            prop_assert_eq!(text(|out| hex(out, n)), format!("{n:x}"));
            prop_assert_eq!(text(|out| padded(out, n, 8)), format!("{n:08}"));
        }

        #[test]
        fn addresses_read_back_as_themselves(v4 in any::<u32>(), v6 in any::<u128>(), mask in any::<u128>()) {
            let (v4, v6) = (Ipv4Addr::from(v4), Ipv6Addr::from(v6 & mask));
            prop_assert_eq!(text(|out| ipv4(out, v4)), v4.to_string());
            prop_assert_eq!(text(|out| ipv6(out, v6)).parse::<Ipv6Addr>().unwrap(), v6);
        }
    }

    #[test]
    fn every_port_reads_as_std_writes_it() {
        for n in 0..=u64::from(u16::MAX) {
            assert_eq!(text(|out| decimal(out, n)), n.to_string());
        }
    }
}
