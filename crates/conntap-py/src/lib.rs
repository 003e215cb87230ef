//! `conntap._core`: a list of names with conversions, no logic.

mod address;
mod announced;
mod arrow;
mod bare;
mod batch;
mod collect;
mod engine;
mod errors;
mod fields;
mod filter;
mod find;
mod ipfix;
mod kernel;
mod ledger;
mod lines;
mod packets;
mod pairing;
mod recording;
mod rows;
mod segment;
mod system;
mod text;
mod totals;

use pyo3::prelude::*;

/// The engine room of conntap.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::arrow::{ArrowTable, ColumnsBuilder, arrow_schema, field_names};
    #[pymodule_export]
    use super::bare::BarePackets;
    #[pymodule_export]
    use super::batch::{Batch, Rows};
    #[pymodule_export]
    use super::collect::IpfixReader;
    #[pymodule_export]
    use super::engine::{Engine, ExpectationHandle, HelperCall};
    #[pymodule_export]
    use super::filter::Filter;
    #[pymodule_export]
    use super::find::find_records;
    #[pymodule_export]
    use super::ipfix::IpfixExporter;
    #[pymodule_export]
    use super::kernel::{Dump, Listener, Requests};
    #[pymodule_export]
    use super::ledger::Ledger;
    #[pymodule_export]
    use super::lines::LineFormatter;
    #[pymodule_export]
    use super::packets::{PacketCapture, PacketReader, PacketWriter, Trace, TracedPacket, first_linktype};
    #[pymodule_export]
    use super::pairing::{Binding, Pairing};
    #[pymodule_export]
    use super::recording::{Recorder, RecordingReader};
    #[pymodule_export]
    use super::rows::{Counters, Event, Expectation, Flow, Gap, Record, Tuple};
    #[pymodule_export]
    use super::segment::SegmentBuilder;
    #[pymodule_export]
    use super::system::{now_ns, read_in_namespace, write_in_namespace};
    #[pymodule_export]
    use super::text::Formatter;

    #[pymodule_export]
    #[allow(non_upper_case_globals)] // Python's own name for it
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    const DISORDER_NS: i64 = conntap_sys::listener::DISORDER_NS;
}
