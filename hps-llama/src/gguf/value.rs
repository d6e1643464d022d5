//! Values of the metadata.

use super::array::Array;
use super::fields::{Fields, shown, wrong};
use crate::Result;
use std::fmt::{self, Display};
use std::ops::Range;

/// The type of a value, by GGUF's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    const ALL: [ValueType; 13] = [
        ValueType::U8,
        ValueType::I8,
        ValueType::U16,
        ValueType::I16,
        ValueType::U32,
        ValueType::I32,
        ValueType::F32,
        ValueType::Bool,
        ValueType::String,
        ValueType::Array,
        ValueType::U64,
        ValueType::I64,
        ValueType::F64,
    ];

    pub(super) fn read(fields: &mut Fields<'_>, of: &dyn Display) -> Result<ValueType> {
        let number = fields.u32(&format_args!("the type of {of}"))?;
        let found = Self::ALL.into_iter().find(|kind| kind.number() == number);
        found.ok_or_else(|| wrong(format!("{of} is of type {number}, which is not known; 0 to 12 are")))
    }

    /// GGUF's number of the type.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Bytes of a value; of texts and arrays, the least.
    pub(super) const fn bytes(self) -> usize {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
            ValueType::U16 | ValueType::I16 => 2,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
            ValueType::U64 | ValueType::I64 | ValueType::F64 | ValueType::String => 8,
            ValueType::Array => 4 + 8,
        }
    }

    /// Whether all its values are equally long.
    pub(super) const fn is_fixed(self) -> bool {
        !matches!(self, ValueType::String | ValueType::Array)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            ValueType::U8 => "u8",
            ValueType::I8 => "i8",
            ValueType::U16 => "u16",
            ValueType::I16 => "i16",
            ValueType::U32 => "u32",
            ValueType::I32 => "i32",
            ValueType::F32 => "f32",
            ValueType::Bool => "bool",
            ValueType::String => "string",
            ValueType::Array => "array",
            ValueType::U64 => "u64",
            ValueType::I64 => "i64",
            ValueType::F64 => "f64",
        }
    }
}

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
    fn whole(&self) -> Option<i128> {
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

/// A type that values are asked for as; see [`Gguf::get`](super::Gguf::get).
pub trait FromValue<'a>: Sized {
    /// What the value has to be, for errors.
    const EXPECTED: &'static str;

    /// The value, if it is of the type.
    fn from_value(value: Value<'a>) -> Option<Self>;
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl<'a> FromValue<'a> for $type {
            const EXPECTED: &'static str = concat!("a whole number that fits in ", stringify!($type));

            fn from_value(value: Value<'a>) -> Option<Self> {
                value.whole().and_then(|number| number.try_into().ok())
            }
        }
    )*};
}

whole_numbers!(u8, u16, u32, u64, usize, i32, i64);

macro_rules! as_it_is {
    ($($variant:ident $type:ty, $expected:literal;)*) => {$(
        impl<'a> FromValue<'a> for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value<'a>) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    )*};
}

as_it_is! {
    F32 f32, "a number (f32)";
    Bool bool, "a bool";
    String &'a str, "a string";
    Array Array<'a>, "an array";
}

macro_rules! lists {
    ($($type:ty, $expected:literal;)*) => {$(
        impl<'a> FromValue<'a> for Vec<$type> {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value<'a>) -> Option<Self> {
                Array::from_value(value)?.in_file()?.map(<$type>::from_value).collect()
            }
        }
    )*};
}

lists! {
    u32, "an array of whole numbers that fit in u32";
    i32, "an array of whole numbers that fit in i32";
    f32, "an array of numbers (f32)";
    bool, "an array of bools";
    &'a str, "an array of strings";
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
