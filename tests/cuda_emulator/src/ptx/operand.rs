//! Operands: how they are written, and the rows they become.

use super::code::{CONSTANT, Code, NEGATED, Slot, Special, Ty, flag};
use super::decode::Decoder;
use super::module::{Reader, Result, integer};
use crate::ptx::code::Compare;
use crate::run::file::Row;

/// An operand as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A register, a variable, a label or a special register.
    Name(String),
    Int(u64),
    Single(u32),
    Double(u64),
    /// A name and an offset.
    Sum(String, i64),
    Vector(Vec<Operand>),
    Memory(Box<Operand>, i64),
    Not(Box<Operand>),
    /// `d|p`.
    Pair(Box<Operand>, Box<Operand>),
}

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

/// Reads the operands of an instruction, up to its `;`.
pub fn operands(reader: &mut Reader<'_>) -> Result<Vec<Operand>> {
    let mut found = Vec::new();
    while !reader.take(";") {
        if reader.done() {
            return Err(reader.refuse("an instruction does not end"));
        }
        found.push(operand(reader)?);
        if !reader.take(",") && reader.peek() != ";" {
            return Err(reader.refuse(format!("`{}` is not understood after an operand", reader.peek())));
        }
    }
    Ok(found)
}

fn operand(reader: &mut Reader<'_>) -> Result<Operand> {
    let first = match reader.peek() {
        "[" => {
            reader.next();
            let base = operand(reader)?;
            let (base, offset) = match base {
                Operand::Sum(name, offset) => (Operand::Name(name), offset),
                Operand::Int(value) => (Operand::Int(value), 0),
                other => (other, 0),
            };
            reader.expect("]")?;
            return Ok(Operand::Memory(Box::new(base), offset));
        }
        "{" => {
            reader.next();
            let mut parts = Vec::new();
            while !reader.take("}") {
                parts.push(operand(reader)?);
                reader.take(",");
            }
            return Ok(Operand::Vector(parts));
        }
        "!" => {
            reader.next();
            return Ok(Operand::Not(Box::new(operand(reader)?)));
        }
        "(" => {
            // A constant expression in brackets.
            reader.next();
            let inner = operand(reader)?;
            reader.expect(")")?;
            return Ok(inner);
        }
        "-" => {
            reader.next();
            match operand(reader)? {
                Operand::Int(value) => Operand::Int(value.wrapping_neg()),
                Operand::Double(bits) => Operand::Double((-f64::from_bits(bits)).to_bits()),
                Operand::Single(bits) => Operand::Single(bits ^ 0x8000_0000),
                _ => return Err(reader.refuse("`-` before what is no number")),
            }
        }
        text => {
            let parsed = number(text);
            reader.next();
            match parsed {
                Some(value) => value,
                None => {
                    let name = text.to_owned();
                    if reader.take("+") || reader.peek() == "-" {
                        Operand::Sum(name, reader.number()?)
                    } else {
                        Operand::Name(name)
                    }
                }
            }
        }
    };
    if reader.take("|") {
        return Ok(Operand::Pair(Box::new(first), Box::new(operand(reader)?)));
    }
    Ok(first)
}

fn number(text: &str) -> Option<Operand> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0f").or(text.strip_prefix("0F")) {
        return u32::from_str_radix(digits, 16).ok().map(Operand::Single);
    }
    if let Some(digits) = text.strip_prefix("0d").or(text.strip_prefix("0D")) {
        return u64::from_str_radix(digits, 16).ok().map(Operand::Double);
    }
    integer(text).map(Operand::Int).or_else(|| text.parse::<f64>().ok().map(|value| Operand::Double(value.to_bits())))
}

fn special(name: &str) -> Option<(Special, u32)> {
    let axis = |text: &str| match text {
        "x" => Some(0),
        "y" => Some(1),
        "z" => Some(2),
        _ => None,
    };
    let (head, tail) = name.strip_prefix('%')?.split_once('.').unwrap_or((&name[1..], ""));
    Some(match (head, axis(tail)) {
        ("tid", Some(axis)) => (Special::Tid(axis), 32),
        ("ntid", Some(axis)) => (Special::Ntid(axis), 32),
        ("ctaid", Some(axis)) => (Special::Ctaid(axis), 32),
        ("nctaid", Some(axis)) => (Special::Nctaid(axis), 32),
        ("laneid", _) => (Special::Lane, 32),
        ("warpid", _) => (Special::Warp, 32),
        ("nwarpid", _) => (Special::Warps, 32),
        ("smid", _) => (Special::Sm, 32),
        ("nsmid", _) => (Special::Sms, 32),
        ("lanemask_eq", _) => (Special::LaneMask(Compare::Eq), 32),
        ("lanemask_lt", _) => (Special::LaneMask(Compare::Lt), 32),
        ("lanemask_le", _) => (Special::LaneMask(Compare::Le), 32),
        ("lanemask_gt", _) => (Special::LaneMask(Compare::Gt), 32),
        ("lanemask_ge", _) => (Special::LaneMask(Compare::Ge), 32),
        ("clock" | "clock_hi" | "globaltimer_lo", _) => (Special::Clock, 32),
        ("clock64", _) => (Special::Clock64, 64),
        ("globaltimer", _) => (Special::Timer, 64),
        ("dynamic_smem_size", _) => (Special::DynamicShared, 32),
        ("total_smem_size", _) => (Special::TotalShared, 32),
        ("envreg1", _) => (Special::Environment(1), 32),
        ("envreg2", _) => (Special::Environment(0), 32),
        ("gridid", _) => (Special::Zero, 64),
        _ => return None,
    })
}

impl Decoder<'_> {
    pub fn symbol(&self, name: &str) -> Result<Symbol> {
        self.scopes
            .iter()
            .rev()
            .find_map(|scope| scope.get(name).copied())
            .or_else(|| self.module.addresses.get(name).map(|address| Symbol::Global(*address)))
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
                self.dynamic_constants.push((row & !CONSTANT, offset, wide));
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
}

/// Stands for the start of dynamic shared memory until the static part is known; no program has this constant.
pub const DYNAMIC_MARK: u64 = 0x5eed_0000_0000;
