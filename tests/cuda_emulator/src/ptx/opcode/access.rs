//! The opcodes of memory: loads, stores, atomic operations, copies to shared memory.

use crate::program::{Atomic, Code, NEGATED, Slot, Space, Ty, flag};
use crate::ptx::builder::{Builder, Symbol};
use crate::ptx::instruction::Instruction;
use crate::ptx::module::Result;
use crate::ptx::operand::Operand;

pub fn access(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (name, operands, ty) = (instruction.name, instruction.operands, instruction.ty());
    match name {
        "ld" | "ldu" | "st" => return load_or_store(builder, instruction),
        "atom" | "red" => {
            let op = instruction.atomic().ok_or_else(|| builder.refuse(instruction.unknown()))?;
            let given = if name == "atom" { &operands[1..] } else { operands };
            let (d, _) = match name {
                "atom" => builder.destination(&operands[0])?,
                _ => (builder.fresh(64), 64),
            };
            let (a, offset, flags, symbol) = builder.address(&given[0])?;
            let b = builder.source(&given[1], ty)?;
            let c = if op == Atomic::Swap { builder.source(&given[2], ty)? } else { b };
            let space = named_space(symbol, instruction.space());
            if instruction.vector() > 1 {
                return Err(builder.refuse(instruction.unknown()));
            }
            builder.emit(Code::Atomic { space, ty, op }, |instr| {
                (instr.d, instr.a, instr.b, instr.c, instr.offset, instr.flags) = (d, a, b, c, offset, flags);
            });
        }
        "cp" if instruction.has("commit_group") => builder.emit(Code::CommitCopies, |_| {}),
        "cp" if instruction.has("wait_group") => {
            let Some(Operand::Int(count)) = operands.first() else { return Err(builder.refuse(instruction.unknown())) };
            builder.emit(Code::WaitCopies, |instr| instr.offset = *count as i64);
        }
        // It waits for those that were not committed as well.
        "cp" if instruction.has("wait_all") => builder.emit(Code::WaitCopies, |instr| instr.offset = -1),
        "cp" if instruction.has("async") && (instruction.has("ca") || instruction.has("cg")) => {
            let (d, offset, flags, _) = builder.address(&operands[0])?;
            let (a, from_offset, from_flags, _) = builder.address(&operands[1])?;
            let Some(Operand::Int(size)) = operands.get(2) else { return Err(builder.refuse(instruction.unknown())) };
            let size = *size as u8;
            // What is read of them, or whether nothing is. A policy is the last operand and ignored.
            let policies = usize::from(has_policy(instruction));
            let mut b = builder.constant(u64::from(size), false);
            let mut c = NEGATED;
            if let Some(operand) = operands.get(3).filter(|_| operands.len() - policies > 3) {
                match builder.predicate(operand) {
                    Ok(predicate) if !matches!(operand, Operand::Int(_)) => c = predicate,
                    _ => b = builder.source(operand, Ty::U32)?,
                }
            }
            let narrow = from_flags & flag::NARROW_ADDRESS != 0;
            let list = builder.list(&[Slot { row: a, bits: if narrow { 32 } else { 64 } }]);
            builder.emit(Code::CopyAsync { size }, |instr| {
                (instr.d, instr.offset, instr.flags) = (d, offset, flags);
                (instr.b, instr.c, instr.list, instr.a) = (b, c, list, a);
                instr.e = from_offset as u32;
            });
        }
        _ => return Err(builder.refuse(instruction.unknown())),
    }
    Ok(())
}

fn load_or_store(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (name, operands, ty) = (instruction.name, instruction.operands, instruction.ty());
    let load = name != "st";
    let (value, place) = if load { (&operands[0], &operands[1]) } else { (&operands[1], &operands[0]) };
    let (a, offset, flags, symbol) = builder.address(place)?;
    let space = named_space(symbol, instruction.space());
    let slots = builder.slots(value, ty, load)?;
    if slots.len() != instruction.vector() {
        return Err(builder.refuse("the vector has another number of parts"));
    }
    let list = builder.list(&slots);
    let count = slots.len() as u8;
    let code = if load {
        Code::Load { space, ty, count, invariant: instruction.has("nc") }
    } else {
        Code::Store { space, ty, count }
    };
    builder.emit(code, |instr| {
        (instr.a, instr.offset, instr.flags, instr.list) = (a, offset, flags, list);
        instr.d = slots[0].row;
        instr.e = slots[0].bits;
    });
    Ok(())
}

/// The space of an access: a named variable's own where it is a parameter that lies in local memory.
fn named_space(symbol: Option<Symbol>, space: Space) -> Space {
    match (symbol, space) {
        (Some(Symbol::Local(_)), Space::Param | Space::Generic) => Space::Local,
        (Some(Symbol::Shared(_) | Symbol::DynamicShared), Space::Generic) => Space::Shared,
        (_, space) => space,
    }
}

/// Whether the last operand is a policy of the cache.
fn has_policy(instruction: &Instruction<'_>) -> bool {
    instruction.modifiers.contains(&"L2::cache_hint")
}
