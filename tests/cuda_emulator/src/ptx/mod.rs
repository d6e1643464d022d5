//! From PTX text to instructions that run.

pub mod code;
pub mod collective;
pub mod decode;
pub mod instruction;
pub mod module;
pub mod operand;
pub mod token;
