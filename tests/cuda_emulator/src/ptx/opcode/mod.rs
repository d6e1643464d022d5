//! What each opcode becomes: a file for every sort, as those of the units that run them.

mod access;
mod arithmetic;
mod bits;
mod choose;
mod collective;
mod convert;
mod matrix;

use super::builder::Builder;
use super::instruction::Instruction;
use super::module::Result;
use crate::program::{Code, Ty};
use access::access;
use arithmetic::{arithmetic, function};
use bits::bits;
use choose::choose;
use collective::collective;
use convert::convert;
use matrix::matrix;

pub fn decode_instruction(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    if !instruction.is_complete() {
        return Err(builder.refuse(instruction.incomplete()));
    }
    match instruction.name {
        "mov" | "and" | "or" | "xor" | "not" if instruction.ty() == Ty::Pred => choose(builder, instruction),
        "mov" | "cvt" | "cvta" | "createpolicy" => convert(builder, instruction),
        "add" | "sub" | "mul" | "mad" | "fma" | "div" | "rem" | "min" | "max" | "abs" | "neg" | "addc" | "subc"
        | "madc" | "sad" | "mul24" | "mad24" | "copysign" => arithmetic(builder, instruction),
        "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" => function(builder, instruction),
        "and" | "or" | "xor" | "not" | "cnot" | "shl" | "shr" | "shf" | "lop3" | "prmt" | "bfe" | "bfi" | "bfind"
        | "brev" | "popc" | "clz" | "szext" | "bmsk" | "dp4a" | "dp2a" => bits(builder, instruction),
        "setp" | "set" | "selp" | "slct" | "testp" | "isspacep" => choose(builder, instruction),
        "ld" | "ldu" | "st" | "atom" | "red" | "cp" => access(builder, instruction),
        "bar" | "barrier" | "shfl" | "vote" | "match" | "redux" | "elect" | "activemask" => {
            collective(builder, instruction)
        }
        "mma" | "ldmatrix" | "stmatrix" | "movmatrix" => matrix(builder, instruction),
        _ => control(builder, instruction),
    }
}

/// What ends a thread, and what does nothing here.
fn control(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let code = match instruction.name {
        "ret" => Code::Return,
        "exit" => Code::Exit,
        "trap" => Code::Trap,
        "brkpt" | "membar" | "fence" | "prefetch" | "prefetchu" | "griddepcontrol" | "nanosleep" | "applypriority"
        | "discard" | "pmevent" | "setmaxnreg" => Code::Nothing,
        _ => return Err(builder.refuse(instruction.unknown())),
    };
    builder.emit(code, |_| {});
    Ok(())
}
