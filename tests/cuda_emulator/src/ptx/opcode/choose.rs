//! The opcodes of comparisons, of selections and of predicates.

use crate::program::{Code, Ty, flag};
use crate::ptx::builder::Builder;
use crate::ptx::instruction::Instruction;
use crate::ptx::module::Result;
use crate::ptx::operand::Operand;

pub fn choose(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (name, operands, ty) = (instruction.name, instruction.operands, instruction.ty());
    match name {
        "setp" | "set" => return compare(builder, instruction),
        "mov" => {
            let (d, a) = (builder.predicate(&operands[0])?, builder.predicate(&operands[1])?);
            builder.emit(Code::MovPred, |instr| (instr.d, instr.a) = (d, a));
        }
        "and" | "or" | "xor" | "not" => {
            let code = match name {
                "and" => Code::AndPred,
                "or" => Code::OrPred,
                "xor" => Code::XorPred,
                _ => Code::NotPred,
            };
            let d = builder.predicate(&operands[0])?;
            let a = builder.predicate(&operands[1])?;
            let b = if name == "not" { 0 } else { builder.predicate(&operands[2])? };
            builder.emit(code, |instr| (instr.d, instr.a, instr.b) = (d, a, b));
        }
        "testp" => {
            let kinds = ["finite", "infinite", "number", "notanumber", "normal", "subnormal"];
            let kind = kinds
                .iter()
                .position(|kind| instruction.has(kind))
                .ok_or_else(|| builder.refuse(instruction.unknown()))? as u8;
            let (d, a) = (builder.predicate(&operands[0])?, builder.source(&operands[1], ty)?);
            builder.emit(Code::TestNumber { ty, kind }, |instr| (instr.d, instr.a) = (d, a));
        }
        "selp" => {
            builder.map(Code::Select(ty.plain()), ty, &[ty; 2], operands, 0)?;
            let c = builder.predicate(&operands[3])?;
            builder.last().c = c;
        }
        "slct" => {
            let of_sign = ty;
            let ty = instruction.types[0];
            builder.map(
                Code::SelectSign(ty.plain(), of_sign),
                ty,
                &[ty, ty, of_sign],
                operands,
                instruction.flags(),
            )?;
        }
        "isspacep" => {
            let (d, a) = (builder.predicate(&operands[0])?, builder.source(&operands[1], Ty::U64)?);
            builder.emit(Code::IsSpace(instruction.space()), |instr| (instr.d, instr.a) = (d, a));
        }
        _ => return Err(builder.refuse(instruction.unknown())),
    }
    Ok(())
}

fn compare(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (name, operands) = (instruction.name, instruction.operands);
    let compare = instruction.comparison().ok_or_else(|| builder.refuse(instruction.unknown()))?;
    let from = *instruction.types.last().ok_or_else(|| builder.refuse(instruction.unknown()))?;
    let combine = ["and", "or", "xor"].iter().position(|word| instruction.has(word)).map_or(0, |at| at as u32 + 1);
    let mut flags = instruction.flags() | combine << flag::COMBINE_SHIFT;
    let (a, b) = (builder.source(&operands[1], from)?, builder.source(&operands[2], from)?);
    let c = if combine > 0 && operands.len() > 3 { builder.predicate(&operands[3])? } else { 0 };
    if combine == 0 {
        flags &= !flag::COMBINE;
    }
    if name == "set" {
        let (d, _) = builder.destination(&operands[0])?;
        builder.emit(Code::Set { compare, to: instruction.types[0], from }, |instr| {
            (instr.d, instr.a, instr.b, instr.c, instr.flags) = (d, a, b, c, flags);
        });
        return Ok(());
    }
    // The second destination gets the opposite; none is written where there is none: `e` is 0.
    let (d, e) = match &operands[0] {
        Operand::Pair(d, e) => (builder.predicate(d)?, builder.predicate(e)?),
        d => (builder.predicate(d)?, 0),
    };
    builder.emit(Code::Setp(compare, from), |instr| {
        (instr.d, instr.e, instr.a, instr.b, instr.c, instr.flags) = (d, e, a, b, c, flags);
    });
    Ok(())
}
