//! Types of the metadata's values.

use super::fields::{Fields, wrong};
use crate::Result;
use std::fmt::Display;

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
