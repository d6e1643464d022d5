//! The opcodes of tensor cores.

use crate::program::{Code, Factors, Ty};
use crate::ptx::builder::Builder;
use crate::ptx::instruction::Instruction;
use crate::ptx::module::Result;

pub fn matrix(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (name, operands) = (instruction.name, instruction.operands);
    match name {
        "mma" => {
            let shape = instruction.modifiers.iter().find(|word| word.starts_with('m') && word.contains('k'));
            let (factors, depth) = match shape {
                Some(&"m16n8k16") if instruction.has("bf16") => (Factors::Bf16, 16),
                Some(&"m16n8k8") if instruction.has("bf16") => (Factors::Bf16, 8),
                Some(&"m16n8k8") if instruction.has("tf32") => (Factors::Tf32, 8),
                Some(&"m16n8k4") if instruction.has("tf32") => (Factors::Tf32, 4),
                Some(&"m16n8k16") if instruction.has("f16") => (Factors::F16, 16),
                Some(&"m16n8k8") if instruction.has("f16") => (Factors::F16, 8),
                _ => return Err(builder.refuse(instruction.unknown())),
            };
            let half_sums = instruction.modifiers.last() == Some(&"f16");
            let mut slots = Vec::new();
            for (at, operand) in operands.iter().take(4).enumerate() {
                let ty = if at % 3 == 0 && !half_sums { Ty::F32 } else { Ty::U32 };
                slots.push(builder.slots(operand, ty, at == 0)?);
            }
            let per_word = if factors == Factors::Tf32 { 1 } else { 2 };
            let sums = if half_sums { 2 } else { 4 };
            let wanted = [sums, 16 * depth / 32 / per_word, 8 * depth / 32 / per_word, sums];
            if slots.len() != 4 || (0..4).any(|at| slots[at].len() != wanted[at]) {
                return Err(builder.refuse("a fragment has another number of registers"));
            }
            let list = builder.list(&slots.concat());
            let code = Code::Product { factors, depth: depth as u8, half_sums };
            builder.emit(code, |instr| instr.list = list);
        }
        "ldmatrix" | "stmatrix" => {
            if !instruction.has("m8n8") || !instruction.has("b16") {
                return Err(builder.refuse(instruction.unknown()));
            }
            let load = name == "ldmatrix";
            let (value, place) = if load { (&operands[0], &operands[1]) } else { (&operands[1], &operands[0]) };
            let count = if instruction.has("x4") {
                4
            } else if instruction.has("x2") {
                2
            } else {
                1
            };
            let slots = builder.slots(value, Ty::U32, load)?;
            if slots.len() != count {
                return Err(builder.refuse("a fragment has another number of registers"));
            }
            let (a, offset, flags, _) = builder.address(place)?;
            let list = builder.list(&slots);
            let (count, transposed) = (count as u8, instruction.has("trans"));
            // Without a space the address is generic; the run takes either.
            let code =
                if load { Code::LoadMatrix { count, transposed } } else { Code::StoreMatrix { count, transposed } };
            builder.emit(code, |instr| {
                (instr.a, instr.offset, instr.flags, instr.list) = (a, offset, flags, list);
            });
        }
        "movmatrix" => builder.map(Code::TransposeMatrix, Ty::U32, &[Ty::U32], operands, 0)?,
        _ => return Err(builder.refuse(instruction.unknown())),
    }
    Ok(())
}
