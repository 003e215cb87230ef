//! Reads a table. A thread of its own receives, because a dump is the kernel's work done inside `recv`:
//! decoding and formatting then cost no time where a second core is to be had.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use conntap_core::wire::Messages;
use conntap_core::wire::constants::{NLMSG_DONE, NLMSG_ERROR};

use crate::socket::Socket;

/// The kernel fills at most 32 KiB a datagram once it has seen a buffer that large.
const DATAGRAM: usize = 64 * 1024;
/// Memory handed over at a time. Small tables end far below it.
const CHUNK: usize = 1024 * 1024;
/// Chunks between the two threads: bounds memory to a few MiB.
const AHEAD: usize = 3;
/// The kernel answers a dump inside `recv`: silence for so long means that it will never end.
const SILENCE: Duration = Duration::from_secs(10);

/// Some of a dump's datagrams, back to back.
#[derive(Debug, Default)]
pub struct Chunk {
    pub bytes: Vec<u8>,
    /// Start and length of each datagram.
    pub parts: Vec<(usize, usize)>,
}

/// How a wait for a chunk ended.
#[derive(Debug)]
pub enum Next {
    Chunk(Chunk),
    /// The socket failed; what arrived before has been handed over.
    Failed(io::Error),
    End,
    NotYet,
}

/// A running dump. Dropping it ends the thread.
#[derive(Debug)]
pub struct Dump {
    chunks: Receiver<io::Result<Chunk>>,
    empties: SyncSender<Vec<u8>>,
}

impl Dump {
    /// Send `request` (a dump with sequence number `seq`) on a socket of its own and begin to read.
    pub fn start(socket: Socket, request: &[u8], seq: u32) -> io::Result<Self> {
        socket.send(request)?;
        let (send, chunks) = sync_channel(AHEAD);
        let (empties, recycled) = sync_channel(AHEAD + 2);
        std::thread::Builder::new().name("conntap-dump".into()).spawn(move || read(&socket, seq, &send, &recycled))?;
        Ok(Self { chunks, empties })
    }

    /// Wait up to `timeout` for the next chunk. The end itself (DONE or error) is a message in the last chunk.
    pub fn next(&mut self, timeout: Duration) -> Next {
        match self.chunks.recv_timeout(timeout) {
            Ok(Ok(chunk)) => Next::Chunk(chunk),
            Ok(Err(error)) => Next::Failed(error),
            Err(RecvTimeoutError::Disconnected) => Next::End,
            Err(RecvTimeoutError::Timeout) => Next::NotYet,
        }
    }

    /// Give memory back for use in a later chunk.
    pub fn recycle(&self, bytes: Vec<u8>) {
        match self.empties.try_send(bytes) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

fn read(socket: &Socket, seq: u32, chunks: &SyncSender<io::Result<Chunk>>, recycled: &Receiver<Vec<u8>>) {
    loop {
        let mut chunk = Chunk { bytes: recycled.try_recv().unwrap_or_default(), parts: Vec::with_capacity(32) };
        chunk.bytes.resize(CHUNK, 0);
        let ended = match fill(socket, seq, &mut chunk) {
            Ok(ended) => ended,
            Err(error) => {
                // Rows that did arrive come first; the reader may have gone, then nobody is left to tell.
                let _ = chunks.send(Ok(chunk));
                let _ = chunks.send(Err(error));
                return;
            }
        };
        if chunks.send(Ok(chunk)).is_err() || ended {
            return;
        }
    }
}

/// Receive until the chunk is full (false) or the dump has ended (true).
fn fill(socket: &Socket, seq: u32, chunk: &mut Chunk) -> io::Result<bool> {
    let mut at = 0_usize;
    loop {
        let Some(room) = chunk.bytes.get_mut(at..).filter(|room| room.len() >= DATAGRAM) else { return Ok(false) };
        let len = receive(socket, room)?;
        if len > room.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a dump datagram was larger than 64 KiB and was cut",
            ));
        }
        chunk.parts.push((at, len));
        if ends(room.get(..len).unwrap_or_default(), seq) {
            return Ok(true);
        }
        at = at.saturating_add(len.next_multiple_of(4));
    }
}

fn receive(socket: &Socket, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.receive(room, false) {
            Ok(len) => return Ok(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match socket.wait(Some(SILENCE)) {
            Ok(true) => {}
            Ok(false) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not finish the dump")),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// True when the datagram holds the dump's DONE or an error (or bare acknowledgement) for it.
fn ends(datagram: &[u8], seq: u32) -> bool {
    Messages::new(datagram)
        .filter_map(Result::ok)
        .any(|(_, message)| matches!(message.kind, NLMSG_DONE | NLMSG_ERROR) && message.seq == seq)
}
