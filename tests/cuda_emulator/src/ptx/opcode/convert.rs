//! The opcodes that move numbers between registers, and convert them.

use crate::program::{Code, Ty};
use crate::ptx::builder::{Builder, Symbol};
use crate::ptx::instruction::Instruction;
use crate::ptx::module::Result;
use crate::ptx::operand::Operand;

pub fn convert(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (operands, ty) = (instruction.operands, instruction.ty());
    match instruction.name {
        "cvt" => return convert_number(builder, instruction),
        "mov" => match (&operands[0], &operands[1]) {
            (Operand::Vector(_), whole) => {
                let slots = builder.slots(&operands[0], ty, true)?;
                let a = builder.source(whole, ty)?;
                let list = builder.list(&slots);
                builder.emit(Code::Unpack, |instr| {
                    (instr.a, instr.list, instr.b, instr.c) = (a, list, slots.len() as u32, ty.bits());
                });
            }
            (_, Operand::Vector(parts)) => {
                let (d, bits) = builder.destination(&operands[0])?;
                let of_part = if bits as usize / parts.len() == 32 { Ty::U32 } else { Ty::U16 };
                let slots = builder.slots(&operands[1], of_part, false)?;
                let list = builder.list(&slots);
                builder.emit(Code::Pack, |instr| {
                    (instr.d, instr.list, instr.b, instr.c) = (d, list, slots.len() as u32, bits);
                });
            }
            _ => builder.map(Code::Mov(ty.plain()), ty, &[ty], operands, 0)?,
        },
        "cvta" => {
            let space = instruction.space();
            let code = Code::AddressTo { space, back: instruction.has("to") };
            builder.map(code, ty, &[ty], operands, 0)?;
        }
        "createpolicy" => {
            let (d, bits) = builder.destination(&operands[0])?;
            let zero = builder.constant(0, bits == 64);
            builder.emit(Code::Mov(Ty::U64), |instr| (instr.d, instr.a) = (d, zero));
        }
        _ => return Err(builder.refuse(instruction.unknown())),
    }
    Ok(())
}

fn convert_number(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let operands = instruction.operands;
    let rounding = instruction.rounding();
    if instruction.has("tf32") {
        return builder.map(Code::ConvertTf32, Ty::U32, &[Ty::F32], operands, instruction.flags());
    }
    let [to, from] = instruction.types[..] else { return Err(builder.refuse(instruction.unknown())) };
    if matches!(to, Ty::Bf16x2 | Ty::F16x2) {
        let code = Code::ConvertPair(to, rounding);
        return builder.map(code, to, &[Ty::F32; 2], operands, instruction.flags());
    }
    let integral = instruction.modifiers.iter().any(|word| matches!(*word, "rni" | "rzi" | "rmi" | "rpi"));
    let saturate = instruction.has("sat");
    let (a, _) = builder.source_any(&operands[1], from)?;
    let wide_source = matches!(&operands[1], Operand::Name(name)
        if matches!(builder.symbol(name), Ok(Symbol::Register { bits: 64, .. })));
    let (d, bits) = builder.destination(&operands[0])?;
    builder.emit(Code::Convert { to, from, rounding, integral, saturate }, |instr| {
        (instr.d, instr.a, instr.flags) = (d, a, instruction.flags());
        // The widths of the registers, which may be larger than those of the types.
        instr.b = if wide_source { 64 } else { from.bits() };
        instr.e = bits;
    });
    Ok(())
}
