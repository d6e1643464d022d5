//! An instruction: operands are resolved to rows of the register file, nothing is looked up.

use super::code::{Code, Unit};

/// A row in the register file, or, with this bit, in the kernel's table of constants.
pub const CONSTANT: u32 = 1 << 31;
/// A predicate that is negated.
pub const NEGATED: u32 = 1 << 31;

/// Bits of [`Instr::flags`].
pub mod flag {
    /// Subnormal numbers are zero.
    pub const FLUSH: u32 = 1;
    /// The result is clamped to 0..1.
    pub const SATURATE: u32 = 2;
    /// NaN goes through minima and maxima.
    pub const NAN: u32 = 4;
    /// Carry is read; carry is written.
    pub const CARRY_IN: u32 = 8;
    pub const CARRY_OUT: u32 = 16;
    /// The address is of 32 bits.
    pub const NARROW_ADDRESS: u32 = 32;
    /// Negative numbers become zero.
    pub const RELU: u32 = 64;
    /// How `setp` combines: 0 not, 1 and, 2 or, 3 xor.
    pub const COMBINE: u32 = 3 << 8;
    pub const COMBINE_SHIFT: u32 = 8;
}

/// An instruction. What `a` to `e` and `list` mean is up to [`Code`].
#[derive(Debug, Clone, Copy)]
pub struct Instr {
    pub code: Code,
    pub unit: Unit,
    /// The predicate under which lanes take part; predicate 0 is true.
    pub guard: u32,
    pub d: u32,
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub e: u32,
    pub flags: u32,
    /// An offset of addresses, a branch's target, an immediate.
    pub offset: i64,
    /// Where the operands of long instructions start in the program's lists.
    pub list: u32,
    pub line: u32,
}

/// A register as a list holds it.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    pub row: u32,
    pub bits: u32,
}
