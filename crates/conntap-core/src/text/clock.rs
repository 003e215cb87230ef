//! Times as people and `conntrack` write them: `ctime`, clocks, XML's `<when>`. No zone data: the offset is given.

use super::Environment;
use super::bytes::{decimal, padded, two};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const NS: i64 = 1_000_000_000;

/// A time taken apart, in some zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// 1…12
    pub month: u32,
    /// 1…31
    pub day: u32,
    /// 0 = Sunday
    pub weekday: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
}

impl Civil {
    /// Seconds since the epoch, already moved by the zone's offset.
    ///
    /// Days to date: the proleptic Gregorian calendar counted in years that begin in March, so that leap days come
    /// last (the well-known `civil_from_days`).
    #[must_use]
    pub fn new(seconds: i64) -> Self {
        let (day_number, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let from_march = day_number.saturating_add(719_468);
        let (era, of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
        let leap_days = (of_era / 1_460).saturating_sub(of_era / 36_524).saturating_add(of_era / 146_096);
        let year_of_era = of_era.saturating_sub(leap_days) / 365;
        let days_before =
            year_of_era.saturating_mul(365).saturating_add(year_of_era / 4).saturating_sub(year_of_era / 100);
        let of_year = of_era.saturating_sub(days_before);
        let march_month = of_year.saturating_mul(5).saturating_add(2) / 153;
        let day = of_year.saturating_sub(march_month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
        let month = if march_month < 10 { march_month.saturating_add(3) } else { march_month.saturating_sub(9) };
        let year = era.saturating_mul(400).saturating_add(year_of_era).saturating_add(i64::from(month <= 2));
        let part = |n: i64| u32::try_from(n).unwrap_or(0);
        Self {
            year,
            month: part(month),
            day: part(day),
            weekday: part(day_number.saturating_add(4).rem_euclid(7)),
            hour: part(of_day / 3_600),
            minute: part(of_day / 60 % 60),
            second: part(of_day % 60),
        }
    }

    /// C's `ctime` without its newline: `Mon Nov 23 22:31:35 2026`.
    pub fn ctime(&self, out: &mut Vec<u8>) {
        let name = |names: &'static [&'static str], at: u32| names.get(at as usize).copied().unwrap_or("???");
        out.extend_from_slice(name(&DAYS, self.weekday).as_bytes());
        out.push(b' ');
        out.extend_from_slice(name(&MONTHS, self.month.saturating_sub(1)).as_bytes());
        out.extend_from_slice(if self.day < 10 { b"  " } else { b" " });
        decimal(out, self.day.into());
        out.push(b' ');
        self.clock(out);
        out.push(b' ');
        decimal(out, self.year.unsigned_abs());
    }

    /// `22:31:35`
    pub fn clock(&self, out: &mut Vec<u8>) {
        two(out, self.hour);
        out.push(b':');
        two(out, self.minute);
        out.push(b':');
        two(out, self.second);
    }

    /// `2026-11-23`
    pub fn date(&self, out: &mut Vec<u8>) {
        padded(out, self.year.unsigned_abs(), 4);
        out.push(b'-');
        two(out, self.month);
        out.push(b'-');
        two(out, self.day);
    }
}

/// Local times, with the zone's offset asked once for every quarter of an hour (no zone changes within one).
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: Option<(i64, i32)>,
    /// The second last written and its text.
    second: Option<(i64, [u8; 8])>,
}

impl Clock {
    /// The local time at `seconds`.
    pub fn local(&mut self, seconds: i64, environment: &dyn Environment) -> Civil {
        let quarter = seconds.div_euclid(900);
        let offset = match self.offset {
            Some((known, offset)) if known == quarter => offset,
            _ => environment.utc_offset_seconds(seconds),
        };
        self.offset = Some((quarter, offset));
        Civil::new(seconds.saturating_add(i64::from(offset)))
    }

    /// `14:03:11.482` in local time or UTC; `utc` must not change in one clock's life.
    pub fn stamp(&mut self, out: &mut Vec<u8>, ns: i64, utc: bool, environment: &dyn Environment) {
        let seconds = ns.div_euclid(NS);
        let text = match self.second {
            Some((known, text)) if known == seconds => text,
            _ => {
                let civil = if utc { Civil::new(seconds) } else { self.local(seconds, environment) };
                let mut text = Vec::with_capacity(8);
                civil.clock(&mut text);
                text.first_chunk::<8>().copied().unwrap_or_default()
            }
        };
        self.second = Some((seconds, text));
        out.extend_from_slice(&text);
        out.push(b'.');
        padded(out, ns.rem_euclid(NS).unsigned_abs() / 1_000_000, 3);
    }
}

/// Whole seconds of an unsigned kernel time.
#[must_use]
pub fn seconds_of(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctime(seconds: i64) -> String {
        let mut out = Vec::new();
        Civil::new(seconds).ctime(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_over_leap_years_and_before_the_epoch() {
        // Expected values: `date -u -d @N '+%a %b %e %T %Y'`.
        assert_eq!(ctime(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(ctime(-1), "Wed Dec 31 23:59:59 1969");
        assert_eq!(ctime(951_782_400), "Tue Feb 29 00:00:00 2000");
        assert_eq!(ctime(951_868_800), "Wed Mar  1 00:00:00 2000");
        assert_eq!(ctime(1_795_473_095), "Mon Nov 23 22:31:35 2026");
        assert_eq!(ctime(4_107_542_399), "Sun Feb 28 23:59:59 2100");
        assert_eq!(ctime(4_107_542_400), "Mon Mar  1 00:00:00 2100");
    }

    #[test]
    fn no_time_overflows() {
        for seconds in [i64::MIN, i64::MIN / NS, i64::MAX / NS, i64::MAX] {
            let _ = ctime(seconds);
        }
    }
}
