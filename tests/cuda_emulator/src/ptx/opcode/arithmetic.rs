//! The opcodes of arithmetic, in integers and in floats.

use crate::program::{Code, Rounding, Ty, flag};
use crate::ptx::builder::Builder;
use crate::ptx::instruction::Instruction;
use crate::ptx::module::Result;
use crate::ptx::operand::Operand;

pub fn arithmetic(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (name, operands, ty) = (instruction.name, instruction.operands, instruction.ty());
    let mut flags = instruction.flags();
    let rounding = instruction.rounding();
    let exact = rounding == Rounding::Nearest || !matches!(ty, Ty::F32 | Ty::F64);
    let wide = match ty {
        Ty::U16 => Ty::U32,
        Ty::S16 => Ty::S32,
        Ty::U32 => Ty::U64,
        _ => Ty::S64,
    };
    let carries = instruction.has("cc") || name.ends_with('c');
    if name.ends_with('c') {
        flags |= flag::CARRY_IN;
    }
    let (code, to, from): (Code, Ty, &[Ty]) = match name {
        "add" | "addc" if carries => (Code::AddCarry(ty), ty, &[ty; 2]),
        "sub" | "subc" if carries => (Code::SubCarry(ty), ty, &[ty; 2]),
        "mad" | "madc" if carries => (Code::MadCarry { ty, high: instruction.has("hi") }, ty, &[ty; 3]),
        "add" if exact => {
            (Code::Add(if ty.float() || flags & flag::SATURATE != 0 { ty } else { ty.plain() }), ty, &[ty; 2])
        }
        "add" => (Code::AddRounded(ty, rounding), ty, &[ty; 2]),
        "sub" if exact => {
            (Code::Sub(if ty.float() || flags & flag::SATURATE != 0 { ty } else { ty.plain() }), ty, &[ty; 2])
        }
        "mul" if ty.float() && exact => (Code::MulLo(ty), ty, &[ty; 2]),
        "mul" if ty.float() => (Code::MulRounded(ty, rounding), ty, &[ty; 2]),
        "mul" if instruction.has("hi") => (Code::MulHi(ty), ty, &[ty; 2]),
        "mul" if instruction.has("wide") => (Code::MulWide(ty), wide, &[ty; 2]),
        "mul" => (Code::MulLo(ty.plain()), ty, &[ty; 2]),
        "mad" | "fma" if ty.float() && exact => (Code::Fma(ty), ty, &[ty; 3]),
        "mad" | "fma" if ty == Ty::F32 => (Code::FmaRounded(ty, rounding), ty, &[ty; 3]),
        "mad" if instruction.has("hi") => (Code::MadHi(ty), ty, &[ty; 3]),
        "mad" if instruction.has("wide") => (Code::MadWide(ty), wide, &[ty, ty, wide]),
        "mad" if !ty.float() => (Code::MadLo(ty.plain()), ty, &[ty; 3]),
        "mul24" if instruction.has("lo") => (Code::Mul24(ty), ty, &[ty; 2]),
        "div" if exact => (Code::Div(ty), ty, &[ty; 2]),
        "div" => (Code::DivRounded(ty, rounding), ty, &[ty; 2]),
        "rem" => (Code::Rem(ty), ty, &[ty; 2]),
        "min" => (Code::Min(ty), ty, &[ty; 2]),
        "max" => (Code::Max(ty), ty, &[ty; 2]),
        "abs" => (Code::Abs(ty), ty, &[ty]),
        "neg" => (Code::Neg(ty), ty, &[ty]),
        "sad" => (Code::Sad(ty), ty, &[ty; 3]),
        "copysign" => (Code::CopySign(ty), ty, &[ty; 2]),
        _ => return Err(builder.refuse(instruction.unknown())),
    };
    if name == "sub" && !exact {
        return Err(builder.refuse(instruction.unknown()));
    }
    builder.map(code, to, from, operands, flags)
}

/// Functions of one number.
pub fn function(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (name, operands, ty) = (instruction.name, instruction.operands, instruction.ty());
    let rounding = instruction.rounding();
    let code = match (name, rounding) {
        ("rcp", Rounding::Nearest) => Code::Rcp(ty),
        ("sqrt", Rounding::Nearest) => Code::Sqrt(ty),
        ("rcp", rounding) => {
            let one = Operand::Double(1f64.to_bits());
            let operands = [operands[0].clone(), one, operands[1].clone()];
            let code = Code::DivRounded(ty, rounding);
            return builder.map(code, ty, &[ty, ty], &operands, instruction.flags());
        }
        ("sqrt", rounding) => Code::SqrtRounded(ty, rounding),
        ("rsqrt", _) => Code::Rsqrt(ty),
        ("ex2", _) => Code::Exp2(ty),
        ("lg2", _) => Code::Log2,
        ("sin", _) => Code::Sin,
        ("cos", _) => Code::Cos,
        _ => Code::Tanh(ty),
    };
    builder.map(code, ty, &[ty], operands, instruction.flags())
}
