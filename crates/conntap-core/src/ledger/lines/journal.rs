//! What journald takes on its own socket: a field a line, one record a datagram. No value of ours holds a line end.

use super::chosen::Chosen;
use super::params::{Form, Params, Scratch};
use super::sentence::sentence;
use super::syslog::severity_of;
use crate::batch::Row;
use crate::columns::visit;
use crate::model::Content;
use crate::text::bytes::decimal;
use crate::wire::Message;

/// The style.
#[derive(Clone, Debug)]
pub struct Journal {
    pub facility: u8,
    pub severity: u8,
    /// SYSLOG_IDENTIFIER: printable ASCII.
    pub app: Vec<u8>,
}

impl Journal {
    pub(super) fn row(
        &self,
        out: &mut Vec<u8>,
        (row, message, content): (&Row, &Message<'_>, &Content<'_>),
        chosen: &Chosen,
        scratch: &mut Scratch,
    ) {
        out.extend_from_slice(b"MESSAGE=");
        sentence(out, row, content);
        out.extend_from_slice(b"\nPRIORITY=");
        decimal(out, severity_of(row, self.severity).into());
        out.extend_from_slice(b"\nSYSLOG_FACILITY=");
        decimal(out, self.facility.into());
        out.extend_from_slice(b"\nSYSLOG_IDENTIFIER=");
        out.extend_from_slice(&self.app);
        out.push(b'\n');
        // The whole reply tuple: fields can be asked for one by one (`journalctl CONNTAP_REPLY_DST=…`).
        visit(row, message, content, &mut Params::new(out, scratch, Form::Journal, chosen, true, false));
        scratch.append_optional(out, usize::MAX);
    }
}
