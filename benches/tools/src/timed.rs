//! `timed [--report FILE] -- PROGRAM…`: wall time, CPU time and peak memory of one run.
//!
//! A process of its own because Linux lets a child inherit the peak memory of whoever forks it: this one has 2 MiB.

use std::process::Command;
use std::time::Instant;

use crate::Outcome;
use crate::arguments::Arguments;

pub fn run(arguments: &Arguments) -> Outcome {
    let (program, rest) = arguments.command.split_first().ok_or("a program must follow --")?;
    let started = Instant::now();
    let status = Command::new(program).args(rest).status().map_err(|error| format!("{program}: {error}"))?;
    let wall = started.elapsed().as_secs_f64();
    // SAFETY: rusage is plain integers, which the call fills.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live rusage. The program is the only child that was ever waited for.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let text = format!(
        "{{\"wall\": {wall:.6}, \"user\": {:.6}, \"system\": {:.6}, \"peak_kib\": {}, \"exit\": {}}}\n",
        seconds(usage.ru_utime),
        seconds(usage.ru_stime),
        usage.ru_maxrss,
        status.code().unwrap_or(-1)
    );
    match arguments.text("report") {
        Some(path) => std::fs::write(path, text).map_err(|error| format!("{path}: {error}")),
        None => {
            eprint!("{text}");
            Ok(())
        }
    }
}

fn seconds(time: libc::timeval) -> f64 {
    // Times of one process: far below 2^52.
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}
