//! What every kind of socket does alike: options, filters, waiting.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::socket::Instruction;

/// Set an option; `value` has the type that the option asks for.
pub(crate) fn set<T>(fd: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: pointer and length describe `value`, which lives through the call.
    check(unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), socklen(size_of::<T>()))
    })
}

/// Get an option.
pub(crate) fn get<T: Copy + Default>(fd: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> io::Result<T> {
    let mut value = T::default();
    let mut len = socklen(size_of::<T>());
    // SAFETY: pointer and length describe `value`, plain integers; the kernel writes at most `len` bytes.
    let done = unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut len) };
    check(done).map(|()| value)
}

/// Make the kernel run `program` over every message or packet before it is queued.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let Ok(len) = u16::try_from(program.len()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    // `Instruction` has the layout of sock_filter; the kernel copies the program and never writes it.
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

/// Wait until something can be read, or an error is there to be fetched. False after `timeout`; interrupted by
/// signals (EINTR).
pub(crate) fn wait(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    let millis = match timeout {
        Some(timeout) => i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        None => -1,
    };
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, alive through the call.
    match unsafe { libc::poll(&raw mut poll, 1, millis) } {
        0 => Ok(false),
        ready if ready > 0 => Ok(true),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(crate) fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn socklen(size: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(size).unwrap_or(libc::socklen_t::MAX)
}
