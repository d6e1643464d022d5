//! The opcodes of what lanes and warps do together.

use crate::program::{BarrierKind, Code, Shuffle, Ty, Vote};
use crate::ptx::builder::Builder;
use crate::ptx::instruction::Instruction;
use crate::ptx::module::Result;
use crate::ptx::operand::Operand;

pub fn collective(builder: &mut Builder<'_>, instruction: &Instruction<'_>) -> Result<()> {
    let (operands, ty) = (instruction.operands, instruction.ty());
    match instruction.name {
        "bar" | "barrier" if instruction.has("warp") => {
            let b = builder.source(&operands[0], Ty::U32)?;
            builder.emit(Code::WarpBarrier, |instr| instr.b = b);
        }
        "bar" | "barrier" if instruction.has("cluster") => return Err(builder.refuse(instruction.unknown())),
        "bar" | "barrier" => {
            let kind = if instruction.has("arrive") {
                BarrierKind::Arrive
            } else if instruction.has("popc") {
                BarrierKind::Count
            } else if instruction.has("and") {
                BarrierKind::And
            } else if instruction.has("or") {
                BarrierKind::Or
            } else {
                BarrierKind::Sync
            };
            let reduces = matches!(kind, BarrierKind::Count | BarrierKind::And | BarrierKind::Or);
            let (mut rest, mut d, mut c) = (operands, 0, 0);
            if reduces {
                let (last, first) = operands.split_last().ok_or_else(|| builder.refuse(instruction.unknown()))?;
                c = builder.predicate(last)?;
                d = match kind {
                    BarrierKind::Count => builder.destination(&first[0])?.0,
                    _ => builder.predicate(&first[0])?,
                };
                rest = &first[1..];
            }
            let a = builder.source(rest.first().ok_or_else(|| builder.refuse(instruction.unknown()))?, Ty::U32)?;
            // Without a number of threads, all of the block take part.
            let b = match rest.get(1) {
                Some(threads) => builder.source(threads, Ty::U32)?,
                None => builder.constant(0, false),
            };
            builder.emit(Code::Barrier(kind), |instr| (instr.a, instr.b, instr.c, instr.d) = (a, b, c, d));
        }
        "shfl" => {
            let mode = if instruction.has("up") {
                Shuffle::Up
            } else if instruction.has("down") {
                Shuffle::Down
            } else if instruction.has("bfly") {
                Shuffle::Butterfly
            } else {
                Shuffle::Index
            };
            let (to, e) = match &operands[0] {
                Operand::Pair(to, inside) => ((**to).clone(), builder.predicate(inside)?),
                to => (to.clone(), 0),
            };
            let mut rows = [0; 4];
            for (at, row) in rows.iter_mut().enumerate() {
                *row = match operands.get(at + 1) {
                    Some(operand) => builder.source(operand, Ty::U32)?,
                    None => return Err(builder.refuse(instruction.unknown())),
                };
            }
            let (d, _) = builder.destination(&to)?;
            builder.emit(Code::Shuffle(mode), |instr| {
                (instr.d, instr.e) = (d, e);
                (instr.a, instr.c, instr.list, instr.b) = (rows[0], rows[1], rows[2], rows[3]);
            });
        }
        "vote" => {
            let kind = [(Vote::All, "all"), (Vote::Any, "any"), (Vote::Uniform, "uni"), (Vote::Ballot, "ballot")]
                .iter()
                .find(|(_, word)| instruction.has(word))
                .ok_or_else(|| builder.refuse(instruction.unknown()))?
                .0;
            let d = match kind {
                Vote::Ballot => builder.destination(&operands[0])?.0,
                _ => builder.predicate(&operands[0])?,
            };
            let a = builder.predicate(&operands[1])?;
            let b = match operands.get(2) {
                Some(members) => builder.source(members, Ty::U32)?,
                None => return Err(builder.refuse(instruction.unknown())),
            };
            builder.emit(Code::Vote(kind), |instr| (instr.d, instr.a, instr.b) = (d, a, b));
        }
        "match" => {
            let (to, e) = match &operands[0] {
                Operand::Pair(to, all) => ((**to).clone(), builder.predicate(all)?),
                to => (to.clone(), 0),
            };
            let (d, _) = builder.destination(&to)?;
            let (a, b) = (builder.source(&operands[1], ty)?, builder.source(&operands[2], Ty::U32)?);
            builder.emit(Code::Match { ty: ty.plain(), all: instruction.has("all") }, |instr| {
                (instr.d, instr.e, instr.a, instr.b) = (d, e, a, b);
            });
        }
        "redux" => {
            let op = instruction.atomic().ok_or_else(|| builder.refuse(instruction.unknown()))?;
            let (d, _) = builder.destination(&operands[0])?;
            let (a, b) = (builder.source(&operands[1], ty)?, builder.source(&operands[2], Ty::U32)?);
            builder.emit(Code::Reduce { ty, op }, |instr| (instr.d, instr.a, instr.b) = (d, a, b));
        }
        "elect" => {
            let Operand::Pair(to, chosen) = &operands[0] else { return Err(builder.refuse(instruction.unknown())) };
            let ((d, _), e) = (builder.destination(to)?, builder.predicate(chosen)?);
            let b = builder.source(&operands[1], Ty::U32)?;
            builder.emit(Code::Elect, |instr| (instr.d, instr.e, instr.b) = (d, e, b));
        }
        "activemask" => {
            let (d, _) = builder.destination(&operands[0])?;
            builder.emit(Code::ActiveMask, |instr| instr.d = d);
        }
        _ => return Err(builder.refuse(instruction.unknown())),
    }
    Ok(())
}
