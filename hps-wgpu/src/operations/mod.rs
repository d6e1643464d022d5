//! What a Llama's training step and its generation compute on the device: each file adds its operations to
//! [`Device`](crate::Device).

pub(crate) mod attention;
pub(crate) mod codes;
pub(crate) mod decode;
pub(crate) mod dropout;
pub(crate) mod elementwise;
pub(crate) mod head;
pub(crate) mod norm;
pub(crate) mod optimizer;
pub(crate) mod product;
pub(crate) mod rotary;
pub(crate) mod rows;
pub(crate) mod sampling;
mod spans;
