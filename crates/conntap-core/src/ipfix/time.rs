//! Times as IPFIX writes them.

/// Seconds between 1900, where NTP's count begins, and 1970.
const NTP_OFFSET: u64 = 2_208_988_800;
const SECOND: u64 = 1_000_000_000;

/// dateTimeMilliseconds.
#[must_use]
#[allow(clippy::arithmetic_side_effects)] // by a constant
pub fn milliseconds(ns: u64) -> u64 {
    ns / 1_000_000
}

/// Seconds since 1970, as message headers have them; wraps in 2106.
#[must_use]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)] // by a constant; meant to wrap
pub fn seconds(ns: i64) -> u32 {
    (ns.max(0).cast_unsigned() / SECOND) as u32
}

/// dateTimeNanoseconds: an NTP timestamp. Wraps in 2036.
///
/// The fraction is rounded up, so that a reader who rounds down gets the nanosecond back.
#[must_use]
#[allow(clippy::arithmetic_side_effects)] // below 2^62: the remainder is below 2^30
pub fn nanoseconds(ns: u64) -> u64 {
    let (whole, rest) = (ns / SECOND, ns % SECOND);
    let fraction = (rest << 32).div_ceil(SECOND);
    (whole.wrapping_add(NTP_OFFSET) << 32) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(ntp: u64) -> u64 {
        ((ntp >> 32).wrapping_sub(NTP_OFFSET) & 0xffff_ffff) * SECOND + (((ntp & 0xffff_ffff) * SECOND) >> 32)
    }

    #[test]
    fn a_reader_who_rounds_down_gets_the_nanosecond_back() {
        for ns in (0..SECOND).step_by(99_991).chain([0, 1, 122_999_999, 123_000_000, SECOND - 1]) {
            let time = 1_700_000_000 * SECOND + ns;
            assert_eq!(back(nanoseconds(time)), time);
        }
    }

    #[test]
    fn the_era_of_2036_wraps() {
        let time = (1_u64 << 32) * SECOND - NTP_OFFSET * SECOND + 7;
        assert_eq!(nanoseconds(time) >> 32, 0);
    }
}
