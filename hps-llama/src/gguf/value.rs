//! Values of the metadata. Arrays, which may be a vocabulary, are kept as bytes and read as they are asked for.

use super::fields::{Fields, shown, wrong};
use super::value_type::ValueType;
use crate::Result;
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::ops::Range;

/// How deep arrays may lie in arrays; no model's do.
const DEEPEST: usize = 4;

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(&'a str),
    Array(Array<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl<'a> Value<'a> {
    /// Its type.
    pub fn kind(&self) -> ValueType {
        match self {
            Value::U8(_) => ValueType::U8,
            Value::I8(_) => ValueType::I8,
            Value::U16(_) => ValueType::U16,
            Value::I16(_) => ValueType::I16,
            Value::U32(_) => ValueType::U32,
            Value::I32(_) => ValueType::I32,
            Value::F32(_) => ValueType::F32,
            Value::Bool(_) => ValueType::Bool,
            Value::String(_) => ValueType::String,
            Value::Array(_) => ValueType::Array,
            Value::U64(_) => ValueType::U64,
            Value::I64(_) => ValueType::I64,
            Value::F64(_) => ValueType::F64,
        }
    }

    /// The next value. Arrays in arrays in arrays are refused at a depth.
    pub(super) fn read(fields: &mut Fields<'a>, kind: ValueType, of: &dyn Display, depth: usize) -> Result<Value<'a>> {
        macro_rules! number {
            ($variant:ident, $type:ty) => {
                Value::$variant(<$type>::from_le_bytes(
                    fields.take(kind.bytes(), of)?.try_into().expect("as many bytes as were asked for"),
                ))
            };
        }
        Ok(match kind {
            ValueType::U8 => number!(U8, u8),
            ValueType::I8 => number!(I8, i8),
            ValueType::U16 => number!(U16, u16),
            ValueType::I16 => number!(I16, i16),
            ValueType::U32 => number!(U32, u32),
            ValueType::I32 => number!(I32, i32),
            ValueType::F32 => number!(F32, f32),
            ValueType::U64 => number!(U64, u64),
            ValueType::I64 => number!(I64, i64),
            ValueType::F64 => number!(F64, f64),
            ValueType::Bool => match fields.take(1, of)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                other => return Err(wrong(format!("{of} is {other:?}, which is no bool; 0 and 1 are"))),
            },
            ValueType::String => Value::String(fields.text(of)?),
            ValueType::Array => Value::Array(Array::read(fields, of, depth)?),
        })
    }

    /// The bytes that [`read`](Self::read) reads.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::U8(number) => out.extend(number.to_le_bytes()),
            Value::I8(number) => out.extend(number.to_le_bytes()),
            Value::U16(number) => out.extend(number.to_le_bytes()),
            Value::I16(number) => out.extend(number.to_le_bytes()),
            Value::U32(number) => out.extend(number.to_le_bytes()),
            Value::I32(number) => out.extend(number.to_le_bytes()),
            Value::F32(number) => out.extend(number.to_le_bytes()),
            Value::U64(number) => out.extend(number.to_le_bytes()),
            Value::I64(number) => out.extend(number.to_le_bytes()),
            Value::F64(number) => out.extend(number.to_le_bytes()),
            Value::Bool(value) => out.push(u8::from(*value)),
            Value::String(text) => write_text(text, out),
            Value::Array(array) => array.write(out),
        }
    }

    /// A whole number of any type.
    pub(super) fn whole(&self) -> Option<i128> {
        Some(match self {
            Value::U8(number) => (*number).into(),
            Value::I8(number) => (*number).into(),
            Value::U16(number) => (*number).into(),
            Value::I16(number) => (*number).into(),
            Value::U32(number) => (*number).into(),
            Value::I32(number) => (*number).into(),
            Value::U64(number) => (*number).into(),
            Value::I64(number) => (*number).into(),
            _ => return None,
        })
    }
}

/// A text's length and bytes.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// As errors show it: type and value, long texts and arrays in short.
impl Display for Value<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().name();
        match self {
            Value::F32(number) => write!(out, "{number:?} ({kind})"),
            Value::F64(number) => write!(out, "{number:?} ({kind})"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::String(text) => write!(out, "the string \"{}\"", shown(text)),
            Value::Array(array) => write!(out, "an array of {} {}", array.len(), array.kind().name()),
            whole => write!(out, "{} ({kind})", whole.whole().unwrap_or_default()),
        }
    }
}

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

/// Where a value lies in a file, checked.
#[derive(Debug)]
pub(super) struct Entry {
    kind: ValueType,
    place: Range<usize>,
}

impl Entry {
    /// Reads type and value, and keeps where they are.
    pub(super) fn read(fields: &mut Fields<'_>, of: &dyn Display) -> Result<Entry> {
        let kind = ValueType::read(fields, of)?;
        let begin = fields.at();
        Value::read(fields, kind, of, 0)?;
        Ok(Entry { kind, place: begin..fields.at() })
    }

    /// The value, of the file that it was read of.
    pub(super) fn value<'a>(&self, file: &'a [u8]) -> Value<'a> {
        let bytes = &file[self.place.clone()];
        match self.kind {
            ValueType::Array => Value::Array(Array::checked(bytes)),
            kind => Value::read(&mut Fields::new(bytes, 0), kind, &"a value", 0).expect("a value that was read before"),
        }
    }
}
