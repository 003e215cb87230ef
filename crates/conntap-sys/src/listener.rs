//! Reads events: many at a time when they come fast, at once when the line is idle, and never loses one in silence.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use conntap_core::batch::{Batch, Scan, Wanted};
use conntap_core::model::Gap;

use crate::clock::now_ns;
use crate::namespace::Namespace;
use crate::socket::{Instruction, Slots, Socket};

/// Datagrams a system call.
const SLOTS: usize = 256;
/// Events that arrive within one wait and make the next wait worth while: about 4,000 a second.
const FAST: usize = 4;
/// How long to let events gather while they come fast, unless said. Measured: takes the reader from 5.5 to 1.2 µs an event.
const GATHER: Duration = Duration::from_millis(1);
/// What one small event costs in the kernel's accounting of the receive buffer (skb truesize, seen on 6.18).
const EVENT_TRUESIZE: u32 = 1280;
/// Rows after which a batch is handed on even though more is waiting.
const FULL: usize = 4096;

/// An event may be that much older than its way into the buffer: who made it was preempted in between (10 ms seen).
pub const DISORDER_NS: i64 = 250_000_000;

/// What to listen to, and how.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// Multicast groups by number (1 NEW, 2 UPDATE, 3 DESTROY, 4–6 expectations).
    pub groups: &'a [u32],
    /// Socket filter, run by the kernel.
    pub program: Option<&'a [Instruction]>,
    /// Receive buffer to ask for.
    pub buffer_bytes: u32,
    /// NETLINK_BROADCAST_ERROR and NETLINK_NO_ENOBUFS: the kernel delivers again what did not fit.
    pub reliable: bool,
    /// How long to let events gather while they come fast; None for a millisecond. Who need not show them at once takes
    /// fewer looks.
    pub gather: Option<Duration>,
    pub namespace: Option<&'a Namespace>,
}

/// Counters of a listener. Each loss has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub received: u64,
    /// Events that the kernel dropped because the receive buffer was full.
    pub lost: u64,
    /// Stretches of loss.
    pub gaps: u64,
    /// Datagrams cut because they were larger than any known event.
    pub truncated: u64,
    /// System calls that received something.
    pub reads: u64,
}

/// An event socket.
pub struct Listener {
    socket: Socket,
    slots: Slots,
    counters: Counters,
    /// The kernel's drop counter when it was last read.
    drops: u32,
    /// ENOBUFS was seen: everything is dropped until the queue has been read empty.
    congested: bool,
    /// How many events the receive buffer holds.
    room: u32,
    /// Events came fast the last time: gather for this long before the next read.
    gather: Option<Duration>,
    /// At most so long.
    gather_most: Duration,
    last_read: Instant,
    /// Up to here nothing was lost, as the drop counter said when it was read just behind; a gap begins there.
    intact_ns: i64,
}

/// How a call to [`Listener::receive`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The batch has new rows, or all that came was filtered.
    Received,
    /// Nothing came in time.
    Idle,
    /// A signal came first.
    Interrupted,
}

impl Listener {
    /// Open, join, and filter. Nothing that happens after this returns is missed without being counted.
    pub fn open(options: &Options<'_>) -> io::Result<Self> {
        let socket = match options.namespace {
            Some(namespace) => namespace.run(|| Self::set_up(options))?,
            None => Self::set_up(options)?,
        };
        let room = socket.receive_buffer()? / EVENT_TRUESIZE;
        let intact_ns = now_ns();
        let drops = socket.drops().unwrap_or_default();
        Ok(Self {
            socket,
            slots: Slots::new(SLOTS),
            counters: Counters::default(),
            drops,
            congested: false,
            room,
            gather: None,
            gather_most: options.gather.unwrap_or(GATHER),
            last_read: Instant::now(),
            intact_ns,
        })
    }

    fn set_up(options: &Options<'_>) -> io::Result<Socket> {
        let socket = Socket::open()?;
        socket.set_receive_buffer(options.buffer_bytes)?;
        if options.reliable {
            socket.set_netlink(libc::NETLINK_BROADCAST_ERROR, 1)?;
            socket.set_netlink(libc::NETLINK_NO_ENOBUFS, 1)?;
        }
        // The filter before the groups: no unwanted event is ever queued.
        // The kernel may refuse a long one (net.core.optmem_max): the caller tests every row all the same.
        if let Some(program) = options.program {
            let _ = socket.attach_filter(program);
        }
        for group in options.groups {
            socket.join(*group)?;
        }
        Ok(socket)
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The receive buffer in bytes, as granted.
    pub fn buffer_bytes(&self) -> io::Result<u32> {
        self.socket.receive_buffer()
    }

    /// Append what is there to `batch`, waiting up to `timeout` for a first event (zero: not at all).
    pub fn receive(
        &mut self,
        batch: &mut Batch,
        timeout: Duration,
        wanted: Wanted<'_>,
        scan: &mut Scan,
    ) -> io::Result<Outcome> {
        if let Some(pause) = self.gather.take() {
            std::thread::sleep(pause.min(timeout));
        } else if !timeout.is_zero() && !self.congested {
            match self.socket.wait(Some(timeout)) {
                Ok(true) => {}
                Ok(false) => return Ok(Outcome::Idle),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Outcome::Interrupted),
                Err(error) => return Err(error),
            }
        }
        let mut events = 0_usize;
        let emptied = loop {
            match self.socket.receive_many(&mut self.slots) {
                Ok(count) => {
                    self.take(count, batch, wanted, scan);
                    events = events.saturating_add(count);
                    if count < SLOTS {
                        break true; // fewer than asked for: the queue was empty
                    }
                    if events >= FULL {
                        break false;
                    }
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => break true,
                    Some(libc::EINTR) => {}
                    Some(libc::ENOBUFS) => self.congested = true, // older messages are still queued: read them first
                    _ => return Err(error),
                },
            }
        };
        self.note_loss(batch, emptied)?;
        self.pace(events, emptied);
        Ok(if events == 0 && batch.is_empty() { Outcome::Idle } else { Outcome::Received })
    }

    fn take(&mut self, count: usize, batch: &mut Batch, wanted: Wanted<'_>, scan: &mut Scan) {
        let now = now_ns();
        for (datagram, whole) in self.slots.datagrams(count) {
            if whole {
                batch.append(datagram, now, wanted, scan);
            } else {
                self.counters.truncated = self.counters.truncated.saturating_add(1);
            }
        }
        self.counters.received = self.counters.received.saturating_add(count.try_into().unwrap_or(u64::MAX));
        self.counters.reads = self.counters.reads.saturating_add(1);
    }

    /// Look whether something was dropped. It is told once the queue is empty: it lies behind what was just read.
    fn note_loss(&mut self, batch: &mut Batch, emptied: bool) -> io::Result<()> {
        // The time first: this process may be stopped anywhere, and what is dropped meanwhile belongs behind it.
        let looked_ns = now_ns();
        let drops = self.socket.drops()?;
        let lost = drops.wrapping_sub(self.drops);
        if lost == 0 && !self.congested {
            self.intact_ns = looked_ns;
        } else if emptied {
            // ENOBUFS without a drop: the kernel could not even build the event; nobody knows how many.
            let lost = (lost > 0).then_some(u64::from(lost));
            let after_ns = self.intact_ns.saturating_sub(DISORDER_NS);
            batch.push_gap(&Gap { lost, after_ns, before_ns: now_ns(), ..Gap::default() });
            self.counters.lost = self.counters.lost.saturating_add(lost.unwrap_or_default());
            self.counters.gaps = self.counters.gaps.saturating_add(1);
            self.drops = drops;
            self.congested = false;
            self.intact_ns = looked_ns;
        }
        Ok(())
    }

    /// Decide whether to let events gather before the next read.
    fn pace(&mut self, events: usize, emptied: bool) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.last_read).max(Duration::from_micros(1));
        self.last_read = now;
        if events < FAST || !emptied || took > self.gather_most.saturating_mul(8) {
            return; // slow, or behind: read on at once
        }
        // Never wait so long that a quarter of the receive buffer could fill.
        let each = took / u32::try_from(events).unwrap_or(u32::MAX).max(1);
        let pause = self.gather_most.min(each.saturating_mul(self.room / 4));
        self.gather = (!pause.is_zero()).then_some(pause);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
