//! A program in the making: what names stand for, the rows that operands become, the instructions so far.

use super::module::{Refusal, Result};
use super::operand::{Operand, special};
use crate::program::{CONSTANT, Code, Instr, NEGATED, Program, Row, Slot, Ty, flag};
use std::collections::HashMap;

/// Stands for the start of dynamic shared memory until the static part is known; no program has this constant.
const DYNAMIC_MARK: u64 = 0x5eed_0000_0000;

/// What a name stands for in a function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Symbol {
    Register {
        row: u32,
        bits: u32,
    },
    Predicate(u32),
    /// An address in shared memory; the dynamic part starts where the static one ends.
    Shared(u32),
    DynamicShared,
    Local(u32),
    Param(u32),
    Global(u64),
}

#[derive(Debug)]
pub struct Builder<'a> {
    pub program: Program,
    /// What names stand for, the innermost scope last.
    pub scopes: Vec<HashMap<String, Symbol>>,
    /// Of the statement that is read: its guard and its line.
    pub guard: u32,
    pub line: u32,
    /// Addresses of the module's variables.
    globals: &'a HashMap<String, u64>,
    constants: HashMap<(u64, bool), u32>,
    /// Constants that stand for a place in dynamic shared memory: their row, the offset, whether they are wide.
    dynamic: Vec<(u32, i64, bool)>,
}

impl<'a> Builder<'a> {
    pub fn new(program: Program, globals: &'a HashMap<String, u64>) -> Builder<'a> {
        Builder {
            program,
            scopes: vec![HashMap::new()],
            guard: 0,
            line: 0,
            globals,
            constants: HashMap::new(),
            dynamic: Vec::new(),
        }
    }

    pub fn refuse(&self, message: impl Into<String>) -> Refusal {
        Refusal { line: self.line, message: message.into() }
    }

    /// Appends an instruction under the guard of the statement it comes from.
    pub fn emit(&mut self, code: Code, fill: impl FnOnce(&mut Instr)) {
        let mut instr = Instr {
            code,
            unit: code.unit(),
            guard: self.guard,
            d: 0,
            a: 0,
            b: 0,
            c: 0,
            e: 0,
            flags: 0,
            offset: 0,
            list: 0,
            line: self.line,
        };
        fill(&mut instr);
        self.program.code.push(instr);
    }

    pub fn last(&mut self) -> &mut Instr {
        self.program.code.last_mut().expect("an instruction was just emitted")
    }

    /// A destination and up to three sources, lane by lane.
    pub fn map(&mut self, code: Code, to: Ty, from: &[Ty], operands: &[Operand], flags: u32) -> Result<()> {
        if operands.len() <= from.len() {
            return Err(self.refuse("an operand is missing"));
        }
        let mut rows = [0; 3];
        for ((row, ty), operand) in rows.iter_mut().zip(from).zip(&operands[1..]) {
            *row = self.source(operand, *ty)?;
        }
        let (d, bits) = self.destination(&operands[0])?;
        if (bits == 64) != (to.bits() == 64) && operands[0] != Operand::Name("_".to_owned()) {
            return Err(self.refuse(format!("the destination has {bits} bits instead of {}", to.bits())));
        }
        self.emit(code, |instr| {
            (instr.d, instr.a, instr.b, instr.c, instr.flags) = (d, rows[0], rows[1], rows[2], flags);
        });
        Ok(())
    }

    pub fn declare(&mut self, name: String, symbol: Symbol) {
        self.scopes.last_mut().expect("a function has a scope").insert(name, symbol);
    }

    pub fn symbol(&self, name: &str) -> Result<Symbol> {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.get(name).copied())
            .or_else(|| self.globals.get(name).map(|address| Symbol::Global(*address)))
            .ok_or_else(|| self.refuse(format!("`{name}` is not declared")))
    }

    /// A constant in every lane.
    pub fn constant(&mut self, bits: u64, wide: bool) -> u32 {
        if let Some(row) = self.constants.get(&(bits, wide)) {
            return *row;
        }
        let row = self.program.constants.len() as u32 | CONSTANT;
        if wide {
            let mut rows = [Row::default(); 2];
            for (lane, word) in rows.iter_mut().flat_map(|row| row.0.chunks_exact_mut(2)).enumerate() {
                debug_assert!(lane < 32);
                word.copy_from_slice(&[bits as u32, (bits >> 32) as u32]);
            }
            self.program.constants.extend(rows);
        } else {
            self.program.constants.push(Row([bits as u32; 32]));
        }
        self.constants.insert((bits, wide), row);
        row
    }

    /// The rows of a source that is read as `ty`.
    pub fn source(&mut self, operand: &Operand, ty: Ty) -> Result<u32> {
        let wide = ty.bits() == 64;
        let address = match operand {
            Operand::Int(value) => {
                let bits = match ty {
                    Ty::F64 => (*value as i64 as f64).to_bits(),
                    Ty::F32 => u64::from((*value as i64 as f32).to_bits()),
                    Ty::U16 | Ty::F16 | Ty::Bf16 | Ty::S16 => value & 0xffff,
                    Ty::U8 | Ty::S8 => value & 0xff,
                    _ if wide => *value,
                    _ => value & 0xffff_ffff,
                };
                return Ok(self.constant(bits, wide));
            }
            Operand::Single(bits) => {
                let bits = if ty == Ty::F64 { f64::from(f32::from_bits(*bits)).to_bits() } else { u64::from(*bits) };
                return Ok(self.constant(bits, wide));
            }
            Operand::Double(bits) => {
                let bits = if ty == Ty::F32 { u64::from((f64::from_bits(*bits) as f32).to_bits()) } else { *bits };
                return Ok(self.constant(bits, wide));
            }
            Operand::Name(name) => match special(name) {
                Some((special, bits)) => {
                    let row = self.fresh(bits.max(ty.bits()));
                    self.emit(Code::Special(special), |instr| {
                        instr.d = row;
                        instr.e = bits.max(ty.bits());
                    });
                    return Ok(row);
                }
                None => match self.symbol(name)? {
                    Symbol::Register { row, bits } => {
                        if (bits == 64) != wide {
                            return Err(self.refuse(format!("{name} has {bits} bits where {} are read", ty.bits())));
                        }
                        return Ok(row);
                    }
                    Symbol::Predicate(_) => return Err(self.refuse(format!("{name} is a predicate"))),
                    symbol => (symbol, 0),
                },
            },
            Operand::Sum(name, offset) => (self.symbol(name)?, *offset),
            _ => return Err(self.refuse("an operand of another sort is needed")),
        };
        let bits = match address {
            (Symbol::Shared(at), offset) => i64::from(at) + offset,
            (Symbol::DynamicShared, offset) => {
                let row = self.constant(DYNAMIC_MARK.wrapping_add(offset as u64), wide);
                self.dynamic.push((row & !CONSTANT, offset, wide));
                return Ok(row);
            }
            (Symbol::Local(at), offset) => i64::from(at) + offset,
            (Symbol::Param(at), offset) => i64::from(at) + offset,
            (Symbol::Global(at), offset) => at as i64 + offset,
            _ => return Err(self.refuse("an offset to a register")),
        };
        Ok(self.constant(bits as u64, wide))
    }

    /// The row and width of a source register or constant, whatever its width.
    pub fn source_any(&mut self, operand: &Operand, ty: Ty) -> Result<(u32, u32)> {
        if let Operand::Name(name) = operand
            && let Ok(Symbol::Register { row, bits }) = self.symbol(name)
        {
            return Ok((row, bits));
        }
        Ok((self.source(operand, ty)?, ty.bits()))
    }

    /// The register that is written, and its width.
    pub fn destination(&mut self, operand: &Operand) -> Result<(u32, u32)> {
        let Operand::Name(name) = operand else { return Err(self.refuse("a register is needed here")) };
        if name == "_" {
            return Ok((self.fresh(64), 64));
        }
        match self.symbol(name)? {
            Symbol::Register { row, bits } => Ok((row, bits)),
            _ => Err(self.refuse(format!("{name} is no register of numbers"))),
        }
    }

    pub fn predicate(&mut self, operand: &Operand) -> Result<u32> {
        match operand {
            Operand::Not(inner) => Ok(self.predicate(inner)? ^ NEGATED),
            Operand::Int(value) => Ok(if *value != 0 { 0 } else { NEGATED }),
            Operand::Name(name) if name == "_" => {
                self.program.predicates += 1;
                Ok(self.program.predicates - 1)
            }
            Operand::Name(name) => match self.symbol(name)? {
                Symbol::Predicate(at) => Ok(at),
                _ => Err(self.refuse(format!("{name} is no predicate"))),
            },
            _ => Err(self.refuse("a predicate is needed here")),
        }
    }

    /// The base row, the offset and the flags of an address; the space it is in if a variable is named.
    pub fn address(&mut self, operand: &Operand) -> Result<(u32, i64, u32, Option<Symbol>)> {
        let Operand::Memory(base, offset) = operand else { return Err(self.refuse("an address is needed here")) };
        match &**base {
            Operand::Int(value) => {
                let zero = self.constant(0, true);
                Ok((zero, *value as i64 + offset, 0, None))
            }
            Operand::Name(name) => match self.symbol(name)? {
                Symbol::Register { row, bits: 64 } => Ok((row, *offset, 0, None)),
                Symbol::Register { row, .. } => Ok((row, *offset, flag::NARROW_ADDRESS, None)),
                Symbol::Predicate(_) => Err(self.refuse("a predicate as an address")),
                symbol => {
                    let base = self.source(base, Ty::U64)?;
                    Ok((base, *offset, 0, Some(symbol)))
                }
            },
            _ => Err(self.refuse("this address is not understood")),
        }
    }

    pub fn fresh(&mut self, bits: u32) -> u32 {
        let row = self.program.rows;
        self.program.rows += if bits == 64 { 2 } else { 1 };
        row
    }

    /// Operands of which there are many, one after the other; returns where they start.
    pub fn list(&mut self, slots: &[Slot]) -> u32 {
        let start = self.program.lists.len() as u32;
        self.program.lists.extend_from_slice(slots);
        start
    }

    /// The registers of a vector operand, or the one register.
    pub fn slots(&mut self, operand: &Operand, ty: Ty, written: bool) -> Result<Vec<Slot>> {
        let parts = match operand {
            Operand::Vector(parts) => parts.clone(),
            one => vec![one.clone()],
        };
        parts
            .iter()
            .map(|part| {
                let (row, bits) = if written { self.destination(part)? } else { self.source_any(part, ty)? };
                Ok(Slot { row, bits })
            })
            .collect()
    }

    /// The program, once all of it is there: dynamic shared memory starts where the static part ends.
    pub fn finish(mut self) -> Program {
        let dynamic = self.program.shared.next_multiple_of(16);
        self.program.shared = dynamic;
        for (row, offset, wide) in self.dynamic {
            let address = i64::from(dynamic) + offset;
            let words = [address as u32, (address >> 32) as u32];
            for lane in 0..32 {
                if wide {
                    let word = lane * 2;
                    for (part, value) in words.iter().enumerate() {
                        self.program.constants[row as usize + (word + part) / 32].0[(word + part) % 32] = *value;
                    }
                } else {
                    self.program.constants[row as usize].0[lane] = words[0];
                }
            }
        }
        self.program.local = self.program.local.next_multiple_of(16);
        let invariant = |instr: &Instr| matches!(instr.code, Code::Load { invariant: true, .. });
        self.program.invariant = self.program.code.iter().any(invariant);
        self.program
    }
}
