//! The memory that the kernel and a capture share: blocks that belong to one or the other.

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a block's status word stands.
const STATUS_AT: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, block_status);

/// A mapped ring, read block by block.
#[derive(Debug)]
pub(super) struct Ring {
    memory: NonNull<u8>,
    block_bytes: usize,
    blocks: usize,
    /// The block to be read next.
    next: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and only this value refers to it.
unsafe impl Send for Ring {}

impl Ring {
    /// Map the ring of `fd`, for which as many blocks of that size were granted.
    pub fn map(fd: BorrowedFd<'_>, block_bytes: usize, blocks: usize) -> io::Result<Self> {
        let len = block_bytes.checked_mul(blocks).filter(|len| *len > 0 && block_bytes > STATUS_AT.saturating_add(4));
        let Some(len) = len else { return Err(io::Error::from(io::ErrorKind::InvalidInput)) };
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address that the kernel chooses; nothing that exists is touched.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, fd.as_raw_fd(), 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(memory) = NonNull::new(memory.cast()) else { return Err(io::Error::other("mapped at 0")) };
        Ok(Self { memory, block_bytes, blocks, next: 0 })
    }

    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The next block, if the kernel has handed it over. It stays ours until [`Self::release`].
    pub fn block(&mut self) -> Option<&mut [u8]> {
        // Acquire: what the kernel wrote before it set the status is seen after it.
        if self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block lies within the mapping. The kernel does not write to a block whose status is
        // TP_STATUS_USER, nothing else refers to it, and the slice borrows `self`, so that it ends before `release`.
        Some(unsafe { std::slice::from_raw_parts_mut(self.start().as_ptr(), self.block_bytes) })
    }

    /// Give the block back to the kernel and go on to the next.
    pub fn release(&mut self) {
        // Release: our reads and writes in the block are over before the kernel may fill it again.
        self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = self.next.saturating_add(1);
        if self.next >= self.blocks {
            self.next = 0;
        }
    }

    fn start(&self) -> NonNull<u8> {
        // SAFETY: `next` is below `blocks`, so the block lies within the mapping.
        unsafe { self.memory.add(self.next.saturating_mul(self.block_bytes)) }
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: the word lies within the block, which is page-aligned, so that it is aligned; it is accessed as an
        // atomic only, except through the slice of `block`, which does not live at the same time.
        unsafe { AtomicU32::from_ptr(self.start().add(STATUS_AT).cast().as_ptr()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the very mapping that `map` made, which nothing refers to any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.block_bytes.saturating_mul(self.blocks)) };
    }
}
