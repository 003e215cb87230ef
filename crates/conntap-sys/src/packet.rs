//! Captures packets: an AF_PACKET socket whose kernel side fills a ring of blocks in shared memory (TPACKET_V3).
//!
//! Source: Documentation/networking/packet_mmap.rst, packet(7), linux/if_packet.h.

mod frame;
mod ring;

use std::ffi::CString;
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

pub use frame::{ChecksumState, Frame, To};
use frame::{HEADROOM, frames};
use ring::Ring;

use crate::namespace::Namespace;
use crate::options::{self, check, socklen};
use crate::socket::Instruction;

/// linux/if_ether.h, ETH_P_ALL.
const EVERY_PROTOCOL: u16 = 0x0003;
/// The kernel's smallest frame slot; a block is what counts, but the request must be consistent.
const FRAME_SIZE: u32 = 2048;
/// BPF_RET | BPF_K: take so many bytes of every packet.
const TAKE: u16 = 0x06;

/// What to capture, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The interface by name; None: all of the namespace.
    pub interface: Option<&'a str>,
    /// Hear what is addressed to others as well. Needs an interface.
    pub promiscuous: bool,
    /// Leave out what this machine sends (PACKET_IGNORE_OUTGOING, Linux 4.20).
    pub ignore_outgoing: bool,
    /// The most bytes of a frame to take; 0: all. Not together with `program`.
    pub snaplen: u32,
    /// Socket filter, run by the kernel over the frame from its link header on; what it returns is the most bytes to
    /// take.
    pub program: Option<&'a [Instruction]>,
    /// Bytes of a block: a power of two and a multiple of the page size. No frame can be longer.
    pub block_bytes: u32,
    /// Bytes of the whole ring: how much may come while nobody reads.
    pub ring_bytes: u32,
    /// How long a block that is not full waits for more.
    pub gather: Duration,
    pub namespace: Option<&'a Namespace>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            interface: None,
            promiscuous: false,
            ignore_outgoing: false,
            snaplen: 0,
            program: None,
            block_bytes: 1 << 20,
            ring_bytes: 64 << 20,
            gather: Duration::from_millis(10),
            namespace: None,
        }
    }
}

/// Counters of a capture, by the kernel's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that passed the filter, those dropped included.
    pub packets: u64,
    /// Packets for which the ring had no room.
    pub dropped: u64,
    /// How often the ring was full.
    pub full: u64,
}

/// A capture under way.
#[derive(Debug)]
pub struct Capture {
    fd: OwnedFd,
    ring: Ring,
    counters: Counters,
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Capture {
    /// Begin to capture.
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW, ENODEV for an unknown interface, EINVAL for sizes that the kernel does not take,
    /// ENOMEM where it has no room for the ring.
    pub fn open(options: &Options<'_>) -> io::Result<Self> {
        match options.namespace {
            Some(namespace) => namespace.run(|| Self::open_here(options)),
            None => Self::open_here(options),
        }
    }

    fn open_here(options: &Options<'_>) -> io::Result<Self> {
        let interface = options.interface.map(index_of).transpose()?.unwrap_or(0);
        // Protocol 0 until everything is set: so nothing comes too early.
        // SAFETY: socket() takes no pointers.
        let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        check(raw)?;
        // SAFETY: `raw` is a fresh descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let version = libc::c_int::try_from(libc::tpacket_versions::TPACKET_V3 as u32).unwrap_or_default();
        set(&fd, libc::PACKET_VERSION, &version)?;
        set(&fd, libc::PACKET_RESERVE, &HEADROOM)?;
        if options.ignore_outgoing {
            set(&fd, libc::PACKET_IGNORE_OUTGOING, &1_i32)?;
        }
        let snap = [Instruction { code: TAKE, jt: 0, jf: 0, k: options.snaplen }];
        match options.program {
            Some(program) => options::attach_filter(fd.as_fd(), program)?,
            None if options.snaplen != 0 => options::attach_filter(fd.as_fd(), &snap)?,
            None => {}
        }
        let ring = map(&fd, options)?;
        if options.promiscuous {
            if interface == 0 {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            let kind = u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or_default();
            let request = libc::packet_mreq { mr_ifindex: interface, mr_type: kind, mr_alen: 0, mr_address: [0; 8] };
            set(&fd, libc::PACKET_ADD_MEMBERSHIP, &request)?;
        }
        bind(&fd, interface)?;
        Ok(Self { fd, ring, counters: Counters::default() })
    }

    /// Take the frames that are there, waiting up to `timeout` for the first; give each to `each`. Ends after one
    /// round of the ring at the latest, so that the caller gets a turn however fast they come.
    ///
    /// Returns how many there were: 0 after `timeout`.
    ///
    /// # Errors
    /// ENETDOWN once when the interface goes down; capturing goes on when it is up again. EINTR.
    pub fn receive(&mut self, timeout: Duration, mut each: impl FnMut(&Frame<'_>)) -> io::Result<usize> {
        let until = Instant::now().checked_add(timeout);
        let mut count = 0_usize;
        loop {
            for _ in 0..self.ring.blocks() {
                let Some(block) = self.ring.block() else { break };
                count = count.saturating_add(frames(block, &mut each));
                self.ring.release();
            }
            if count > 0 {
                return Ok(count);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(0);
            }
            // Less than a millisecond would be none at all.
            let left = left.map(|left| left.max(Duration::from_millis(1)));
            if options::wait(self.fd.as_fd(), left)? {
                let error = options::get::<libc::c_int>(self.fd.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR)?;
                if error != 0 {
                    return Err(io::Error::from_raw_os_error(error));
                }
            }
        }
    }

    /// What the kernel has counted since the capture was opened.
    pub fn counters(&mut self) -> io::Result<Counters> {
        // struct tpacket_stats_v3; reading it sets it to zero.
        let [packets, dropped, full] =
            options::get::<[u32; 3]>(self.fd.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        let counters = &mut self.counters;
        counters.packets = counters.packets.saturating_add(packets.into());
        counters.dropped = counters.dropped.saturating_add(dropped.into());
        counters.full = counters.full.saturating_add(full.into());
        Ok(*counters)
    }
}

/// Ask for the ring and map it.
fn map(fd: &OwnedFd, options: &Options<'_>) -> io::Result<Ring> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let blocks =
        options.ring_bytes.checked_div(options.block_bytes).filter(|blocks| *blocks > 0).ok_or_else(invalid)?;
    let frames = (options.block_bytes / FRAME_SIZE).checked_mul(blocks).ok_or_else(invalid)?;
    let request = libc::tpacket_req3 {
        tp_block_size: options.block_bytes,
        tp_block_nr: blocks,
        tp_frame_size: FRAME_SIZE,
        tp_frame_nr: frames,
        tp_retire_blk_tov: u32::try_from(options.gather.as_millis()).unwrap_or(u32::MAX).max(1),
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    set(fd, libc::PACKET_RX_RING, &request)?;
    let size = |value| usize::try_from(value).map_err(|_| invalid());
    Ring::map(fd.as_fd(), size(options.block_bytes)?, size(blocks)?)
}

fn bind(fd: &OwnedFd, interface: libc::c_int) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain integers; all zero is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = EVERY_PROTOCOL.to_be();
    address.sll_ifindex = interface;
    let len = socklen(size_of_val(&address));
    // SAFETY: the pointer and length describe `address`, which lives through the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })
}

fn index_of(name: &str) -> io::Result<libc::c_int> {
    let name = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: a text that ends with NUL and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    libc::c_int::try_from(index).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

fn set<T>(fd: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    options::set(fd.as_fd(), libc::SOL_PACKET, option, value)
}
