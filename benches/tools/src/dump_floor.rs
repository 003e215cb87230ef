//! The floor of every dump: ask for the table, receive it into one buffer, throw it away.
//!
//! `--parts` of criteria run side by side on sockets and threads of their own: `all`, or `ipv4,ipv6`, or `nat,plain`.

use std::time::Instant;

use conntap_core::model::{Flow, request};
use conntap_core::wire::Messages;
use conntap_core::wire::constants::{AF_INET, AF_INET6, NLMSG_DONE, NLMSG_ERROR};
use conntap_sys::socket::Socket;

use crate::Outcome;
use crate::arguments::Arguments;

const SRC_NAT: u32 = 0x10;

pub fn run(arguments: &Arguments) -> Outcome {
    let parts = arguments.text("parts").unwrap_or("all");
    let started = Instant::now();
    let done: Vec<Outcome<Counted>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            parts.split(',').map(|part| scope.spawn(move || read(&criteria(part)?, arguments))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a thread failed".into()))).collect()
    });
    let mut sum = Counted::default();
    for part in done {
        let part = part?;
        sum.bytes += part.bytes;
        sum.datagrams += part.datagrams;
        sum.rows += part.rows;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"bytes\": {}, \"datagrams\": {}, \"rows\": {}, \"seconds\": {seconds:.6}}}",
        sum.bytes, sum.datagrams, sum.rows
    );
    Ok(())
}

#[derive(Default)]
struct Counted {
    bytes: usize,
    datagrams: usize,
    rows: usize,
}

fn criteria(part: &str) -> Outcome<Flow<'static>> {
    let status = |value| Flow { status: Some(value), status_mask: Some(SRC_NAT), ..Flow::default() };
    Ok(match part {
        "all" => Flow::default(),
        "ipv4" => Flow { family: AF_INET, ..Flow::default() },
        "ipv6" => Flow { family: AF_INET6, ..Flow::default() },
        "nat" => status(SRC_NAT),
        "plain" => status(0),
        _ => return Err(format!("--parts: unknown part '{part}'")),
    })
}

fn read(criteria: &Flow<'_>, arguments: &Arguments) -> Outcome<Counted> {
    let count = arguments.number("count", 0_u8)? != 0;
    let socket = Socket::open().map_err(|error| error.to_string())?;
    let seq = 1;
    socket.send(&request::dump(request::Table::Flows, criteria, seq)).map_err(|error| error.to_string())?;
    let (mut room, mut sum) = (vec![0; 64 * 1024], Counted::default());
    loop {
        let len = socket.receive(&mut room, true).map_err(|error| error.to_string())?;
        let datagram = room.get(..len).ok_or("a datagram was cut")?;
        sum.bytes += len;
        sum.datagrams += 1;
        if count {
            sum.rows += Messages::new(datagram).count();
        }
        // DONE may follow rows in the last datagram: it is 20 bytes at the end.
        let tail = datagram.get(len.saturating_sub(20)..).unwrap_or_default();
        if ended(datagram) || ended(tail) {
            return Ok(sum);
        }
    }
}

fn ended(bytes: &[u8]) -> bool {
    let kind = bytes.get(4..6).and_then(|kind| kind.first_chunk::<2>()).map(|kind| u16::from_ne_bytes(*kind));
    let len = bytes.first_chunk::<4>().map(|len| u32::from_ne_bytes(*len));
    matches!(kind, Some(NLMSG_DONE | NLMSG_ERROR)) && len == u32::try_from(bytes.len()).ok()
}
