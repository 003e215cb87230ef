//! Asks and changes: one socket, requests with acknowledgements, several in one datagram.

use std::io;
use std::time::Duration;

use conntap_core::batch::{Batch, Control, Scan};
use conntap_core::model::KernelError;

use crate::clock::now_ns;
use crate::dump::Dump;
use crate::namespace::Namespace;
use crate::socket::Socket;

/// The kernel answers requests inside `send`: silence for so long means that no answer will come.
const SILENCE: Duration = Duration::from_secs(10);
const ANSWER: usize = 64 * 1024;
/// Requests sent in one datagram. Their acknowledgements fit the default receive buffer.
pub const TOGETHER: usize = 64;

/// A socket for requests. Dumps run on sockets of their own: the kernel allows one dump a socket.
#[derive(Debug)]
pub struct Requests {
    socket: Socket,
    namespace: Option<Namespace>,
    seq: u32,
}

impl Requests {
    pub fn open(namespace: Option<Namespace>) -> io::Result<Self> {
        let socket = open_socket(namespace.as_ref())?;
        Ok(Self { socket, namespace, seq: 0 })
    }

    /// The namespace that this asks, or None for the process's own.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// A sequence number for the next request.
    pub fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1).max(1);
        self.seq
    }

    /// Begin a dump: `build` makes the request for a sequence number.
    pub fn dump(&mut self, build: impl FnOnce(u32) -> Vec<u8>) -> io::Result<Dump> {
        let seq = self.next_seq();
        Dump::start(open_socket(self.namespace.as_ref())?, &build(seq), seq)
    }

    /// Send one request that carries the ACK flag; rows of the answer go to the batch.
    pub fn ask(&mut self, build: impl FnOnce(u32) -> Vec<u8>) -> io::Result<(Batch, Scan, KernelError)> {
        let seq = self.next_seq();
        let (batch, scan, mut errors) = self.exchange(&build(seq), 1)?;
        Ok((batch, scan, errors.pop().unwrap_or_default()))
    }

    /// Send `count` requests with ACK flags, [`TOGETHER`] at a time; one answer for each, in order.
    /// `build` makes the request of an index for a sequence number.
    pub fn ask_many(
        &mut self,
        count: usize,
        mut build: impl FnMut(usize, u32) -> Vec<u8>,
    ) -> io::Result<Vec<KernelError>> {
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            let together = TOGETHER.min(count.saturating_sub(answers.len()));
            let mut datagram = Vec::new();
            for index in answers.len()..answers.len().saturating_add(together) {
                datagram.extend_from_slice(&build(index, self.next_seq()));
            }
            let (_, _, errors) = self.exchange(&datagram, together)?;
            answers.extend(errors);
        }
        Ok(answers)
    }

    /// Send, then read until `count` acknowledgements have come.
    fn exchange(&mut self, datagram: &[u8], count: usize) -> io::Result<(Batch, Scan, Vec<KernelError>)> {
        self.socket.send(datagram)?;
        let first = self.seq.wrapping_sub(u32::try_from(count).unwrap_or(u32::MAX)).wrapping_add(1);
        let (mut batch, mut scan, mut errors) = (Batch::default(), Scan::default(), Vec::with_capacity(count));
        let mut room = vec![0; ANSWER];
        while errors.len() < count {
            let len = match self.socket.receive(&mut room, false) {
                Ok(len) => len.min(room.len()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.socket.wait(Some(SILENCE)) {
                        Ok(true) => {}
                        Ok(false) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer")),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            batch.append(room.get(..len).unwrap_or_default(), now_ns(), &mut |_, _, _| true, &mut scan);
            for control in std::mem::take(&mut scan.controls) {
                match control {
                    // An answer to an earlier request that was given up on is not ours.
                    Control::Error(error) | Control::Done(error)
                        if error.seq.wrapping_sub(first) < u32::try_from(count).unwrap_or(u32::MAX) =>
                    {
                        errors.push(error);
                    }
                    Control::Error(_) | Control::Done(_) => {}
                }
            }
        }
        Ok((batch, scan, errors))
    }
}

fn open_socket(namespace: Option<&Namespace>) -> io::Result<Socket> {
    match namespace {
        Some(namespace) => namespace.run(Socket::open),
        None => Socket::open(),
    }
}
