//! `conntap-bench TOOL [--option value]…`: what `make bench` fills, floods, times and compares with.
//!
//! Every tool prints one JSON object. Those that make entries refuse to run in the machine's own namespace.

mod arguments;
mod core_rows;
mod dump_floor;
mod fill;
mod flood;
mod listen_floor;
mod private;
mod stop;
mod timed;

use std::process::ExitCode;

use arguments::Arguments;

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
        "timed" => timed::run(&arguments),
        _ => Err("usage: conntap-bench fill|flood|dump-floor|listen-floor|core-rows|timed [--option value]…".into()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conntap-bench {tool}: {error}");
            ExitCode::FAILURE
        }
    }
}
