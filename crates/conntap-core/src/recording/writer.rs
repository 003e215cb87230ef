//! Writes a recording: section, interface, one enhanced packet block a message, statistics at the end.
//!
//! Everything is in this machine's byte order, for so are the netlink headers inside, and readers conclude from
//! the section's order to theirs.

use super::*;
use crate::capture::block;
use crate::model::Gap;
use crate::wire::Message;
use crate::wire::constants::NLMSG_OVERRUN;

/// What a recording says about itself. Empty texts are left out.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The machine, e.g. `x86_64`.
    pub hardware: &'a str,
    /// The kernel, e.g. `Linux 6.18.44`.
    pub os: &'a str,
    pub application: &'a str,
    pub interface: &'a str,
    /// More about where the messages come from, e.g. the namespace.
    pub description: &'a str,
    /// The filter that was in force, as typed.
    pub filter: &'a str,
    pub comment: &'a str,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            hardware: "",
            os: "",
            application: concat!("conntap ", env!("CARGO_PKG_VERSION")),
            interface: "nfnetlink",
            description: "",
            filter: "",
            comment: "",
        }
    }
}

/// The header before each message: from the kernel to a program.
const COOKED: [u8; COOKED_LEN] = {
    let [t0, t1] = PACKET_USER.to_be_bytes();
    let [h0, h1] = ARPHRD_NETLINK.to_be_bytes();
    let [p0, p1] = NETLINK_NETFILTER.to_be_bytes();
    [t0, t1, h0, h1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, p0, p1]
};

/// A recording in the making. Appends to the caller's buffer; holds no bytes itself.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// The last packet was a GAP with this count.
    lost: Option<u64>,
}

impl Writer {
    /// Begin a recording; the bytes are its head.
    #[must_use]
    pub fn new(options: &Options<'_>) -> (Self, Vec<u8>) {
        let mut out = Vec::with_capacity(256);
        block::section(&mut out, options.comment, options.hardware, options.os, options.application);
        let interface = block::Interface {
            linktype: LINKTYPE_NETLINK,
            snaplen: 0,
            name: options.interface,
            description: options.description,
            filter: options.filter,
        };
        interface.write(&mut out);
        (Self::default(), out)
    }

    /// Append one message (or a whole datagram) to `out`.
    ///
    /// `lost_before` goes into `epb_dropcount`; None takes the count of the GAP message written last, if the
    /// last one was a GAP. Times before 1970 are written as 0.
    ///
    /// # Errors
    /// [`RecordingError::TooLong`] if the message does not fit a block; nothing is written then.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        message: &[u8],
        received_ns: i64,
        lost_before: Option<u64>,
    ) -> Result<(), RecordingError> {
        let dropcount = lost_before.or(self.lost);
        block::packet(out, 0, received_ns, &[&COOKED, message], None, dropcount)?;
        self.lost = gap_of(message).and_then(|gap| gap.lost);
        Ok(())
    }

    /// Append the interface statistics: the last block.
    pub fn finish(self, out: &mut Vec<u8>, statistics: &Statistics) {
        block::statistics(out, 0, statistics);
    }
}

/// The gap that a message reports, if it is a GAP.
pub(super) fn gap_of(message: &[u8]) -> Option<Gap> {
    let message = Message::parse(message).ok().filter(|message| message.kind == NLMSG_OVERRUN)?;
    Gap::decode(&message).ok()
}
