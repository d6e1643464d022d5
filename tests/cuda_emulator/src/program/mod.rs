//! Kernels as they run: what the reader of PTX makes and the runner takes, and all that the two know of each other.

mod code;
mod instruction;
mod kind;
mod ty;

pub use code::{Code, Unit};
pub use instruction::{CONSTANT, Instr, NEGATED, Slot, flag};
pub use kind::{Atomic, BarrierKind, Compare, Factors, Rounding, Shuffle, Space, Special, Vote};
pub use ty::Ty;

/// One register of 32 bits in all lanes.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub struct Row(pub [u32; 32]);

/// A kernel, decoded, with the functions it calls.
#[derive(Debug, Default)]
pub struct Program {
    pub name: String,
    pub code: Vec<Instr>,
    pub lists: Vec<Slot>,
    pub tables: Vec<u32>,
    pub constants: Vec<Row>,
    pub rows: u32,
    pub predicates: u32,
    /// Bytes of parameters, of local memory a thread, and of static shared memory.
    pub params: Vec<(u32, u32)>,
    pub param_bytes: u32,
    pub local: u32,
    pub shared: u32,
    pub max_threads: u32,
    /// Whether it loads what must not change while it runs.
    pub invariant: bool,
    /// The text of each line that holds an instruction, for messages.
    pub text: std::collections::HashMap<u32, String>,
}
