//! Times of records, in whatever way they are said, as nanoseconds since the epoch.

use super::Header;
use super::element::Number;
use super::values::Values;

const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;
/// From 1900 to 1970. Source: RFC 7011 6.1.9.
const NTP_OFFSET: i64 = 2_208_988_800;

/// Beginning and end of a flow, and when something about it was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    pub start_ns: Option<i64>,
    pub stop_ns: Option<i64>,
    pub observed_ns: Option<i64>,
}

/// Seconds and their fractions since 1900 (NTP); the seconds begin anew in 2036. Rounded, so that what was an even
/// number of microseconds is one again.
pub fn ntp(value: u64) -> i64 {
    let seconds = i64::from(u32::try_from(value >> 32).unwrap_or_default());
    let era = if seconds < 1 << 31 { 1_i64 << 32 } else { 0 };
    let fraction = (value & 0xffff_ffff).saturating_mul(1_000_000_000).saturating_add(1 << 31) >> 32;
    seconds
        .saturating_add(era)
        .saturating_sub(NTP_OFFSET)
        .saturating_mul(SECOND)
        .saturating_add(i64::try_from(fraction).unwrap_or_default())
}

fn scaled(value: u64, unit: i64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX).saturating_mul(unit)
}

/// A time that is said by the milliseconds since the exporter's start, which begin anew every 49.7 days.
fn by_uptime(value: u64, header: &Header, init_ms: Option<u64>) -> Option<i64> {
    let now = match (header.uptime_ms, init_ms) {
        (Some(uptime), _) => uptime,
        (None, Some(init)) => {
            let now_ms = u64::try_from(header.export_ns).ok()?.checked_div(1_000_000)?;
            low_half(now_ms.wrapping_sub(init))
        }
        (None, None) => return None,
    };
    let ago_ms = low_half(value).wrapping_sub(now).cast_signed();
    Some(header.export_ns.saturating_add(i64::from(ago_ms).saturating_mul(MILLISECOND)))
}

fn low_half(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or_default()
}

impl Times {
    /// The finest that the record says. `init_ms`: when the exporter started, where it told so in another record.
    #[must_use]
    pub fn of(values: &Values, header: &Header, init_ms: Option<u64>) -> Self {
        use Number::*;
        let pick = |ns, us, ms, s| {
            let get = |field| values.get(field).filter(|value| *value != 0); // 0: unknown
            get(ns)
                .or_else(|| get(us).map(|value| value & !0x7ff)) // RFC 7011 6.1.9: those bits mean nothing
                .map(ntp)
                .or_else(|| get(ms).map(|value| scaled(value, MILLISECOND)))
                .or_else(|| get(s).map(|value| scaled(value, SECOND)))
        };
        let init_ms = values.get(InitMilliseconds).or(init_ms);
        let other = |uptime, delta| {
            values
                .get(uptime)
                .and_then(|value| by_uptime(value, header, init_ms))
                .or_else(|| values.get(delta).map(|value| header.export_ns.saturating_sub(scaled(value, 1_000))))
        };
        let mut start_ns = pick(StartNanoseconds, StartMicroseconds, StartMilliseconds, StartSeconds)
            .or_else(|| other(StartUptime, StartDeltaMicroseconds));
        let mut stop_ns = pick(EndNanoseconds, EndMicroseconds, EndMilliseconds, EndSeconds)
            .or_else(|| other(EndUptime, EndDeltaMicroseconds));
        let duration = values
            .get(DurationMicroseconds)
            .map(|value| scaled(value, 1_000))
            .or_else(|| values.get(DurationMilliseconds).map(|value| scaled(value, MILLISECOND)));
        let observed_ns = pick(ObservedNanoseconds, ObservedMicroseconds, ObservedMilliseconds, ObservedSeconds);
        match (start_ns, stop_ns, duration) {
            (Some(start), None, Some(length)) => stop_ns = Some(start.saturating_add(length)),
            (None, Some(stop), Some(length)) => start_ns = Some(stop.saturating_sub(length)),
            _ => {}
        }
        Self { start_ns, stop_ns, observed_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_times_come_back_to_the_nanosecond() {
        for (ns, fraction) in [(123_000_000_u64, 528_280_977_u64), (0, 0), (999_999_999, 4_294_967_291)] {
            let value = ((1_700_000_000_u64 + 2_208_988_800) << 32) | fraction;
            assert_eq!(ntp(value), 1_700_000_000 * SECOND + i64::try_from(ns).unwrap());
        }
    }

    #[test]
    fn ntp_seconds_begin_anew_in_2036() {
        let seconds = (2_208_988_800_u64 + 2_200_000_000) & 0xffff_ffff; // 2039
        assert_eq!(ntp(seconds << 32), 2_200_000_000 * SECOND);
    }

    #[test]
    fn uptimes_that_began_anew_are_still_in_the_past() {
        let header = Header { export_ns: 1_700_000_000 * SECOND, uptime_ms: Some(500), ..Header::default() };
        let before = u64::from(u32::MAX) - 499; // 1,000 ms before
        assert_eq!(by_uptime(before, &header, None), Some(header.export_ns - SECOND));
        assert_eq!(by_uptime(400, &header, None), Some(header.export_ns - 100 * MILLISECOND));
        let header = Header { uptime_ms: None, ..header };
        assert_eq!(by_uptime(400, &header, Some(1_700_000_000_000 - 500)), Some(header.export_ns - 100 * MILLISECOND));
        assert_eq!(by_uptime(400, &header, None), None);
    }
}
