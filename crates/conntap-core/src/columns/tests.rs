use super::*;
use crate::batch::Scan;
use crate::model::{Flow, Gap};
use crate::wire::Writer;
use crate::wire::constants::*;

fn samples() -> Batch {
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/ctnetlink");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "bin")) {
        batch.append(&std::fs::read(file).unwrap(), 7, &mut |_, _, _| true, &mut scan);
    }
    batch.push_gap(&Gap { lost: Some(3), after_ns: 1, before_ns: 2, ..Gap::default() });
    batch
}

fn column(columns: &[Option<Column>], field: Field) -> &Column {
    columns[field as usize].as_ref().unwrap()
}

/// A value of any type.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Address(IpAddr),
    Labels(&'a [u8]),
    Text(&'a [u8]),
}

/// Hands every value on, whatever its type.
struct Values<F>(F);

impl<F: FnMut(Field, Value<'_>)> Visitor for Values<F> {
    fn u8(&mut self, field: Field, value: u8) {
        self.0(field, Value::Unsigned(value.into()));
    }
    fn u16(&mut self, field: Field, value: u16) {
        self.0(field, Value::Unsigned(value.into()));
    }
    fn u32(&mut self, field: Field, value: u32) {
        self.0(field, Value::Unsigned(value.into()));
    }
    fn u64(&mut self, field: Field, value: u64) {
        self.0(field, Value::Unsigned(value));
    }
    fn i32(&mut self, field: Field, value: i32) {
        self.0(field, Value::Signed(value.into()));
    }
    fn time(&mut self, field: Field, value: i64) {
        self.0(field, Value::Signed(value));
    }
    fn address(&mut self, field: Field, value: IpAddr) {
        self.0(field, Value::Address(value));
    }
    fn labels(&mut self, field: Field, value: &[u8]) {
        self.0(field, Value::Labels(value));
    }
    fn text(&mut self, field: Field, value: &[u8]) {
        self.0(field, Value::Text(value));
    }
    fn word(&mut self, field: Field, value: &str) {
        self.0(field, Value::Text(value.as_bytes()));
    }
    fn json(&mut self, field: Field, value: &str) {
        self.0(field, Value::Text(value.as_bytes()));
    }
}

#[test]
fn fields_come_in_schema_order_each_once() {
    for (row, message, content) in samples().iter() {
        let mut last = None;
        visit(
            row,
            &message,
            &content,
            &mut Values(|field, _: Value<'_>| {
                assert!(last < Some(field), "{field:?} after {last:?}");
                last = Some(field);
            }),
        );
    }
}

#[test]
fn the_table_of_fields_is_in_the_order_of_the_enum() {
    for (index, (field, _, _)) in FIELDS.iter().enumerate() {
        assert_eq!(*field as usize, index);
    }
}

#[test]
fn every_value_stands_in_its_column_and_row_and_nowhere_else() {
    let batch = samples();
    let columns = Columns::of(&batch).into_columns();
    let mut values = 0;
    for (at, (row, message, content)) in batch.iter().enumerate() {
        let mut had = [false; COUNT];
        visit(
            row,
            &message,
            &content,
            &mut Values(|field, value: Value<'_>| {
                let column = column(&columns, field);
                assert!(column.is_valid(at), "{field:?}");
                let same = match (&column.data, value) {
                    (Data::U8(all), Value::Unsigned(value)) => u64::from(all[at]) == value,
                    (Data::U16(all), Value::Unsigned(value)) => u64::from(all[at]) == value,
                    (Data::U32(all), Value::Unsigned(value)) => u64::from(all[at]) == value,
                    (Data::U64(all), Value::Unsigned(value)) => all[at] == value,
                    (Data::I32(all), Value::Signed(value)) => i64::from(all[at]) == value,
                    (Data::Time(all), Value::Signed(value)) => all[at] == value,
                    (Data::Bytes16(all), Value::Address(value)) => all[at] == mapped(value),
                    (Data::Bytes16(all), Value::Labels(value)) => all[at][..value.len()] == *value,
                    (Data::Text(offsets, bytes), Value::Text(value)) => {
                        bytes[offsets[at] as usize..offsets[at + 1] as usize] == *value
                    }
                    _ => false,
                };
                assert!(same, "{field:?} of row {at}: {value:?}");
                had[field as usize] = true;
                values += 1;
            }),
        );
        for (field, _, _) in FIELDS {
            if !had[field as usize] {
                assert!(!columns[field as usize].as_ref().is_some_and(|column| column.is_valid(at)), "{field:?}");
            }
        }
    }
    assert!(values > 2000, "{values}");
}

#[test]
fn every_column_has_every_row_and_its_nulls_are_counted() {
    let batch = samples();
    for column in Columns::of(&batch).into_columns().into_iter().flatten() {
        assert_eq!(column.len(), batch.len());
        let missing = (0..batch.len()).filter(|row| !column.is_valid(*row)).count();
        assert_eq!(column.nulls, missing);
    }
}

#[test]
fn a_column_that_no_row_has_costs_nothing() {
    let columns = Columns::of(&samples()).into_columns();
    assert!(columns[Field::DccpRole as usize].is_none());
    assert!(columns[Field::Unknown as usize].is_none());
}

#[test]
fn unknown_attributes_are_carried_by_number() {
    let mut writer = Writer::new(CT_NEW, NLM_F_CREATE, 0, 0, AF_INET, 0, 0);
    Flow { mark: Some(1), ..Flow::default() }.write(&mut writer);
    writer.attr(40, &[0xab, 0xcd]);
    writer.nest(CTA_TUPLE_ORIG, |writer| writer.nest(CTA_TUPLE_PROTO, |writer| writer.attr(77, &[1])));
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    batch.append(&writer.finish(), 0, &mut |_, _, _| true, &mut scan);
    let columns = Columns::of(&batch).into_columns();
    let Data::Text(_, bytes) = &column(&columns, Field::Unknown).data else { panic!() };
    assert_eq!(String::from_utf8_lossy(bytes), r#"{"40":"abcd","1.2.77":"01"}"#);
}
