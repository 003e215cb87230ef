//! `packets-send --interface NAME`: frames as fast as told, by AF_PACKET past the queueing discipline.
//!
//! `--rate` packets a second (0: as fast as possible), `--seconds`, `--conversations`, `--sizes mixed|small`. The
//! frames are made beforehand, so that sending is all that is paced. Only in a namespace that somebody made.

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::resources::cpu_seconds;
use crate::traffic::{Sizes, Traffic};
use crate::{Outcome, private, stop};

/// Packets a system call.
const TOGETHER: usize = 64;

pub fn run(arguments: &Arguments) -> Outcome {
    private::require()?;
    stop::catch();
    let name = arguments.text("interface").ok_or("--interface must name one")?;
    let rate: f64 = arguments.number("rate", 500_000.0)?;
    let seconds: f64 = arguments.number("seconds", 3.0)?;
    let most: u32 = arguments.number("packets", 4_000_000)?;
    let sizes = Sizes::named(arguments.text("sizes").unwrap_or("mixed"))?;
    let mut traffic = Traffic::new(arguments.number("conversations", 100_000)?, sizes, arguments.number("seed", 1)?);
    let packets = if rate > 0.0 { most.min((rate * seconds) as u32) } else { most };
    let (mut bytes, mut ends, mut frame) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..packets {
        traffic.next(&mut frame);
        bytes.extend_from_slice(&frame);
        ends.push(bytes.len());
    }
    let socket = open(name).map_err(|error| format!("{name}: {error}"))?;
    let mut batch = Batch::new();
    let (started, before) = (Instant::now(), cpu_seconds());
    let (mut sent, mut refused, mut from) = (0_u64, 0_u64, 0);
    for ends in ends.chunks(TOGETHER) {
        let due = if rate > 0.0 { Duration::from_secs_f64(sent as f64 / rate) } else { Duration::ZERO };
        // Turning on the spot: a sleep would be longer than what it is for.
        while started.elapsed() < due {
            std::hint::spin_loop();
        }
        if stop::requested() || started.elapsed().as_secs_f64() > 2.0 * seconds {
            break;
        }
        refused += batch.send(&socket, &mut bytes, &mut from, ends).map_err(|error| format!("{name}: {error}"))?;
        sent += ends.len() as u64;
    }
    let took = started.elapsed().as_secs_f64();
    println!(
        "{{\"sent\": {sent}, \"refused\": {refused}, \"bytes\": {from}, \"seconds\": {took:.6}, \
         \"cpu_seconds\": {:.6}, \"packets_a_second\": {:.0}}}",
        cpu_seconds() - before,
        sent as f64 / took
    );
    Ok(())
}

fn open(name: &str) -> io::Result<OwnedFd> {
    let name = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: a text that ends with NUL and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: socket() takes no pointers. Protocol 0: it hears nothing.
    let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    check(raw)?;
    // SAFETY: `raw` is a fresh descriptor that nothing else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    let on: libc::c_int = 1;
    let (at, len) = ((&raw const on).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the pointer and length describe `on`, which lives through the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, at, len) })?;
    // SAFETY: sockaddr_ll is plain integers; all zero is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index as libc::c_int;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer and length describe `address`, which lives through the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) })?;
    Ok(socket)
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Headers for one system call, filled before each use.
struct Batch {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
}

impl Batch {
    fn new() -> Self {
        // SAFETY: both are plain integers and pointers; zero is a valid value, set before use.
        let (header, vector): (libc::mmsghdr, libc::iovec) = unsafe { (zeroed(), zeroed()) };
        Self { headers: vec![header; TOGETHER].into(), vectors: vec![vector; TOGETHER].into() }
    }

    /// Send the frames that end at `ends`, the first of them beginning at `from`, which moves on; how many were
    /// refused.
    fn send(&mut self, socket: &OwnedFd, bytes: &mut [u8], from: &mut usize, ends: &[usize]) -> io::Result<u64> {
        for ((header, vector), &end) in self.headers.iter_mut().zip(&mut self.vectors).zip(ends) {
            let frame = bytes.get_mut(*from..end).unwrap_or_default();
            *from = end;
            *vector = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
            header.msg_hdr.msg_iov = std::ptr::from_mut(vector);
            header.msg_hdr.msg_iovlen = 1;
        }
        let (mut at, mut refused) = (0, 0);
        while let Some(rest) = self.headers.get_mut(at..ends.len()).filter(|rest| !rest.is_empty()) {
            // SAFETY: `rest` is a live slice whose headers point to live vectors and those to `bytes`, only read.
            let went = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
            match usize::try_from(went) {
                Ok(went) => at += went,
                Err(_) => match io::Error::last_os_error() {
                    error if error.raw_os_error() == Some(libc::ENOBUFS) => {
                        refused += 1;
                        at += 1;
                    }
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(refused)
    }
}
