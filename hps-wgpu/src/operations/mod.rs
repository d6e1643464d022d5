//! What a Llama's training step and its generation compute on the device: each file adds its operations to
//! [`Device`](crate::Device).

pub(crate) mod attention;
mod decode;
mod dropout;
mod elementwise;
pub(crate) mod head;
mod norm;
pub(crate) mod optimizer;
mod product;
mod rotary;
mod rows;
pub(crate) mod sampling;
mod spans;
