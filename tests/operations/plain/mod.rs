//! Every operation once more, in f64 and as plainly as can be, with its backward written out.
//!
//! The tests in these files hold the written-out backward against central differences of the forward.

pub mod attention;
pub mod dropout;
pub mod elementwise;
pub mod head;
pub mod linear;
pub mod norm;
pub mod optimizer;
pub mod rotary;
pub mod rows;
