//! What this process has used.

use std::mem::zeroed;

use crate::Outcome;

/// CPU seconds of all threads: steadier than the wall on a machine that others use too.
pub fn cpu_seconds() -> f64 {
    // SAFETY: timespec is plain integers, which the call fills.
    let mut time: libc::timespec = unsafe { zeroed() };
    // SAFETY: the pointer is to a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Resident memory now. Source: proc_pid_statm(5), the second number, in pages.
pub fn resident_bytes() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").map_err(|error| format!("/proc/self/statm: {error}"))?;
    let pages: Option<u64> = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    // SAFETY: takes no pointer.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Ok(pages.ok_or("/proc/self/statm: no number")?.saturating_mul(u64::try_from(page).unwrap_or_default()))
}
