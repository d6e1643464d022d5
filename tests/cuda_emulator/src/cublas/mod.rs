//! The part of cuBLASLt that multiplies matrices: `D = α op(A) op(B) + β C`, by columns, summed in f32.

mod handle;
mod matmul;
mod matrix;
mod product;

use crate::status::Status;

// As the library numbers them.
const NOT_INITIALIZED: Status = 1;
const INVALID_VALUE: Status = 7;
const EXECUTION_FAILED: Status = 13;
const NOT_SUPPORTED: Status = 15;

/// Writes a result where the caller wants it.
macro_rules! give {
    ($to:expr, $value:expr) => {{
        if $to.is_null() {
            return $crate::cublas::INVALID_VALUE;
        }
        // SAFETY: the caller gives a place for a value of this type, as the manual asks for.
        unsafe { $to.write($value) }
    }};
}

/// Destroys what a handle points to.
macro_rules! take {
    ($handle:expr) => {{
        if !$handle.is_null() {
            // SAFETY: the handle was given out once and is destroyed once.
            drop(unsafe { Box::from_raw($handle) });
        }
        $crate::status::SUCCESS
    }};
}

use {give, take};
