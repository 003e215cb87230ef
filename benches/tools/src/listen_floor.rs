//! The floor of every event reader: wait, let events gather for 1 ms, receive many at a time, count, discard.
//!
//! Runs until SIGINT or SIGTERM. `--summary FILE` takes the counts.

use std::thread::sleep;
use std::time::Duration;

use conntap_core::wire::constants::{CT_DELETE, GROUP_DESTROY, GROUP_NEW, GROUP_UPDATE};
use conntap_sys::socket::{Slots, Socket};

use crate::arguments::Arguments;
use crate::{Outcome, stop};

const GATHER: Duration = Duration::from_millis(1);
const SLOTS: usize = 256;
const BUFFER_BYTES: u32 = 128 << 20;

pub fn run(arguments: &Arguments) -> Outcome {
    stop::catch();
    let socket = open().map_err(|error| error.to_string())?;
    let mut slots = Slots::new(SLOTS);
    let (mut began, mut changed, mut ended, mut overruns) = (0_u64, 0_u64, 0_u64, 0_u64);
    while !stop::requested() {
        match socket.wait(Some(Duration::from_millis(200))) {
            Ok(true) => sleep(GATHER),
            Ok(false) => continue,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.to_string()),
        }
        loop {
            let count = match socket.receive_many(&mut slots) {
                Ok(count) => count,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    overruns += 1;
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            };
            for (datagram, _) in slots.datagrams(count) {
                match datagram.get(4..8).and_then(|head| head.first_chunk::<4>()) {
                    Some([a, b, ..]) if u16::from_ne_bytes([*a, *b]) == CT_DELETE => ended += 1,
                    // NEW has CREATE|EXCL (0x600), UPDATE no flags.
                    Some([.., flags, high]) if u16::from_ne_bytes([*flags, *high]) != 0 => began += 1,
                    _ => changed += 1,
                }
            }
            if count < SLOTS {
                break;
            }
        }
    }
    let lost = socket.drops().map_err(|error| error.to_string())?;
    let text = format!(
        "{{\"kinds\": {{\"NEW\": {began}, \"UPDATE\": {changed}, \"DESTROY\": {ended}}}, \
         \"counters\": {{\"lost\": {lost}, \"gaps\": {overruns}}}}}\n"
    );
    match arguments.text("summary") {
        Some(path) => std::fs::write(path, text).map_err(|error| format!("{path}: {error}")),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

fn open() -> std::io::Result<Socket> {
    let socket = Socket::open()?;
    socket.set_receive_buffer(BUFFER_BYTES)?;
    for group in [GROUP_NEW, GROUP_UPDATE, GROUP_DESTROY] {
        socket.join(group)?;
    }
    Ok(socket)
}
