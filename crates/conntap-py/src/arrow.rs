//! Arrow columns by the C data interface (PyCapsules): polars, pandas, duckdb and pyarrow read them without a copy.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use ::arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator, StructArray, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use conntap_core::columns::{Column, Columns, Data, FIELDS, Type};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::batch::Batch;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = FIELDS.iter().map(|(_, name, kind)| Field::new(*name, data_type(*kind), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// Zeros that all columns without any value share.
static ZEROS: LazyLock<Mutex<Buffer>> = LazyLock::new(|| Mutex::new(Buffer::from_vec(vec![0_u8; 64 * 1024])));

pub fn data_type(kind: Type) -> DataType {
    match kind {
        Type::U8 => DataType::UInt8,
        Type::U16 => DataType::UInt16,
        Type::U32 => DataType::UInt32,
        Type::U64 => DataType::UInt64,
        Type::I32 => DataType::Int32,
        Type::I64 => DataType::Int64,
        Type::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Type::Address | Type::Labels => DataType::FixedSizeBinary(16),
        Type::Text => DataType::Utf8,
    }
}

fn zeros(bytes: usize) -> Buffer {
    let mut shared = ZEROS.lock().unwrap_or_else(PoisonError::into_inner);
    if shared.len() < bytes {
        *shared = Buffer::from_vec(vec![0_u8; bytes.next_power_of_two()]);
    }
    shared.slice_with_length(0, bytes)
}

pub fn arrow(error: &ArrowError) -> PyErr {
    PyRuntimeError::new_err(format!("arrow: {error}"))
}

fn record_batch(columns: Columns) -> Result<RecordBatch, ArrowError> {
    let rows = columns.rows();
    record_batch_of(columns.into_columns(), rows, &SCHEMA)
}

/// Columns in the order of the schema's fields; None where no row has a value.
pub fn record_batch_of(
    columns: Vec<Option<Column>>,
    rows: usize,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.into_iter().zip(schema.fields()).map(|(column, field)| match column {
        Some(column) => filled(column, field.data_type(), rows),
        None => empty(field.data_type(), rows),
    });
    RecordBatch::try_new(Arc::clone(schema), arrays.collect::<Result<Vec<_>, _>>()?)
}

fn filled(column: Column, kind: &DataType, rows: usize) -> Result<ArrayRef, ArrowError> {
    let nulls = column.validity.map(|bits| NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows)));
    let buffers = match column.data {
        Data::U8(values) => vec![Buffer::from_vec(values)],
        Data::U16(values) => vec![Buffer::from_vec(values)],
        Data::U32(values) => vec![Buffer::from_vec(values)],
        Data::U64(values) => vec![Buffer::from_vec(values)],
        Data::I32(values) => vec![Buffer::from_vec(values)],
        Data::Time(values) => vec![Buffer::from_vec(values)],
        Data::Bytes16(values) => vec![Buffer::from_vec(values.into_flattened())],
        Data::Text(offsets, bytes) => vec![Buffer::from_vec(offsets), Buffer::from_vec(bytes)],
    };
    array(kind, rows, nulls, buffers)
}

/// A column that no row has: shared zeros under a validity bitmap of shared zeros.
fn empty(kind: &DataType, rows: usize) -> Result<ArrayRef, ArrowError> {
    let width = match kind {
        DataType::FixedSizeBinary(_) => 16,
        other => other.primitive_width().unwrap_or(4), // texts: offsets
    };
    let nulls = NullBuffer::new(BooleanBuffer::new(zeros(rows.div_ceil(8)), 0, rows));
    let buffers = match kind {
        DataType::Utf8 => vec![zeros((rows + 1) * width), zeros(0)],
        _ => vec![zeros(rows * width)],
    };
    array(kind, rows, Some(nulls), buffers)
}

/// Assemble and check: lengths, offsets, UTF-8.
fn array(
    kind: &DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
    buffers: Vec<Buffer>,
) -> Result<ArrayRef, ArrowError> {
    let data = ArrayData::builder(kind.clone()).len(rows).nulls(nulls).buffers(buffers).align_buffers(true).build()?;
    Ok(make_array(data))
}

/// The names of all fields, in the columns' order (docs/fields.md).
#[pyfunction]
pub fn field_names() -> Vec<&'static str> {
    FIELDS.iter().map(|(_, name, _)| *name).collect()
}

/// The Arrow schema of every batch and table.
#[pyfunction]
pub fn arrow_schema(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
    schema_capsule(py, &SCHEMA)
}

fn schema_capsule<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(|error| arrow(&error))?;
    PyCapsule::new_with_value(py, schema, c_str!("arrow_schema"))
}

/// Schema and array capsules of one batch.
pub fn batch_capsules<'py>(py: Python<'py>, batch: &Batch) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
    let made = py.detach(|| record_batch(Columns::of(&batch.0))).map_err(|error| arrow(&error))?;
    let array = StructArray::from(made).to_data();
    let schema = FFI_ArrowSchema::try_from(array.data_type()).map_err(|error| arrow(&error))?;
    Ok((
        PyCapsule::new_with_value(py, schema, c_str!("arrow_schema"))?,
        PyCapsule::new_with_value(py, FFI_ArrowArray::new(&array), c_str!("arrow_array"))?,
    ))
}

/// Rows as Arrow columns: `polars.DataFrame(table)`, `pyarrow.table(table)`, `duckdb`, `pandas` take it.
#[pyclass(frozen, module = "conntap._core")]
pub struct ArrowTable {
    pub batches: Vec<RecordBatch>,
    pub schema: SchemaRef,
}

#[pymethods]
impl ArrowTable {
    #[getter]
    fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Bytes of memory that the columns take; what all-null columns share is not counted.
    #[getter]
    fn nbytes(&self) -> usize {
        let has_values = |column: &&ArrayRef| column.null_count() < column.len();
        self.batches
            .iter()
            .flat_map(|batch| batch.columns().iter().filter(has_values))
            .map(Array::get_buffer_memory_size)
            .sum()
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.schema)
    }

    /// The Arrow PyCapsule protocol. A consumer's wish for another schema is its own to fulfil.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batches = self.batches.clone().into_iter().map(Ok);
        let stream = FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new(batches, Arc::clone(&self.schema))));
        PyCapsule::new_with_value(py, stream, c_str!("arrow_array_stream"))
    }
}

/// Rows of one record batch of a table: few enough to be handed on early, enough that a column is long.
const ROWS: usize = 65_536;

/// Collects batches into an `ArrowTable`.
#[pyclass(frozen, module = "conntap._core")]
#[derive(Default)]
pub struct ColumnsBuilder(Mutex<Building>);

#[derive(Default)]
struct Building {
    done: Vec<RecordBatch>,
    open: Option<Columns>,
}

impl Building {
    fn append(&mut self, batch: &conntap_core::batch::Batch) -> Result<(), ArrowError> {
        // The first columns grow as they need; whoever has filled one record batch will likely fill the next.
        let expected = if self.done.is_empty() { batch.len() } else { ROWS };
        let open = self.open.get_or_insert_with(|| Columns::new(expected));
        open.append(batch);
        if open.rows() < ROWS { Ok(()) } else { self.close() }
    }

    fn close(&mut self) -> Result<(), ArrowError> {
        if let Some(columns) = self.open.take() {
            self.done.push(record_batch(columns)?);
        }
        Ok(())
    }
}

#[pymethods]
impl ColumnsBuilder {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Add the rows of a batch.
    fn append(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        if batch.0.is_empty() {
            return Ok(());
        }
        let appended = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&batch.0));
        appended.map_err(|error| arrow(&error))
    }

    /// The table; the builder is empty again.
    fn finish(&self, py: Python<'_>) -> PyResult<ArrowTable> {
        let mut building = py.detach(|| std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)));
        py.detach(|| building.close()).map_err(|error| arrow(&error))?;
        Ok(ArrowTable { batches: building.done, schema: Arc::clone(&SCHEMA) })
    }
}
