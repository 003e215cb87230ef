//! Durations, sizes, ICMP types and cleaned texts, in few characters.

use crate::text::bytes::decimal;
use crate::wire::constants::IPPROTO_ICMPV6;

const SECOND: u64 = 1_000_000_000;

/// A duration of two or three digits and its unit: `0.05 s`, `6.1 s`, `299 s`, `45 min`, `2 h`, `12 d`.
pub fn duration(out: &mut Vec<u8>, ns: u64) {
    let (n, unit): (u64, &[u8]) = match ns / SECOND {
        0 => return fraction(out, ns / 10_000_000, 2),
        1..10 => return fraction(out, ns / 100_000_000, 1),
        seconds @ 10..600 => (seconds, b" s"),
        seconds @ 600..7_200 => (seconds / 60, b" min"),
        seconds @ 7_200..864_000 => (seconds / 3_600, b" h"),
        seconds => (seconds / 86_400, b" d"),
    };
    decimal(out, n);
    out.extend_from_slice(unit);
}

/// Seconds from hundredths (`places` 2) or tenths (1).
fn fraction(out: &mut Vec<u8>, n: u64, places: u32) {
    let (whole, part) = if places == 2 { (n / 100, n % 100) } else { (n / 10, n % 10) };
    decimal(out, whole);
    out.push(b'.');
    if places == 2 && part < 10 {
        out.push(b'0');
    }
    decimal(out, part);
    out.extend_from_slice(b" s");
}

/// A number of bytes in decimal units: `812 B`, `1.2 kB`, `34 MB`.
pub fn size(out: &mut Vec<u8>, bytes: u64) {
    let units: [&[u8]; 7] = [b" B", b" kB", b" MB", b" GB", b" TB", b" PB", b" EB"];
    let (mut n, mut rest, mut at) = (bytes, 0, 0usize);
    while n >= 1_000 {
        (n, rest) = (n / 1_000, n % 1_000);
        at = at.saturating_add(1);
    }
    decimal(out, n);
    if n < 10 && at > 0 {
        out.push(b'.');
        decimal(out, rest / 100);
    }
    out.extend_from_slice(units.get(at).copied().unwrap_or_default());
}

/// The name of a tracked ICMP type.
///
/// Source: IANA ICMP and ICMPv6 parameters; the kernel tracks the queries and their answers only.
#[must_use]
pub fn icmp_type(l4proto: u8, number: u8) -> Option<&'static str> {
    Some(match (l4proto == IPPROTO_ICMPV6, number) {
        (true, 128) | (false, 8) => "echo-request",
        (true, 129) | (false, 0) => "echo-reply",
        (true, 139) => "node-information-query",
        (true, 140) => "node-information-response",
        (false, 13) => "timestamp-request",
        (false, 14) => "timestamp-reply",
        (false, 15) => "information-request",
        (false, 16) => "information-reply",
        (false, 17) => "address-mask-request",
        (false, 18) => "address-mask-reply",
        _ => return None,
    })
}

/// A text from outside, fit for a terminal: anything but printable ASCII becomes `?`.
pub fn clean(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().map(|byte| if matches!(byte, 0x20..=0x7e) { *byte } else { b'?' }));
}

/// Columns that a text takes, all characters being one wide.
#[must_use]
pub fn columns(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// Pad with blanks until `columns` columns stand behind `start`, and one blank at least.
pub fn pad(out: &mut Vec<u8>, start: usize, wanted: usize) {
    let have = columns(out.get(start..).unwrap_or_default());
    let missing = wanted.saturating_sub(have).max(1);
    let end = out.len().saturating_add(missing);
    out.resize(end, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn durations() {
        for (ns, want) in [
            (0, "0.00 s"),
            (50_000_000, "0.05 s"),
            (6_149_000_000, "6.1 s"),
            (299_900_000_000, "299 s"),
            (600_000_000_000, "10 min"),
            (7_200_000_000_000, "2 h"),
            (431_999_000_000_000, "119 h"),
            (864_000_000_000_000, "10 d"),
        ] {
            assert_eq!(text(|out| duration(out, ns)), want);
        }
    }

    #[test]
    fn sizes() {
        for (n, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_290, "1.2 kB"),
            (34_000_000, "34 MB"),
            (1_900_000_000, "1.9 GB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(text(|out| size(out, n)), want);
        }
    }

    #[test]
    fn no_control_byte_passes() {
        assert_eq!(text(|out| clean(out, b"a\x1b[31m\n\xff~")), "a?[31m??~");
    }
}
