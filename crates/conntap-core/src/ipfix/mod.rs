//! IPFIX (RFC 7011): records as messages that collectors read.
//!
//! [`read::Reader`] is the other way: it reads what others export. [`Exporter`] takes batches of records and writes messages; it does no I/O and knows no clock. docs/ipfix.md has the
//! templates, and why they are as they are.

pub mod elements;
mod exporter;
pub mod message;
pub mod read;
mod record;
pub mod shape;
pub mod template;
pub mod time;

pub use exporter::{Counters, Exporter, MIN_LIMIT, NatEvents, Options, event_shape_of, fields_of, shape_of, shapes};
pub use message::{Messages, Version};
pub use shape::ids;
