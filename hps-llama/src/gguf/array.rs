//! Arrays of the metadata, which may be a vocabulary: kept as bytes, read as they are asked for.

use super::fields::{Fields, wrong};
use super::value::{Value, ValueType, write_text};
use crate::Result;
use std::borrow::Cow;
use std::fmt::Display;

/// How deep arrays may lie in arrays; no model's do.
const DEEPEST: usize = 4;

/// An array of values of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<'a> {
    kind: ValueType,
    length: usize,
    /// The values, end to end, checked.
    bytes: Cow<'a, [u8]>,
}

impl<'a> Array<'a> {
    /// Reads type, length and all values, and keeps where they are.
    pub(super) fn read(fields: &mut Fields<'a>, of: &dyn Display, depth: usize) -> Result<Array<'a>> {
        if depth == DEEPEST {
            return Err(wrong(format!("{of} is of arrays in arrays, more than {DEEPEST} deep")));
        }
        let kind = ValueType::read(fields, &format_args!("the values of {of}"))?;
        let length = fields.count(kind.bytes(), &format_args!("the length of the array {of}"))?;
        let mut behind = Fields::new(fields.rest(), 0);
        if kind.is_fixed() && kind != ValueType::Bool {
            behind.take(length * kind.bytes(), of)?;
        } else {
            for index in 0..length {
                Value::read(&mut behind, kind, &format_args!("value {index} of {of}"), depth + 1)?;
            }
        }
        let bytes = Cow::Borrowed(fields.take(behind.at(), of)?);
        Ok(Array { kind, length, bytes })
    }

    /// One that was read before, of its bytes.
    pub(super) fn checked(bytes: &'a [u8]) -> Array<'a> {
        let mut fields = Fields::new(bytes, 0);
        let kind = ValueType::read(&mut fields, &"an array").expect("a type that was read before");
        let length = fields.u64(&"an array").expect("a length that was read before") as usize;
        Array { kind, length, bytes: Cow::Borrowed(fields.rest()) }
    }

    /// An array of strings, to be written.
    pub fn of_strings<'s>(texts: impl IntoIterator<Item = &'s str>) -> Array<'static> {
        let (mut bytes, mut length) = (Vec::new(), 0);
        for text in texts {
            write_text(text, &mut bytes);
            length += 1;
        }
        Array { kind: ValueType::String, length, bytes: Cow::Owned(bytes) }
    }

    /// An array of f32, to be written.
    pub fn of_f32(numbers: &[f32]) -> Array<'static> {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Array { kind: ValueType::F32, length: numbers.len(), bytes: Cow::Owned(bytes) }
    }

    /// An array of i32, to be written.
    pub fn of_i32(numbers: &[i32]) -> Array<'static> {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Array { kind: ValueType::I32, length: numbers.len(), bytes: Cow::Owned(bytes) }
    }

    /// The type of its values.
    pub fn kind(&self) -> ValueType {
        self.kind
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.kind.number().to_le_bytes());
        out.extend((self.length as u64).to_le_bytes());
        out.extend(&*self.bytes);
    }
}

impl<'a> Array<'a> {
    /// The values, from the first on.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value<'_>> {
        values(self.kind, self.length, &self.bytes)
    }

    /// The same of an array in a file, for as long as that is open.
    pub(super) fn in_file(self) -> Option<impl ExactSizeIterator<Item = Value<'a>>> {
        match self.bytes {
            Cow::Borrowed(bytes) => Some(values(self.kind, self.length, bytes)),
            Cow::Owned(_) => None,
        }
    }
}

fn values(kind: ValueType, length: usize, bytes: &[u8]) -> impl ExactSizeIterator<Item = Value<'_>> {
    let mut fields = Fields::new(bytes, 0);
    (0..length).map(move |_| Value::read(&mut fields, kind, &"a value", 0).expect("a value that was read before"))
}
