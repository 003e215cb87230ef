//! The only unsafe code of conntap: netlink and packet sockets, network namespaces, the system clock.
//!
//! Small enough to read in one sitting. Every unsafe block says why it is sound. [`socket`] wraps system calls
//! one to one; [`listener`] reads events, [`dump`] reads tables, [`request`] asks and changes, [`packet`] captures.

pub mod clock;
pub mod dump;
pub mod listener;
pub mod namespace;
mod options;
pub mod packet;
pub mod request;
pub mod socket;
