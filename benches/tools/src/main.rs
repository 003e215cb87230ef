//! `conntap-bench TOOL [--option value]…`: what `make bench` fills, floods, times and compares with.
//!
//! Every tool prints one JSON object. Those that make entries refuse to run in the machine's own namespace.

mod arguments;
mod core_rows;
mod dump_floor;
mod fill;
mod flood;
mod frames;
mod listen_floor;
mod packets_engine;
mod packets_memory;
mod packets_run;
mod packets_send;
mod packets_write;
mod private;
mod random;
mod resources;
mod stop;
mod timed;
mod traffic;

use std::process::ExitCode;

use arguments::Arguments;

const USAGE: &str = "usage: conntap-bench fill|flood|dump-floor|listen-floor|core-rows|packets-engine|packets-memory|\
                     packets-run|packets-send|packets-write|timed [--option value]…";

/// What went wrong, in words.
pub type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let tool = words.next().unwrap_or_default();
    let done = Arguments::read(words).and_then(|arguments| match tool.as_str() {
        "fill" => fill::run(&arguments),
        "flood" => flood::run(&arguments),
        "dump-floor" => dump_floor::run(&arguments),
        "listen-floor" => listen_floor::run(&arguments),
        "core-rows" => core_rows::run(&arguments),
        "packets-write" => packets_write::run(&arguments),
        "packets-engine" => packets_engine::run(&arguments),
        "packets-memory" => packets_memory::run(&arguments),
        "packets-send" => packets_send::run(&arguments),
        "packets-run" => packets_run::run(&arguments),
        "timed" => timed::run(&arguments),
        _ => Err(USAGE.into()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conntap-bench {tool}: {error}");
            ExitCode::FAILURE
        }
    }
}
