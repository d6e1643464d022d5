//! The opcodes of what lanes and warps do together.

use super::code::{BarrierKind, Code, Factors, NEGATED, Shuffle, Slot, Ty, Vote, flag};
use super::decode::Decoder;
use super::instruction::{Modifiers, atomic};
use super::module::Result;
use super::operand::Operand;

impl Decoder<'_> {
    /// What lanes and warps do together.
    pub fn together(
        &mut self,
        name: &str,
        modifiers: &Modifiers<'_>,
        ty: Ty,
        operands: &[Operand],
        unknown: &str,
    ) -> Result<()> {
        let refuse = |decoder: &Self| decoder.refuse(unknown);
        match name {
            "bar" | "barrier" if modifiers.has("warp") => {
                let b = self.source(&operands[0], Ty::U32)?;
                self.emit(Code::WarpBarrier, |instr| instr.b = b);
            }
            "bar" | "barrier" if modifiers.has("cluster") => return Err(refuse(self)),
            "bar" | "barrier" => {
                let kind = if modifiers.has("arrive") {
                    BarrierKind::Arrive
                } else if modifiers.has("popc") {
                    BarrierKind::Count
                } else if modifiers.has("and") {
                    BarrierKind::And
                } else if modifiers.has("or") {
                    BarrierKind::Or
                } else {
                    BarrierKind::Sync
                };
                let reduces = matches!(kind, BarrierKind::Count | BarrierKind::And | BarrierKind::Or);
                let (mut rest, mut d, mut c) = (operands, 0, 0);
                if reduces {
                    let (last, first) = operands.split_last().ok_or_else(|| refuse(self))?;
                    c = self.predicate(last)?;
                    d = match kind {
                        BarrierKind::Count => self.destination(&first[0])?.0,
                        _ => self.predicate(&first[0])?,
                    };
                    rest = &first[1..];
                }
                let a = self.source(rest.first().ok_or_else(|| refuse(self))?, Ty::U32)?;
                // Without a number of threads, all of the block take part.
                let b = match rest.get(1) {
                    Some(threads) => self.source(threads, Ty::U32)?,
                    None => self.constant(0, false),
                };
                self.emit(Code::Barrier(kind), |instr| (instr.a, instr.b, instr.c, instr.d) = (a, b, c, d));
            }
            "shfl" => {
                let mode = if modifiers.has("up") {
                    Shuffle::Up
                } else if modifiers.has("down") {
                    Shuffle::Down
                } else if modifiers.has("bfly") {
                    Shuffle::Butterfly
                } else {
                    Shuffle::Index
                };
                let (to, e) = match &operands[0] {
                    Operand::Pair(to, inside) => ((**to).clone(), self.predicate(inside)?),
                    to => (to.clone(), 0),
                };
                let mut rows = [0; 4];
                for (at, row) in rows.iter_mut().enumerate() {
                    *row = match operands.get(at + 1) {
                        Some(operand) => self.source(operand, Ty::U32)?,
                        None => return Err(refuse(self)),
                    };
                }
                let (d, _) = self.destination(&to)?;
                self.emit(Code::Shuffle(mode), |instr| {
                    (instr.d, instr.e) = (d, e);
                    (instr.a, instr.c, instr.list, instr.b) = (rows[0], rows[1], rows[2], rows[3]);
                });
            }
            "vote" => {
                let kind = [(Vote::All, "all"), (Vote::Any, "any"), (Vote::Uniform, "uni"), (Vote::Ballot, "ballot")]
                    .iter()
                    .find(|(_, word)| modifiers.has(word))
                    .ok_or_else(|| refuse(self))?
                    .0;
                let d = match kind {
                    Vote::Ballot => self.destination(&operands[0])?.0,
                    _ => self.predicate(&operands[0])?,
                };
                let a = self.predicate(&operands[1])?;
                let b = match operands.get(2) {
                    Some(members) => self.source(members, Ty::U32)?,
                    None => return Err(refuse(self)),
                };
                self.emit(Code::Vote(kind), |instr| (instr.d, instr.a, instr.b) = (d, a, b));
            }
            "match" => {
                let (to, e) = match &operands[0] {
                    Operand::Pair(to, all) => ((**to).clone(), self.predicate(all)?),
                    to => (to.clone(), 0),
                };
                let (d, _) = self.destination(&to)?;
                let (a, b) = (self.source(&operands[1], ty)?, self.source(&operands[2], Ty::U32)?);
                self.emit(Code::Match { ty: ty.plain(), all: modifiers.has("all") }, |instr| {
                    (instr.d, instr.e, instr.a, instr.b) = (d, e, a, b);
                });
            }
            "redux" => {
                let op = atomic(modifiers).ok_or_else(|| refuse(self))?;
                let (d, _) = self.destination(&operands[0])?;
                let (a, b) = (self.source(&operands[1], ty)?, self.source(&operands[2], Ty::U32)?);
                self.emit(Code::Reduce { ty, op }, |instr| (instr.d, instr.a, instr.b) = (d, a, b));
            }
            "elect" => {
                let Operand::Pair(to, chosen) = &operands[0] else { return Err(refuse(self)) };
                let ((d, _), e) = (self.destination(to)?, self.predicate(chosen)?);
                let b = self.source(&operands[1], Ty::U32)?;
                self.emit(Code::Elect, |instr| (instr.d, instr.e, instr.b) = (d, e, b));
            }
            "activemask" => {
                let (d, _) = self.destination(&operands[0])?;
                self.emit(Code::ActiveMask, |instr| instr.d = d);
            }
            "mma" => {
                let shape = modifiers.words.iter().find(|word| word.starts_with('m') && word.contains('k'));
                let list: Vec<&str> = modifiers.words.clone();
                let (factors, depth) = match shape {
                    Some(&"m16n8k16") if modifiers.has("bf16") => (Factors::Bf16, 16),
                    Some(&"m16n8k8") if modifiers.has("bf16") => (Factors::Bf16, 8),
                    Some(&"m16n8k8") if modifiers.has("tf32") => (Factors::Tf32, 8),
                    Some(&"m16n8k4") if modifiers.has("tf32") => (Factors::Tf32, 4),
                    Some(&"m16n8k16") if modifiers.has("f16") => (Factors::F16, 16),
                    Some(&"m16n8k8") if modifiers.has("f16") => (Factors::F16, 8),
                    _ => return Err(refuse(self)),
                };
                let half_sums = list.last() == Some(&"f16");
                let mut slots = Vec::new();
                for (at, operand) in operands.iter().take(4).enumerate() {
                    let ty = if at % 3 == 0 && !half_sums { Ty::F32 } else { Ty::U32 };
                    slots.push(self.slots(operand, ty, at == 0)?);
                }
                let per_word = if factors == Factors::Tf32 { 1 } else { 2 };
                let sums = if half_sums { 2 } else { 4 };
                let wanted = [sums, 16 * depth / 32 / per_word, 8 * depth / 32 / per_word, sums];
                if slots.len() != 4 || (0..4).any(|at| slots[at].len() != wanted[at]) {
                    return Err(self.refuse("a fragment has another number of registers"));
                }
                let list = self.list(&slots.concat());
                let code = Code::Product { factors, depth: depth as u8, half_sums };
                self.emit(code, |instr| instr.list = list);
            }
            "ldmatrix" | "stmatrix" => {
                if !modifiers.has("m8n8") || !modifiers.has("b16") {
                    return Err(refuse(self));
                }
                let load = name == "ldmatrix";
                let (value, place) = if load { (&operands[0], &operands[1]) } else { (&operands[1], &operands[0]) };
                let count = if modifiers.has("x4") {
                    4
                } else if modifiers.has("x2") {
                    2
                } else {
                    1
                };
                let slots = self.slots(value, Ty::U32, load)?;
                if slots.len() != count {
                    return Err(self.refuse("a fragment has another number of registers"));
                }
                let (a, offset, flags, _) = self.address(place)?;
                let list = self.list(&slots);
                let (count, transposed) = (count as u8, modifiers.has("trans"));
                // Without a space the address is generic; the run takes either.
                let code =
                    if load { Code::LoadMatrix { count, transposed } } else { Code::StoreMatrix { count, transposed } };
                self.emit(code, |instr| {
                    (instr.a, instr.offset, instr.flags, instr.list) = (a, offset, flags, list);
                });
            }
            "movmatrix" => self.map(Code::TransposeMatrix, Ty::U32, &[Ty::U32], operands, 0)?,
            "cp" if modifiers.has("commit_group") => self.emit(Code::CommitCopies, |_| {}),
            "cp" if modifiers.has("wait_group") => {
                let Some(Operand::Int(count)) = operands.first() else { return Err(refuse(self)) };
                self.emit(Code::WaitCopies, |instr| instr.offset = *count as i64);
            }
            // It waits for those that were not committed as well.
            "cp" if modifiers.has("wait_all") => self.emit(Code::WaitCopies, |instr| instr.offset = -1),
            "cp" if modifiers.has("async") && (modifiers.has("ca") || modifiers.has("cg")) => {
                let (d, offset, flags, _) = self.address(&operands[0])?;
                let (a, from_offset, from_flags, _) = self.address(&operands[1])?;
                let Some(Operand::Int(size)) = operands.get(2) else { return Err(refuse(self)) };
                let size = *size as u8;
                // What is read of them, or whether nothing is. A policy is the last operand and ignored.
                let policies = usize::from(has_policy(modifiers));
                let mut b = self.constant(u64::from(size), false);
                let mut c = NEGATED;
                if let Some(operand) = operands.get(3).filter(|_| operands.len() - policies > 3) {
                    match self.predicate(operand) {
                        Ok(predicate) if !matches!(operand, Operand::Int(_)) => c = predicate,
                        _ => b = self.source(operand, Ty::U32)?,
                    }
                }
                let narrow = from_flags & flag::NARROW_ADDRESS != 0;
                let list = self.list(&[Slot { row: a, bits: if narrow { 32 } else { 64 } }]);
                self.emit(Code::CopyAsync { size }, |instr| {
                    (instr.d, instr.offset, instr.flags) = (d, offset, flags);
                    (instr.b, instr.c, instr.list, instr.a) = (b, c, list, a);
                    instr.e = from_offset as u32;
                });
            }
            _ => return Err(refuse(self)),
        }
        Ok(())
    }
}

/// Whether the last operand is a policy of the cache.
fn has_policy(modifiers: &Modifiers<'_>) -> bool {
    modifiers.words.contains(&"L2::cache_hint")
}
