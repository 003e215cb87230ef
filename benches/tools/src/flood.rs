//! Makes new flows as fast as one core can: UDP by `sendmmsg`, no two packets with the same tuple.
//!
//! Prints how many were sent and how many a second. A packet that is refused (EPERM: table full) counts as failed.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::resources::cpu_seconds;
use crate::{Outcome, private, stop};

/// Packets a system call.
const TOGETHER: usize = 64;
/// Destinations: 198.18.0.0/16, the benchmarking network of RFC 2544.
const NETWORK: u32 = 0xc612_0000;

pub fn run(arguments: &Arguments) -> Outcome {
    private::require()?;
    stop::catch();
    let seconds: f64 = arguments.number("seconds", 3.0)?;
    // Packets a second; 0 as fast as possible.
    let rate: f64 = arguments.number("rate", 0.0)?;
    let sources = open(&arguments.text("sources").unwrap_or("10.9.0.1"))?;
    let mut batch = Batch::new();
    let (mut sent, mut failed, mut number) = (0_u64, 0_u64, 0_u32);
    let (started, length) = (Instant::now(), Duration::from_secs_f64(seconds));
    'flood: loop {
        for source in &sources {
            let done = started.elapsed();
            if done >= length || stop::requested() {
                break 'flood;
            }
            if rate > 0.0 {
                let due = Duration::from_secs_f64(sent as f64 / rate);
                std::thread::sleep(due.saturating_sub(done));
            }
            let (went, refused) = batch.send(source, number).map_err(|error| error.to_string())?;
            sent += went;
            failed += refused;
        }
        number = number.wrapping_add(TOGETHER as u32);
    }
    let took = started.elapsed().as_secs_f64();
    println!(
        "{{\"sent\": {sent}, \"failed\": {failed}, \"seconds\": {took:.6}, \"cpu_seconds\": {:.6}}}",
        cpu_seconds()
    );
    Ok(())
}

/// Eight source ports at each of the addresses.
fn open(addresses: &&str) -> Outcome<Vec<UdpSocket>> {
    let mut sources = Vec::new();
    for address in addresses.split(',') {
        let address: Ipv4Addr = address.parse().map_err(|_| format!("--sources: '{address}' is no address"))?;
        for port in 40_000..40_008 {
            sources.push(UdpSocket::bind((address, port)).map_err(|error| format!("{address}:{port}: {error}"))?);
        }
    }
    Ok(sources)
}

/// Headers for one system call. They point into each other, so they never move: boxed, and filled before each use.
struct Batch {
    addresses: Box<[libc::sockaddr_in]>,
    headers: Box<[libc::mmsghdr]>,
    payload: Box<[u8; 1]>,
    vector: Box<libc::iovec>,
}

impl Batch {
    fn new() -> Self {
        // SAFETY: all three are plain integers and pointers; zero is a valid value, set before use.
        let (address, header, vector): (libc::sockaddr_in, libc::mmsghdr, libc::iovec) =
            unsafe { (zeroed(), zeroed(), zeroed()) };
        Self {
            addresses: vec![address; TOGETHER].into_boxed_slice(),
            headers: vec![header; TOGETHER].into_boxed_slice(),
            payload: Box::new([0]),
            vector: Box::new(vector),
        }
    }

    /// Send one packet to each of the next destinations from `first` on: (sent, refused).
    fn send(&mut self, source: &UdpSocket, first: u32) -> io::Result<(u64, u64)> {
        self.vector.iov_base = self.payload.as_mut_ptr().cast();
        self.vector.iov_len = self.payload.len();
        for ((address, header), number) in self.addresses.iter_mut().zip(&mut self.headers).zip(first..) {
            address.sin_family = libc::AF_INET as u16;
            address.sin_addr.s_addr = (NETWORK | (number & 0xffff)).to_be();
            address.sin_port = ((number >> 16) as u16).saturating_add(1024).to_be();
            header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut *self.vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        let (mut at, mut refused) = (0, 0);
        while let Some(rest) = self.headers.get_mut(at..).filter(|rest| !rest.is_empty()) {
            // SAFETY: `rest` is a live slice whose headers point to live addresses and one live buffer.
            let went = unsafe { libc::sendmmsg(source.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
            match usize::try_from(went) {
                Ok(went) => at += went,
                Err(_) => match io::Error::last_os_error() {
                    error if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOBUFS)) => {
                        refused += 1;
                        at += 1;
                    }
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(((at as u64).saturating_sub(refused), refused))
    }
}
