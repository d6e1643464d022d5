//! What every backend must show, each check generic over the backend.

pub mod adapted;
pub mod attention;
pub mod attention_decode;
pub mod dropout;
pub mod elementwise;
pub mod head;
pub mod head_tiles;
pub mod linear;
pub mod norm;
pub mod optimizer;
pub mod refusals;
pub mod rotary;
pub mod rows;
pub mod sampling;
pub mod storage;
pub mod stored;
