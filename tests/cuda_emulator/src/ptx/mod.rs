//! From PTX text to programs.

mod builder;
pub mod decode;
mod instruction;
pub mod module;
mod opcode;
mod operand;
mod token;
