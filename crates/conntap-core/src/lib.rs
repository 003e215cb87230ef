//! Connection tracking as values: bytes in, values out.
//!
//! No I/O, no clock, no global state, no unsafe code, no panic on outside data. Everything that a caller
//! hands in is checked once, where it enters ([`batch::Batch::scan`]); after that the types say so.
//!
//! Reading order: [`wire`] (bytes) → [`model`] (meaning) → [`batch`] (many messages) → [`filter`], [`text`], [`columns`].
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

pub mod batch;
pub mod capture;
pub mod columns;
pub mod engine;
pub mod filter;
pub mod ipfix;
pub mod json;
pub mod ledger;
pub mod model;
pub mod packet;
pub mod pairing;
pub mod recording;
pub mod text;
pub mod wire;
