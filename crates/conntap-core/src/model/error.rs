//! The kernel's answer to a request: NLMSG_ERROR and NLMSG_DONE with extended-ack texts.

use crate::wire::constants::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR, NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS};
use crate::wire::{Attrs, DecodeError, Message};

/// An acknowledgement (`errno` 0) or refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelError {
    /// Positive error number; 0 for success.
    pub errno: i32,
    pub seq: u32,
    /// The kernel's own words (extended ack), where it has any.
    pub text: Option<String>,
    /// Offset of the attribute at fault from the start of the request.
    pub offset: Option<u32>,
}

impl KernelError {
    /// Read NLMSG_ERROR or NLMSG_DONE.
    pub fn decode(message: &Message<'_>) -> Result<Self, DecodeError> {
        let have = message.body.len();
        let Some((code, rest)) = message.body.split_first_chunk::<4>() else {
            return Err(DecodeError::Truncated { at: 16, need: 4, have });
        };
        let mut error =
            Self { errno: i32::from_ne_bytes(*code).saturating_neg().max(0), seq: message.seq, ..Self::default() };
        if message.flags & NLM_F_ACK_TLVS != 0 {
            error.read_tlvs(tlvs(message, rest)?)?;
        }
        Ok(error)
    }

    fn read_tlvs(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        for attr in Attrs::new(bytes) {
            let attr = attr?;
            match attr.kind {
                NLMSGERR_ATTR_MSG => self.text = Some(String::from_utf8_lossy(attr.text()).into_owned()),
                NLMSGERR_ATTR_OFFS => self.offset = Some(attr.host32()?),
                _ => {} // POLICY, COOKIE, MISS_*: nothing that a user could act on
            }
        }
        Ok(())
    }
}

/// Where the TLVs begin: behind the status (DONE), the request's header (capped) or the whole request.
fn tlvs<'a>(message: &Message<'a>, rest: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    if message.kind != NLMSG_ERROR {
        return Ok(rest);
    }
    let Some(len) = rest.first_chunk::<4>() else {
        return Err(DecodeError::Truncated { at: 20, need: 16, have: rest.len() });
    };
    let request = if message.flags & NLM_F_CAPPED != 0 {
        16
    } else {
        usize::try_from(u32::from_ne_bytes(*len))
            .unwrap_or(usize::MAX)
            .checked_next_multiple_of(4)
            .unwrap_or(usize::MAX)
    };
    rest.get(request..).ok_or(DecodeError::BadLength { at: 20, len: request, have: rest.len() })
}
