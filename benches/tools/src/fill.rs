//! Fills the table by ctnetlink requests: 70 % established TCP, 20 % UDP, 10 % TCP over IPv6.
//!
//! Every other IPv4 entry is source-NATed, so that the NAT status bit splits the table in halves or nearly so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use conntap_core::model::{Flow, NatRange, ProtoInfo, Tuple, request};
use conntap_core::wire::constants::{AF_INET, AF_INET6, CT_NEW, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use conntap_sys::request::Requests;

use crate::arguments::Arguments;
use crate::{Outcome, private};

/// SEEN_REPLY | ASSURED | CONFIRMED.
const STATUS: u32 = 0x2 | 0x4 | 0x8;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Answers kept at a time.
const ROUND: usize = 1 << 16;

pub fn run(arguments: &Arguments) -> Outcome {
    private::require()?;
    let entries: usize = arguments.number("entries", 100_000)?;
    let mut requests = Requests::open(None).map_err(|error| error.to_string())?;
    let (mut made, started) = (0, Instant::now());
    let mut refused: Option<String> = None;
    for first in (0..entries).step_by(ROUND) {
        let answers = requests
            .ask_many(ROUND.min(entries - first), |index, seq| {
                let number = u32::try_from(first + index).unwrap_or(u32::MAX);
                request::flow(CT_NEW, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &entry(number), seq)
            })
            .map_err(|error| error.to_string())?;
        made += answers.iter().filter(|answer| answer.errno == 0).count();
        if let Some(answer) = answers.iter().find(|answer| answer.errno != 0) {
            refused.get_or_insert_with(|| std::io::Error::from_raw_os_error(answer.errno).to_string());
        }
    }
    if let Some(reason) = refused {
        return Err(format!("made {made} of {entries} entries: {reason}"));
    }
    println!("{{\"entries\": {made}, \"seconds\": {:.3}}}", started.elapsed().as_secs_f64());
    Ok(())
}

/// The entry of a number. Distinct numbers give distinct tuples.
fn entry(number: u32) -> Flow<'static> {
    let [_, high, middle, low] = number.to_be_bytes();
    let port = |span: u32, from: u16| Some(u16::try_from(number % span).unwrap_or_default().saturating_add(from));
    let six = number % 10 == 9;
    let (src, dst): (IpAddr, IpAddr) = if six {
        let inside = Ipv6Addr::new(0x2001, 0xdb8, 0x10, u16::from(high), 0, 0, u16::from(middle), u16::from(low));
        (inside.into(), Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, u16::from(low)).into())
    } else {
        (Ipv4Addr::new(10, high, middle, low).into(), Ipv4Addr::new(198, 18, low, middle).into())
    };
    let udp = matches!(number % 10, 7 | 8);
    let orig = Tuple {
        src: Some(src),
        dst: Some(dst),
        l4proto: Some(if udp { UDP } else { TCP }),
        sport: port(28_000, 32_768),
        dport: Some(if udp { 53 } else { 443 }),
        ..Tuple::default()
    };
    let outside = Ipv4Addr::new(203, 0, 113, low);
    Flow {
        family: if six { AF_INET6 } else { AF_INET },
        orig,
        reply: orig.mirrored(),
        status: Some(STATUS),
        timeout: Some(432_000),
        protoinfo: (!udp).then_some(ProtoInfo::Tcp {
            state: Some(3),
            wscale_orig: None,
            wscale_reply: None,
            flags_orig: None,
            flags_reply: None,
        }),
        nat_src: (!six && number.is_multiple_of(2))
            .then(|| NatRange { min: Some(outside.into()), ..NatRange::default() }),
        ..Flow::default()
    }
}
