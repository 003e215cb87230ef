//! A NETLINK_NETFILTER socket: system calls and nothing else.

use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::options::{self, check, socklen};

/// Index of the drop counter in SO_MEMINFO's answer (SK_MEMINFO_DROPS, linux/sock_diag.h).
const SK_MEMINFO_DROPS: usize = 8;
const SK_MEMINFO_VARS: usize = 9;
const SO_MEMINFO: libc::c_int = 55;

/// One instruction of a socket filter (struct sock_filter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// A bound netlink socket with extended acknowledgements on.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// Open and bind in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        // SAFETY: socket() takes no pointers.
        let raw =
            unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_NETFILTER) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `raw` is a fresh descriptor that nothing else owns.
        let socket = Self { fd: unsafe { OwnedFd::from_raw_fd(raw) } };
        // SAFETY: sockaddr_nl is plain integers; all zero asks the kernel to choose the port id.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = u16::try_from(libc::AF_NETLINK).unwrap_or_default();
        let len = socklen(size_of_val(&address));
        // SAFETY: the pointer and length describe `address`, which lives through the call.
        let bound = unsafe { libc::bind(raw, (&raw const address).cast(), len) };
        check(bound)?;
        socket.set_netlink(libc::NETLINK_EXT_ACK, 1)?;
        socket.set_netlink(libc::NETLINK_CAP_ACK, 1)?;
        Ok(socket)
    }

    /// Set an option of level SOL_NETLINK.
    pub fn set_netlink(&self, option: libc::c_int, value: u32) -> io::Result<()> {
        self.set(libc::SOL_NETLINK, option, &value)
    }

    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        options::set(self.fd.as_fd(), level, option, value)
    }

    /// Join a multicast group by its number.
    pub fn join(&self, group: u32) -> io::Result<()> {
        self.set_netlink(libc::NETLINK_ADD_MEMBERSHIP, group)
    }

    /// Make the kernel run `program` over every message before it is queued here.
    pub fn attach_filter(&self, program: &[Instruction]) -> io::Result<()> {
        options::attach_filter(self.fd.as_fd(), program)
    }

    /// Ask for a receive buffer of `bytes`: forced where allowed, else capped by net.core.rmem_max.
    /// Returns what the kernel granted (it doubles what is asked).
    pub fn set_receive_buffer(&self, bytes: u32) -> io::Result<u32> {
        let bytes = bytes.min(i32::MAX.cast_unsigned() / 2);
        if self.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes).is_err() {
            self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes)?;
        }
        self.receive_buffer()
    }

    /// The receive buffer's size in bytes of the kernel's own accounting.
    pub fn receive_buffer(&self) -> io::Result<u32> {
        self.get::<u32>(libc::SOL_SOCKET, libc::SO_RCVBUF)
    }

    /// Messages that the kernel dropped for want of room, since the socket was opened; wraps.
    pub fn drops(&self) -> io::Result<u32> {
        let info = self.get::<[u32; SK_MEMINFO_VARS]>(libc::SOL_SOCKET, SO_MEMINFO)?;
        Ok(info.get(SK_MEMINFO_DROPS).copied().unwrap_or_default())
    }

    /// This socket's netlink port id.
    pub fn port(&self) -> io::Result<u32> {
        // SAFETY: sockaddr_nl is plain integers.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        let mut len = socklen(size_of_val(&address));
        // SAFETY: pointer and length describe `address`; the kernel writes at most `len` bytes.
        check(unsafe { libc::getsockname(self.fd.as_raw_fd(), (&raw mut address).cast(), &raw mut len) })?;
        Ok(address.nl_pid)
    }

    fn get<T: Copy + Default>(&self, level: libc::c_int, option: libc::c_int) -> io::Result<T> {
        options::get(self.fd.as_fd(), level, option)
    }

    /// Send one datagram to the kernel.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            // SAFETY: pointer and length describe `bytes`.
            let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
            if sent >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Receive one datagram. Its true length is returned even where `room` was too short (MSG_TRUNC).
    pub fn receive(&self, room: &mut [u8], wait: bool) -> io::Result<usize> {
        let flags = libc::MSG_TRUNC | if wait { 0 } else { libc::MSG_DONTWAIT };
        // SAFETY: pointer and length describe `room`; the kernel writes at most that many bytes.
        let got = unsafe { libc::recv(self.fd.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
        usize::try_from(got).map_err(|_| io::Error::last_os_error())
    }

    /// Receive as many datagrams as are there, without waiting, one into each slot.
    pub fn receive_many(&self, slots: &mut Slots) -> io::Result<usize> {
        let headers = slots.headers();
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        // SAFETY: `headers` points into buffers owned by `slots`, which is borrowed mutably through the call.
        let got = unsafe {
            libc::recvmmsg(self.fd.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        usize::try_from(got).map_err(|_| io::Error::last_os_error())
    }

    /// Wait until something can be read. False after `timeout`; interrupted by signals (EINTR).
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        options::wait(self.fd.as_fd(), timeout)
    }
}

/// Receive buffers for [`Socket::receive_many`].
pub struct Slots {
    memory: Vec<u8>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the raw pointers inside point only into the struct's own heap memory, which moves with it.
unsafe impl Send for Slots {}

impl Slots {
    /// Room for one event: the largest that the kernel builds is below one page, so two are ample.
    pub const SIZE: usize = 8192;

    #[must_use]
    pub fn new(count: usize) -> Self {
        // SAFETY: iovec and mmsghdr are plain integers and pointers; all zero is a valid value, set below.
        let (vectors, headers) = unsafe { (vec![std::mem::zeroed(); count], vec![std::mem::zeroed(); count]) };
        Self { memory: vec![0; count.saturating_mul(Self::SIZE)], vectors, headers }
    }

    fn headers(&mut self) -> &mut [libc::mmsghdr] {
        let rooms = self.memory.chunks_exact_mut(Self::SIZE);
        for ((room, vector), header) in rooms.zip(&mut self.vectors).zip(&mut self.headers) {
            vector.iov_base = room.as_mut_ptr().cast();
            vector.iov_len = room.len();
            header.msg_hdr.msg_iov = std::ptr::from_mut(vector);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_flags = 0;
        }
        &mut self.headers
    }

    /// The first `count` datagrams received, and whether each came whole.
    pub fn datagrams(&self, count: usize) -> impl Iterator<Item = (&[u8], bool)> {
        self.memory.chunks_exact(Self::SIZE).zip(&self.headers).take(count).map(|(room, header)| {
            let len = usize::try_from(header.msg_len).unwrap_or(usize::MAX).min(room.len());
            (room.get(..len).unwrap_or_default(), header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0)
        })
    }
}
