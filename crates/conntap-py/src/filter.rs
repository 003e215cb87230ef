//! `Filter`: parse, explain, test.

use std::sync::Arc;

use conntap_core::filter::{Filter as CoreFilter, Resolve};
use conntap_core::model::Kind;
use pyo3::prelude::*;

use crate::errors::FilterError;
use crate::rows::{Event, Expectation, Flow};

/// A compiled filter: docs/filter.md has the language.
#[pyclass(frozen, module = "conntap._core")]
pub struct Filter(pub Arc<CoreFilter>);
