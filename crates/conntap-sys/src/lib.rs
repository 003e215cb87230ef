//! The only unsafe code of conntap: netlink sockets, network namespaces, the system clock.
//!
//! Small enough to read in one sitting. Every unsafe block says why it is sound.
