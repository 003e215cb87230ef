//! Who had an address in a segment: the few records of a Parquet file that fit one question.
//!
//! A segment is sorted by outside address, port, protocol and start. Of each row group the statistics, then one column
//! of addresses, say which rows can fit; of those alone the other columns are read, one after the other, as long as
//! there are any.

mod group;
mod question;

use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};

pub use group::Value;
pub use question::{Question, Role};

use group::Group;

/// The records that fit, with these columns each; a column that the file has not is [`Value::Null`].
///
/// # Errors
///
/// The file is damaged, or no Parquet file.
pub fn find<R: ChunkReader + 'static>(file: R, question: &Question, columns: &[&str]) -> Result<Vec<Vec<Value>>> {
    let reader = SerializedFileReader::new(file)?;
    let mut found = Vec::new();
    for number in 0..reader.num_row_groups() {
        let row_group = reader.get_row_group(number)?;
        let group = Group::new(row_group.as_ref());
        let rows = question.rows(&group)?;
        found.extend(group.rows(columns, &rows)?);
    }
    Ok(found)
}
