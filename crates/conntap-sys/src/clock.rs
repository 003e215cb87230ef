//! The system's clock and zone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch.
#[must_use]
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Seconds east of Greenwich in the local zone at `epoch_seconds`; 0 where the zone is not known.
#[must_use]
pub fn utc_offset_seconds(epoch_seconds: i64) -> i32 {
    // SAFETY: `tm` is a plain struct of integers and a pointer that libc fills; all zero is a valid value.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live, properly aligned values for the length of the call.
    let done = unsafe { libc::localtime_r(&raw const epoch_seconds, &raw mut parts) };
    if done.is_null() { 0 } else { i32::try_from(parts.tm_gmtoff).unwrap_or(0) }
}
