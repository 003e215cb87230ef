//! Request fields from a Python mapping: the names of docs/fields.md where a request has the same field; tuples of
//! expectations as tuple_*, mask_*, master_*; `nat_src`, `seq_adj_orig`, `synproxy` … as Python tuples of their parts.

use std::net::IpAddr;

use conntap_core::model::{Expectation, Flow, NatRange, ProtoInfo, SeqAdj, Synproxy, Tuple};
use conntap_core::wire::constants::{AF_INET, AF_INET6, AF_UNSPEC};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::address;
use crate::errors::UsageError;

/// Values of a request. Texts are owned here and borrowed by [`Fields::flow`].
#[derive(Default)]
pub struct Fields {
    flow: Flow<'static>,
    expectation: Expectation<'static>,
    helper: Option<Vec<u8>>,
    helper_info: Option<Vec<u8>>,
    labels: Option<Vec<u8>>,
    labels_mask: Option<Vec<u8>>,
    function: Option<Vec<u8>>,
    secctx: Option<Vec<u8>>,
}

impl Fields {
    /// Read `fields`; an unknown name or a value of the wrong type is the caller's mistake.
    pub fn read(fields: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut read = Self::default();
        for (name, value) in fields.iter() {
            if value.is_none() {
                continue;
            }
            let name: String = name.extract()?;
            read.set(&name, &value)?;
        }
        read.settle();
        Ok(read)
    }

    /// The flow that the fields describe.
    pub fn flow(&self) -> Flow<'_> {
        Flow {
            helper: self.helper.as_deref(),
            helper_info: self.helper_info.as_deref(),
            labels: self.labels.as_deref(),
            labels_mask: self.labels_mask.as_deref(),
            secctx: self.secctx.as_deref(),
            ..self.flow.clone()
        }
    }

    /// The expectation that the fields describe.
    pub fn expectation(&self) -> Expectation<'_> {
        Expectation {
            family: self.flow.family,
            helper: self.helper.as_deref(),
            function: self.function.as_deref(),
            timeout: self.flow.timeout,
            zone: self.flow.zone,
            id: self.flow.id,
            master: self.flow.master.unwrap_or_default(),
            ..self.expectation.clone()
        }
    }

    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let sides: [(&str, &mut Tuple); 5] = [
            ("orig_", &mut self.flow.orig),
            ("reply_", &mut self.flow.reply),
            ("master_", self.flow.master.get_or_insert_default()),
            ("tuple_", &mut self.expectation.tuple),
            ("mask_", &mut self.expectation.mask),
        ];
        for (prefix, tuple) in sides {
            if let Some(part) = name.strip_prefix(prefix)
                && set_tuple(tuple, part, value)?
            {
                return Ok(());
            }
        }
        self.set_plain(name, value)
    }

    fn set_plain(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let flow = &mut self.flow;
        match name {
            "family" => flow.family = value.extract()?,
            "l4proto" => {
                let number = Some(value.extract()?);
                flow.orig.l4proto = number;
                flow.reply.l4proto = number;
            }
            "status" => flow.status = Some(value.extract()?),
            "status_mask" => flow.status_mask = Some(value.extract()?),
            "timeout" => flow.timeout = Some(value.extract()?),
            "mark" => flow.mark = Some(value.extract()?),
            "mark_mask" => flow.mark_mask = Some(value.extract()?),
            "zone" => flow.zone = Some(value.extract()?),
            "id" => flow.id = Some(value.extract()?),
            "helper" => self.helper = Some(value.extract::<String>()?.into_bytes()),
            "helper_info" => self.helper_info = Some(value.extract()?),
            "secctx" => self.secctx = Some(value.extract::<String>()?.into_bytes()),
            "labels" => self.labels = Some(value.extract()?),
            "labels_mask" => self.labels_mask = Some(value.extract()?),
            "nat_src" => flow.nat_src = Some(nat_range(value)?),
            "nat_dst" => flow.nat_dst = Some(nat_range(value)?),
            "seq_adj_orig" => flow.seq_adj_orig = Some(seq_adj(value)?),
            "seq_adj_reply" => flow.seq_adj_reply = Some(seq_adj(value)?),
            "synproxy" => {
                let (isn, its, tsoff) = value.extract()?;
                flow.synproxy = Some(Synproxy { isn: Some(isn), its: Some(its), tsoff: Some(tsoff) });
            }
            "flags" => self.expectation.flags = Some(value.extract()?),
            "class_" => self.expectation.class = Some(value.extract()?),
            "function" => self.function = Some(value.extract::<String>()?.into_bytes()),
            "nat_dir" => self.expectation.nat_dir = Some(value.extract()?),
            _ => return self.set_proto(name, value),
        }
        Ok(())
    }

    fn set_proto(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let info = &mut self.flow.protoinfo;
        if name.starts_with("tcp_") {
            let empty = ProtoInfo::Tcp {
                state: None,
                wscale_orig: None,
                wscale_reply: None,
                flags_orig: None,
                flags_reply: None,
            };
            if let ProtoInfo::Tcp { state, wscale_orig, wscale_reply, flags_orig, flags_reply } =
                info.get_or_insert(empty)
            {
                match name {
                    "tcp_state" => *state = Some(value.extract()?),
                    "tcp_wscale_orig" => *wscale_orig = Some(value.extract()?),
                    "tcp_wscale_reply" => *wscale_reply = Some(value.extract()?),
                    "tcp_flags_orig" => *flags_orig = Some(value.extract()?),
                    "tcp_flags_reply" => *flags_reply = Some(value.extract()?),
                    _ => return Err(unknown(name)),
                }
            }
        } else if name.starts_with("sctp_") {
            let empty = ProtoInfo::Sctp { state: None, vtag_orig: None, vtag_reply: None };
            if let ProtoInfo::Sctp { state, vtag_orig, vtag_reply } = info.get_or_insert(empty) {
                match name {
                    "sctp_state" => *state = Some(value.extract()?),
                    "sctp_vtag_orig" => *vtag_orig = Some(value.extract()?),
                    "sctp_vtag_reply" => *vtag_reply = Some(value.extract()?),
                    _ => return Err(unknown(name)),
                }
            }
        } else if name.starts_with("dccp_") {
            let empty = ProtoInfo::Dccp { state: None, role: None, handshake_seq: None };
            if let ProtoInfo::Dccp { state, role, handshake_seq } = info.get_or_insert(empty) {
                match name {
                    "dccp_state" => *state = Some(value.extract()?),
                    "dccp_role" => *role = Some(value.extract()?),
                    "dccp_handshake_seq" => *handshake_seq = Some(value.extract()?),
                    _ => return Err(unknown(name)),
                }
            }
        } else {
            return Err(unknown(name));
        }
        Ok(())
    }

    /// Fill in what follows from the rest: the family, the protocol of the other side.
    fn settle(&mut self) {
        if self.flow.master.is_some_and(|tuple| tuple.is_empty()) {
            self.flow.master = None;
        }
        for tuple in [&mut self.flow.orig, &mut self.flow.reply] {
            if tuple.src.is_none() && tuple.dst.is_none() {
                *tuple = Tuple::default();
            }
        }
        if self.flow.family == AF_UNSPEC {
            let tuples =
                [self.flow.orig, self.flow.reply, self.expectation.tuple, self.flow.master.unwrap_or_default()];
            self.flow.family = match tuples.iter().find_map(|tuple| tuple.src.or(tuple.dst)) {
                Some(IpAddr::V4(_)) => AF_INET,
                Some(IpAddr::V6(_)) => AF_INET6,
                None => AF_UNSPEC,
            };
        }
    }
}

fn unknown(name: &str) -> PyErr {
    UsageError::new_err(format!("unknown field '{name}'"))
}

fn set_tuple(tuple: &mut Tuple, part: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match part {
        "src" => tuple.src = Some(address::from_python(value)?),
        "dst" => tuple.dst = Some(address::from_python(value)?),
        "l4proto" => tuple.l4proto = Some(value.extract()?),
        "sport" => tuple.sport = Some(value.extract()?),
        "dport" => tuple.dport = Some(value.extract()?),
        "icmp_type" => tuple.icmp_type = Some(value.extract()?),
        "icmp_code" => tuple.icmp_code = Some(value.extract()?),
        "icmp_id" => tuple.icmp_id = Some(value.extract()?),
        "zone" => tuple.zone = Some(value.extract()?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// (address or None, port or None): where NAT shall lead.
fn nat_range(value: &Bound<'_, PyAny>) -> PyResult<NatRange> {
    let (address, port): (Option<Bound<'_, PyAny>>, Option<u16>) = value.extract()?;
    let address = address.map(|address| address::from_python(&address)).transpose()?;
    Ok(NatRange { min: address, max: address, port_min: port, port_max: port })
}

fn seq_adj(value: &Bound<'_, PyAny>) -> PyResult<SeqAdj> {
    let (position, before, after) = value.extract()?;
    Ok(SeqAdj { correction_pos: Some(position), offset_before: Some(before), offset_after: Some(after) })
}
