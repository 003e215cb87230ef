//! Writes captures: pcapng, or classic pcap for programs that know nothing else. Times are in nanoseconds in both.

use super::*;

/// The file format to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    PcapNg,
    /// One link type, no texts, no drop counts, no totals; times from 1970 to 2106.
    Pcap,
}

/// What a capture says about itself. Empty texts are left out.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    pub format: Format,
    /// The link type of the first interface; others are described when a frame of theirs comes.
    pub linktype: u16,
    /// The most bytes of a frame that were captured; 0: no limit.
    pub snaplen: u32,
    /// The machine, e.g. `x86_64`.
    pub hardware: &'a str,
    /// The kernel, e.g. `Linux 6.18.44`.
    pub os: &'a str,
    pub application: &'a str,
    pub interface: &'a str,
    /// More about where the frames come from, e.g. the namespace.
    pub description: &'a str,
    /// The filter that was in force, as typed.
    pub filter: &'a str,
    pub comment: &'a str,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            format: Format::PcapNg,
            linktype: crate::packet::linktype::RAW,
            snaplen: 0,
            hardware: "",
            os: "",
            application: concat!("conntap ", env!("CARGO_PKG_VERSION")),
            interface: "",
            description: "",
            filter: "",
            comment: "",
        }
    }
}

/// What a classic file says where there is no limit: the longest that readers take.
const SNAPLEN_MAX: u32 = 262_144;

/// A capture in the making. Appends to the caller's buffer; holds no frames itself.
#[derive(Clone, Debug)]
pub struct Writer {
    format: Format,
    snaplen: u32,
    /// The link type of each interface described so far.
    linktypes: Vec<u16>,
}

impl Writer {
    /// Begin a capture; the bytes are its head.
    #[must_use]
    pub fn new(options: &Options<'_>) -> (Self, Vec<u8>) {
        let mut out = Vec::with_capacity(256);
        match options.format {
            Format::PcapNg => {
                block::section(&mut out, options.comment, options.hardware, options.os, options.application);
                let interface = block::Interface {
                    linktype: options.linktype,
                    snaplen: options.snaplen,
                    name: options.interface,
                    description: options.description,
                    filter: options.filter,
                };
                interface.write(&mut out);
            }
            Format::Pcap => {
                out.extend_from_slice(&PCAP_NANO.to_ne_bytes());
                out.extend_from_slice(&2u16.to_ne_bytes()); // version 2.4
                out.extend_from_slice(&4u16.to_ne_bytes());
                out.extend_from_slice(&[0; 8]);
                let snaplen = if options.snaplen == 0 { SNAPLEN_MAX } else { options.snaplen };
                out.extend_from_slice(&snaplen.to_ne_bytes());
                out.extend_from_slice(&u32::from(options.linktype).to_ne_bytes());
            }
        }
        (Self { format: options.format, snaplen: options.snaplen, linktypes: vec![options.linktype] }, out)
    }

    /// Append a frame to `out`. Its interface number is not kept: each link type has one interface. Times before 1970
    /// are written as 0.
    ///
    /// # Errors
    /// [`CaptureError::TooLong`] if the frame does not fit a block, [`CaptureError::Linktype`] if it does not fit a
    /// classic file; nothing is written then.
    pub fn write(&mut self, out: &mut Vec<u8>, frame: &Frame<'_>) -> Result<(), CaptureError> {
        if frame.bytes.len() > MAX_BLOCK.saturating_sub(64) {
            return Err(CaptureError::TooLong { at: 0, len: frame.bytes.len() });
        }
        match self.format {
            Format::PcapNg => {
                let interface = self.interface(out, frame.linktype);
                let original_len = Some(frame.original_len);
                block::packet(out, interface, frame.time_ns, &[&[], frame.bytes], original_len, frame.dropcount)
            }
            Format::Pcap => {
                let file = self.linktypes.first().copied().unwrap_or_default();
                if frame.linktype != file {
                    return Err(CaptureError::Linktype { linktype: frame.linktype, file });
                }
                let time_ns = frame.time_ns.max(0);
                let (seconds, fraction) = (time_ns.div_euclid(1_000_000_000), time_ns.rem_euclid(1_000_000_000));
                let len = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&u32::try_from(seconds).unwrap_or(u32::MAX).to_ne_bytes());
                out.extend_from_slice(&u32::try_from(fraction).unwrap_or_default().to_ne_bytes());
                out.extend_from_slice(&len.to_ne_bytes());
                out.extend_from_slice(&frame.original_len.to_ne_bytes());
                out.extend_from_slice(frame.bytes);
                Ok(())
            }
        }
    }

    /// Append the capture's totals, where the format has a place for them: the last block.
    pub fn finish(self, out: &mut Vec<u8>, statistics: &Statistics) {
        if self.format == Format::PcapNg {
            block::statistics(out, 0, statistics);
        }
    }

    /// The number of the interface of a link type; described now if there was none.
    fn interface(&mut self, out: &mut Vec<u8>, linktype: u16) -> u32 {
        let at = self.linktypes.iter().position(|known| *known == linktype).unwrap_or_else(|| {
            block::Interface { linktype, snaplen: self.snaplen, name: "", description: "", filter: "" }.write(out);
            self.linktypes.push(linktype);
            self.linktypes.len().saturating_sub(1)
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}
