//! Values as the types of Rust that they are asked for as.

use super::value::{Array, Value};

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
