//! Which rows a user wants: a language like tcpdump's over flows, expectations and events (docs/filter.md).
//!
//! [`Filter::parse`] reads the text, [`Filter::matches`] decides on a row. Parts of a filter can run in the kernel:
//! [`Filter::bpf`] on an event socket, [`Filter::dump_plan`] in a dump request. Both let at least the wanted rows
//! through, never fewer, so every row is put to `matches` again and the result is the same whoever filtered.
//!
//! A test of a field that a row lacks is false, `not` turns that round; there is no third value.

mod asm;
mod ast;
mod bpf;
mod display;
mod dump;
mod error;
mod eval;
mod explain;
mod lex;
mod parse;
mod reduce;
mod sql;
mod values;
mod words;

use std::sync::Arc;

pub use asm::Insn;
pub use bpf::Program;
pub use dump::{DumpPlan, Quirks};
pub use error::FilterError;
pub use sql::SqlError;

use crate::model::{Content, Kind};
use crate::wire::Message;
use crate::wire::constants::*;
use ast::{EVENT_KINDS, Node, Test, kind_bit};
use reduce::{Goal, reduce};

/// Names that the core cannot know, since it does no I/O.
pub trait Resolve {
    /// The port of a service.
    fn service(&self, _name: &str) -> Option<u16> {
        None
    }

    /// The bit of a connection label.
    fn label(&self, _name: &str) -> Option<u16> {
        None
    }

    /// The number of an IP protocol that has no tracker of its own.
    fn protocol(&self, _name: &str) -> Option<u8> {
        None
    }
}

/// Knows no names: numbers only.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Resolve for NoNames {}

/// Multicast groups and what they carry (nfnetlink_compat.h, NFNLGRP_*).
const GROUPS: [(u32, Kind); 6] = [
    (GROUP_NEW, Kind::New),
    (GROUP_UPDATE, Kind::Update),
    (GROUP_DESTROY, Kind::Destroy),
    (GROUP_EXP_NEW, Kind::ExpNew),
    (GROUP_EXP_UPDATE, Kind::ExpUpdate),
    (GROUP_EXP_DESTROY, Kind::ExpDestroy),
];

/// A compiled filter. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    node: Arc<Node>,
}

impl Default for Filter {
    /// Everything passes.
    fn default() -> Self {
        Self { node: Arc::new(Node::Const(true)) }
    }
}

impl Filter {
    /// Read a filter text. Empty text lets everything pass.
    pub fn parse(text: &str, resolve: &dyn Resolve) -> Result<Self, FilterError> {
        Ok(Self { node: Arc::new(parse::parse(text, resolve)?) })
    }

    /// Does this row pass? Gap rows always do.
    #[inline]
    #[must_use]
    pub fn matches(&self, kind: Kind, content: &Content<'_>, message: &Message<'_>) -> bool {
        eval::matches(&self.node, kind, content, message)
    }

    /// True when every row passes.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self.node == Node::Const(true)
    }

    /// Does it name event kinds (`new`, `update` …)? On a dump no row is of such a kind, so that is a mistake there.
    #[must_use]
    pub fn uses_event_kinds(&self) -> bool {
        any_test(&self.node, &|test| matches!(test, Test::Kinds(kinds) if kinds & !EVENT_KINDS == 0))
    }

    /// Multicast groups whose messages can pass: bit `group - 1`, as in `sockaddr_nl.nl_groups`.
    #[must_use]
    pub fn groups(&self) -> u32 {
        GROUPS
            .iter()
            .filter(|(_, kind)| reduce(&self.node, kind_bit(*kind)) != Goal::Const(false))
            .fold(0, |mask, (group, _)| mask | 1u32.wrapping_shl(group.saturating_sub(1)))
    }

    /// The part of this filter that a socket for events can do in the kernel. None where it could not drop anything.
    ///
    /// Lets through every row that [`Self::matches`] would, and every message that is no row. The kernel may refuse
    /// to attach a long program (sysctl net.core.optmem_max): go on without it then.
    #[must_use]
    pub fn bpf(&self) -> Option<Program> {
        bpf::compile(&self.node)
    }

    /// The part of this filter that a dump of flows can ask the kernel for.
    ///
    /// Not for flushes: there a criterion that an old kernel ignores would delete too much.
    #[must_use]
    pub fn dump_plan(&self, quirks: &Quirks) -> DumpPlan {
        dump::flows(&self.node, quirks)
    }

    /// The same for a dump of expectations: the family at most.
    #[must_use]
    pub fn expectation_dump_plan(&self) -> DumpPlan {
        dump::expectations(&self.node)
    }

    /// A condition in SQL over the columns of a ledger's segments, which holds for the records that pass.
    pub fn sql(&self) -> Result<String, SqlError> {
        sql::condition(&self.node)
    }

    /// What runs in the kernel and what here, in several lines of words.
    #[must_use]
    pub fn explain(&self) -> String {
        explain::explain(self)
    }
}

/// The canonical text, which parses back to the same filter.
impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.node.fmt(f)
    }
}

/// Is there a test for which `is` holds?
fn any_test(node: &Node, is: &impl Fn(&Test) -> bool) -> bool {
    match node {
        Node::Const(_) => false,
        Node::Not(inner) => any_test(inner, is),
        Node::And(parts) | Node::Or(parts) => parts.iter().any(|part| any_test(part, is)),
        Node::Test(test) => is(test),
    }
}
