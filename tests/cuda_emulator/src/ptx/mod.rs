//! From PTX text to programs. The lowest first: words, what a module declares, operands and instructions as they are
//! written, a program in the making, what each opcode becomes, a kernel from its first statement to its last.

mod builder;
pub mod decode;
mod instruction;
pub mod module;
mod opcode;
mod operand;
mod token;
