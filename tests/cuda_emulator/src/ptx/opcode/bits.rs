//! The opcodes of bits: logic, shifts, fields, counts; and products of bytes.

use crate::program::{Code, Ty};
use crate::ptx::builder::Builder;
use crate::ptx::instruction::Instruction;
use crate::ptx::module::Result;
use crate::ptx::operand::Operand;

pub fn bits(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (operands, ty) = (instruction.operands, instruction.ty());
    match instruction.name {
        "and" => builder.map(Code::And(ty.plain()), ty, &[ty; 2], operands, 0)?,
        "or" => builder.map(Code::Or(ty.plain()), ty, &[ty; 2], operands, 0)?,
        "xor" => builder.map(Code::Xor(ty.plain()), ty, &[ty; 2], operands, 0)?,
        "not" => builder.map(Code::Not(ty.plain()), ty, &[ty], operands, 0)?,
        "cnot" => builder.map(Code::LogicalNot(ty.plain()), ty, &[ty], operands, 0)?,
        "shl" => builder.map(Code::Shl(ty.plain()), ty, &[ty, Ty::U32], operands, 0)?,
        "shr" => builder.map(Code::Shr(ty), ty, &[ty, Ty::U32], operands, 0)?,
        "shf" => {
            let clamp = instruction.has("clamp");
            let code = if instruction.has("l") { Code::FunnelLeft { clamp } } else { Code::FunnelRight { clamp } };
            builder.map(code, Ty::U32, &[Ty::U32; 3], operands, 0)?;
        }
        "lop3" => {
            let table = match operands.get(4) {
                Some(Operand::Int(table)) => *table as i64,
                _ => return Err(builder.refuse(instruction.unknown())),
            };
            builder.map(Code::Lop3, Ty::U32, &[Ty::U32; 3], operands, 0)?;
            builder.last().offset = table;
        }
        "prmt" => {
            let modes = ["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"];
            let mode = modes.iter().position(|mode| instruction.has(mode)).map_or(0, |mode| mode as u8 + 1);
            builder.map(Code::Permute(mode), Ty::U32, &[Ty::U32; 3], operands, 0)?;
        }
        "bfe" => builder.map(Code::Extract(ty), ty, &[ty, Ty::U32, Ty::U32], operands, 0)?,
        "bfi" => {
            builder.map(Code::Insert(ty.plain()), ty, &[ty, ty, Ty::U32], operands, 0)?;
            let e = builder.source(&operands[4], Ty::U32)?;
            builder.last().e = e;
        }
        "bfind" => {
            let shift = instruction.has("shiftamt");
            builder.map(Code::FindBit { ty, shift }, Ty::U32, &[ty], operands, 0)?;
        }
        "brev" => builder.map(Code::ReverseBits(ty.plain()), ty, &[ty], operands, 0)?,
        "popc" => builder.map(Code::CountOnes(ty.plain()), Ty::U32, &[ty], operands, 0)?,
        "clz" => builder.map(Code::LeadingZeros(ty.plain()), Ty::U32, &[ty], operands, 0)?,
        "szext" => {
            let code = Code::SignZeroExtend { signed: ty.signed(), clamp: instruction.has("clamp") };
            builder.map(code, Ty::U32, &[Ty::U32; 2], operands, 0)?;
        }
        "bmsk" => {
            let code = Code::Mask { clamp: instruction.has("clamp") };
            builder.map(code, Ty::U32, &[Ty::U32; 2], operands, 0)?;
        }
        "dp4a" | "dp2a" => {
            let (a_signed, b_signed) = (instruction.types[0].signed(), ty.signed());
            let code = if instruction.name == "dp4a" {
                Code::Dot4 { a_signed, b_signed }
            } else {
                Code::Dot2 { a_signed, b_signed, high: instruction.has("hi") }
            };
            builder.map(code, Ty::U32, &[Ty::U32; 3], operands, 0)?;
        }
        _ => return Err(builder.refuse(instruction.unknown())),
    }
    Ok(())
}
