//! What the fuzz targets do, one module each, with its invariant on top.
//!
//! Apart from the targets so that `cargo test` runs the committed corpus through the same code without a fuzzer
//! (crates/conntap-core/tests/fuzz_corpus.rs includes this file).

pub mod engine;
pub mod filter_parse;
pub mod forge;
pub mod gateway;
pub mod ipfix_read;
pub mod packet;
pub mod recording_read;
pub mod sequence;
pub mod wire_decode;

/// A target by name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets; the names are those of fuzz_targets/ and corpus/.
pub const TARGETS: &[Target] = &[
    ("engine", engine::run),
    ("filter_parse", filter_parse::run),
    ("ipfix_read", ipfix_read::run),
    ("packet", packet::run),
    ("recording_read", recording_read::run),
    ("sequence", sequence::run),
    ("wire_decode", wire_decode::run),
];
