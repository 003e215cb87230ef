//! Which rows a user wants: a language like tcpdump's over flows, expectations and events (docs/filter.md).
//!
//! [`Filter::parse`] reads the text, [`Filter::matches`] decides on a row. Parts of a filter can run in the kernel:
//! [`Filter::bpf`] on an event socket, [`Filter::dump_plan`] in a dump request. Both let at least the wanted rows
//! through, never fewer, so every row is put to `matches` again and the result is the same whoever filtered.
//!
//! A test of a field that a row lacks is false, `not` turns that round; there is no third value.

mod ast;
mod display;
mod error;
mod eval;
mod lex;
mod parse;
mod values;
mod words;

use std::sync::Arc;

pub use error::FilterError;

use crate::model::{Content, Kind};
use crate::wire::Message;
use ast::{EVENT_KINDS, Node, Test};

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
