//! Opcodes and their modifiers.

use super::code::{Atomic, Code, Compare, Rounding, Space, Ty, flag};
use super::decode::Decoder;
use super::module::Result;
use super::operand::{Operand, Symbol};

/// The modifiers of an opcode.
pub struct Modifiers<'a> {
    pub words: Vec<&'a str>,
}

impl Modifiers<'_> {
    pub fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn types(&self) -> Vec<Ty> {
        self.words.iter().filter_map(|word| Ty::parse(word)).collect()
    }

    fn rounding(&self) -> Rounding {
        let ends = |suffix: &[&str]| suffix.iter().any(|word| self.has(word));
        if ends(&["rz", "rzi"]) {
            Rounding::Zero
        } else if ends(&["rm", "rmi"]) {
            Rounding::Down
        } else if ends(&["rp", "rpi"]) {
            Rounding::Up
        } else if ends(&["rna"]) {
            Rounding::Away
        } else {
            Rounding::Nearest
        }
    }

    fn flags(&self) -> u32 {
        [
            ("ftz", flag::FLUSH),
            ("sat", flag::SATURATE),
            ("satfinite", 0),
            ("NaN", flag::NAN),
            ("relu", flag::RELU),
            ("cc", flag::CARRY_OUT),
        ]
        .iter()
        .map(|(word, flag)| if self.has(word) { *flag } else { 0 })
        .sum()
    }

    fn space(&self) -> Space {
        if self.words.iter().any(|word| word.starts_with("shared")) {
            Space::Shared
        } else if self.has("global") || self.has("const") {
            Space::Global
        } else if self.has("local") {
            Space::Local
        } else if self.words.iter().any(|word| word.starts_with("param")) {
            Space::Param
        } else {
            Space::Generic
        }
    }

    fn vector(&self) -> usize {
        if self.has("v2") {
            2
        } else if self.has("v4") {
            4
        } else {
            1
        }
    }
}

fn compare(word: &str) -> Option<Compare> {
    Some(match word {
        "eq" => Compare::Eq,
        "ne" => Compare::Ne,
        "lt" | "lo" => Compare::Lt,
        "le" | "ls" => Compare::Le,
        "gt" | "hi" => Compare::Gt,
        "ge" | "hs" => Compare::Ge,
        "equ" => Compare::Equ,
        "neu" => Compare::Neu,
        "ltu" => Compare::Ltu,
        "leu" => Compare::Leu,
        "gtu" => Compare::Gtu,
        "geu" => Compare::Geu,
        "num" => Compare::Num,
        "nan" => Compare::Nan,
        _ => return None,
    })
}

pub fn atomic(modifiers: &Modifiers<'_>) -> Option<Atomic> {
    modifiers.words.iter().find_map(|word| {
        Some(match *word {
            "add" => Atomic::Add,
            "min" => Atomic::Min,
            "max" => Atomic::Max,
            "and" => Atomic::And,
            "or" => Atomic::Or,
            "xor" => Atomic::Xor,
            "exch" => Atomic::Exchange,
            "cas" => Atomic::Swap,
            "inc" => Atomic::Increment,
            "dec" => Atomic::Decrement,
            _ => return None,
        })
    })
}

impl Decoder<'_> {
    pub fn instruction(&mut self, opcode: &str, operands: &[Operand]) -> Result<()> {
        let mut words = opcode.split('.');
        let name = words.next().unwrap_or_default();
        let modifiers = Modifiers { words: words.collect() };
        let types = modifiers.types();
        let ty = types.last().copied();
        let unknown = format!("the instruction {opcode} is not emulated");
        let need = |index: usize| operands.get(index);
        let typed = match ty {
            Some(ty) => ty,
            None => Ty::U32,
        };
        if operands.len() < least(name) {
            return Err(self.refuse(format!("{opcode} needs more operands")));
        }
        match name {
            "mov" if typed == Ty::Pred => {
                let (d, a) = (self.predicate(&operands[0])?, self.predicate(&operands[1])?);
                self.emit(Code::MovPred, |instr| (instr.d, instr.a) = (d, a));
            }
            "mov" => match (&operands[0], &operands[1]) {
                (Operand::Vector(_), whole) => {
                    let slots = self.slots(&operands[0], typed, true)?;
                    let a = self.source(whole, typed)?;
                    let list = self.list(&slots);
                    self.emit(Code::Unpack, |instr| {
                        (instr.a, instr.list, instr.b, instr.c) = (a, list, slots.len() as u32, typed.bits());
                    });
                }
                (_, Operand::Vector(parts)) => {
                    let (d, bits) = self.destination(&operands[0])?;
                    let of_part = if bits as usize / parts.len() == 32 { Ty::U32 } else { Ty::U16 };
                    let slots = self.slots(&operands[1], of_part, false)?;
                    let list = self.list(&slots);
                    self.emit(Code::Pack, |instr| {
                        (instr.d, instr.list, instr.b, instr.c) = (d, list, slots.len() as u32, bits);
                    });
                }
                _ => self.map(Code::Mov(typed.plain()), typed, &[typed], operands, 0)?,
            },
            "add" | "sub" | "mul" | "mad" | "fma" | "div" | "rem" | "min" | "max" | "abs" | "neg" | "addc" | "subc"
            | "madc" | "sad" | "mul24" | "mad24" | "copysign" => {
                self.arithmetic(name, &modifiers, typed, operands, &unknown)?
            }
            "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" => {
                let rounding = modifiers.rounding();
                let code = match (name, rounding) {
                    ("rcp", Rounding::Nearest) => Code::Rcp(typed),
                    ("sqrt", Rounding::Nearest) => Code::Sqrt(typed),
                    ("rcp", rounding) => {
                        let one = Operand::Double(1f64.to_bits());
                        let operands = [operands[0].clone(), one, operands[1].clone()];
                        let code = Code::DivRounded(typed, rounding);
                        return self.map(code, typed, &[typed, typed], &operands, modifiers.flags());
                    }
                    ("sqrt", rounding) => Code::SqrtRounded(typed, rounding),
                    ("rsqrt", _) => Code::Rsqrt(typed),
                    ("ex2", _) => Code::Exp2(typed),
                    ("lg2", _) => Code::Log2,
                    ("sin", _) => Code::Sin,
                    ("cos", _) => Code::Cos,
                    _ => Code::Tanh(typed),
                };
                self.map(code, typed, &[typed], operands, modifiers.flags())?;
            }
            "testp" => {
                let kinds = ["finite", "infinite", "number", "notanumber", "normal", "subnormal"];
                let kind =
                    kinds.iter().position(|kind| modifiers.has(kind)).ok_or_else(|| self.refuse(&unknown))? as u8;
                let (d, a) = (self.predicate(&operands[0])?, self.source(&operands[1], typed)?);
                self.emit(Code::TestNumber { ty: typed, kind }, |instr| (instr.d, instr.a) = (d, a));
            }
            "and" | "or" | "xor" | "not" if typed == Ty::Pred => {
                let code = match name {
                    "and" => Code::AndPred,
                    "or" => Code::OrPred,
                    "xor" => Code::XorPred,
                    _ => Code::NotPred,
                };
                let d = self.predicate(&operands[0])?;
                let a = self.predicate(&operands[1])?;
                let b = if name == "not" { 0 } else { self.predicate(&operands[2])? };
                self.emit(code, |instr| (instr.d, instr.a, instr.b) = (d, a, b));
            }
            "and" => self.map(Code::And(typed.plain()), typed, &[typed; 2], operands, 0)?,
            "or" => self.map(Code::Or(typed.plain()), typed, &[typed; 2], operands, 0)?,
            "xor" => self.map(Code::Xor(typed.plain()), typed, &[typed; 2], operands, 0)?,
            "not" => self.map(Code::Not(typed.plain()), typed, &[typed], operands, 0)?,
            "cnot" => self.map(Code::LogicalNot(typed.plain()), typed, &[typed], operands, 0)?,
            "shl" => self.map(Code::Shl(typed.plain()), typed, &[typed, Ty::U32], operands, 0)?,
            "shr" => self.map(Code::Shr(typed), typed, &[typed, Ty::U32], operands, 0)?,
            "shf" => {
                let clamp = modifiers.has("clamp");
                let code = if modifiers.has("l") { Code::FunnelLeft { clamp } } else { Code::FunnelRight { clamp } };
                self.map(code, Ty::U32, &[Ty::U32; 3], operands, 0)?;
            }
            "lop3" => {
                let table = match need(4) {
                    Some(Operand::Int(table)) => *table as i64,
                    _ => return Err(self.refuse(&unknown)),
                };
                self.map(Code::Lop3, Ty::U32, &[Ty::U32; 3], operands, 0)?;
                self.last().offset = table;
            }
            "prmt" => {
                let modes = ["f4e", "b4e", "rc8", "ecl", "ecr", "rc16"];
                let mode = modes.iter().position(|mode| modifiers.has(mode)).map_or(0, |mode| mode as u8 + 1);
                self.map(Code::Permute(mode), Ty::U32, &[Ty::U32; 3], operands, 0)?;
            }
            "bfe" => self.map(Code::Extract(typed), typed, &[typed, Ty::U32, Ty::U32], operands, 0)?,
            "bfi" => {
                self.map(Code::Insert(typed.plain()), typed, &[typed, typed, Ty::U32], operands, 0)?;
                let e = self.source(&operands[4], Ty::U32)?;
                self.last().e = e;
            }
            "bfind" => {
                let shift = modifiers.has("shiftamt");
                self.map(Code::FindBit { ty: typed, shift }, Ty::U32, &[typed], operands, 0)?;
            }
            "brev" => self.map(Code::ReverseBits(typed.plain()), typed, &[typed], operands, 0)?,
            "popc" => self.map(Code::CountOnes(typed.plain()), Ty::U32, &[typed], operands, 0)?,
            "clz" => self.map(Code::LeadingZeros(typed.plain()), Ty::U32, &[typed], operands, 0)?,
            "szext" => {
                let code = Code::SignZeroExtend { signed: typed.signed(), clamp: modifiers.has("clamp") };
                self.map(code, Ty::U32, &[Ty::U32; 2], operands, 0)?;
            }
            "bmsk" => {
                let code = Code::Mask { clamp: modifiers.has("clamp") };
                self.map(code, Ty::U32, &[Ty::U32; 2], operands, 0)?;
            }
            "dp4a" | "dp2a" => {
                let (a_signed, b_signed) = (types[0].signed(), typed.signed());
                let code = if name == "dp4a" {
                    Code::Dot4 { a_signed, b_signed }
                } else {
                    Code::Dot2 { a_signed, b_signed, high: modifiers.has("hi") }
                };
                self.map(code, Ty::U32, &[Ty::U32; 3], operands, 0)?;
            }
            "setp" | "set" => self.compare(name, &modifiers, &types, operands, &unknown)?,
            "selp" => {
                self.map(Code::Select(typed.plain()), typed, &[typed; 2], operands, 0)?;
                let c = self.predicate(&operands[3])?;
                self.last().c = c;
            }
            "slct" => {
                let of_sign = typed;
                let ty = types[0];
                self.map(Code::SelectSign(ty.plain(), of_sign), ty, &[ty, ty, of_sign], operands, modifiers.flags())?;
            }
            "cvt" => self.convert(&modifiers, &types, operands, &unknown)?,
            "cvta" => {
                let space = modifiers.space();
                let code = Code::AddressTo { space, back: modifiers.has("to") };
                self.map(code, typed, &[typed], operands, 0)?;
            }
            "isspacep" => {
                let (d, a) = (self.predicate(&operands[0])?, self.source(&operands[1], Ty::U64)?);
                self.emit(Code::IsSpace(modifiers.space()), |instr| (instr.d, instr.a) = (d, a));
            }
            "ld" | "ldu" | "st" => self.memory(name, &modifiers, typed, operands)?,
            "atom" | "red" => {
                let op = atomic(&modifiers).ok_or_else(|| self.refuse(&unknown))?;
                let given = if name == "atom" { &operands[1..] } else { operands };
                let (d, _) = match name {
                    "atom" => self.destination(&operands[0])?,
                    _ => (self.fresh(64), 64),
                };
                let (a, offset, flags, symbol) = self.address(&given[0])?;
                let b = self.source(&given[1], typed)?;
                let c = if op == Atomic::Swap { self.source(&given[2], typed)? } else { b };
                let space = named_space(symbol, modifiers.space());
                if modifiers.vector() > 1 {
                    return Err(self.refuse(&unknown));
                }
                self.emit(Code::Atomic { space, ty: typed, op }, |instr| {
                    (instr.d, instr.a, instr.b, instr.c, instr.offset, instr.flags) = (d, a, b, c, offset, flags);
                });
            }
            "ret" => self.emit(Code::Return, |_| {}),
            "exit" => self.emit(Code::Exit, |_| {}),
            "trap" => self.emit(Code::Trap, |_| {}),
            "brkpt" | "membar" | "fence" | "prefetch" | "prefetchu" | "griddepcontrol" | "nanosleep"
            | "applypriority" | "discard" | "pmevent" | "setmaxnreg" => self.emit(Code::Nothing, |_| {}),
            "createpolicy" => {
                let (d, bits) = self.destination(&operands[0])?;
                let zero = self.constant(0, bits == 64);
                self.emit(Code::Mov(Ty::U64), |instr| (instr.d, instr.a) = (d, zero));
            }
            _ => self.together(name, &modifiers, typed, operands, &unknown)?,
        }
        Ok(())
    }

    pub fn last(&mut self) -> &mut super::code::Instr {
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

    fn arithmetic(
        &mut self,
        name: &str,
        modifiers: &Modifiers<'_>,
        ty: Ty,
        operands: &[Operand],
        unknown: &str,
    ) -> Result<()> {
        let mut flags = modifiers.flags();
        let rounding = modifiers.rounding();
        let exact = rounding == Rounding::Nearest || !matches!(ty, Ty::F32 | Ty::F64);
        let wide = match ty {
            Ty::U16 => Ty::U32,
            Ty::S16 => Ty::S32,
            Ty::U32 => Ty::U64,
            _ => Ty::S64,
        };
        let carries = modifiers.has("cc") || name.ends_with('c');
        if name.ends_with('c') {
            flags |= flag::CARRY_IN;
        }
        let (code, to, from): (Code, Ty, &[Ty]) = match name {
            "add" | "addc" if carries => (Code::AddCarry(ty), ty, &[ty; 2]),
            "sub" | "subc" if carries => (Code::SubCarry(ty), ty, &[ty; 2]),
            "mad" | "madc" if carries => (Code::MadCarry { ty, high: modifiers.has("hi") }, ty, &[ty; 3]),
            "add" if exact => {
                (Code::Add(if ty.float() || flags & flag::SATURATE != 0 { ty } else { ty.plain() }), ty, &[ty; 2])
            }
            "add" => (Code::AddRounded(ty, rounding), ty, &[ty; 2]),
            "sub" if exact => {
                (Code::Sub(if ty.float() || flags & flag::SATURATE != 0 { ty } else { ty.plain() }), ty, &[ty; 2])
            }
            "mul" if ty.float() && exact => (Code::MulLo(ty), ty, &[ty; 2]),
            "mul" if ty.float() => (Code::MulRounded(ty, rounding), ty, &[ty; 2]),
            "mul" if modifiers.has("hi") => (Code::MulHi(ty), ty, &[ty; 2]),
            "mul" if modifiers.has("wide") => (Code::MulWide(ty), wide, &[ty; 2]),
            "mul" => (Code::MulLo(ty.plain()), ty, &[ty; 2]),
            "mad" | "fma" if ty.float() && exact => (Code::Fma(ty), ty, &[ty; 3]),
            "mad" | "fma" if ty == Ty::F32 => (Code::FmaRounded(ty, rounding), ty, &[ty; 3]),
            "mad" if modifiers.has("hi") => (Code::MadHi(ty), ty, &[ty; 3]),
            "mad" if modifiers.has("wide") => (Code::MadWide(ty), wide, &[ty, ty, wide]),
            "mad" if !ty.float() => (Code::MadLo(ty.plain()), ty, &[ty; 3]),
            "mul24" if modifiers.has("lo") => (Code::Mul24(ty), ty, &[ty; 2]),
            "div" if exact => (Code::Div(ty), ty, &[ty; 2]),
            "div" => (Code::DivRounded(ty, rounding), ty, &[ty; 2]),
            "rem" => (Code::Rem(ty), ty, &[ty; 2]),
            "min" => (Code::Min(ty), ty, &[ty; 2]),
            "max" => (Code::Max(ty), ty, &[ty; 2]),
            "abs" => (Code::Abs(ty), ty, &[ty]),
            "neg" => (Code::Neg(ty), ty, &[ty]),
            "sad" => (Code::Sad(ty), ty, &[ty; 3]),
            "copysign" => (Code::CopySign(ty), ty, &[ty; 2]),
            _ => return Err(self.refuse(unknown)),
        };
        if name == "sub" && !exact {
            return Err(self.refuse(unknown));
        }
        self.map(code, to, from, operands, flags)
    }

    fn compare(
        &mut self,
        name: &str,
        modifiers: &Modifiers<'_>,
        types: &[Ty],
        operands: &[Operand],
        unknown: &str,
    ) -> Result<()> {
        let compare = modifiers.words.iter().find_map(|word| compare(word)).ok_or_else(|| self.refuse(unknown))?;
        let from = *types.last().ok_or_else(|| self.refuse(unknown))?;
        let combine = ["and", "or", "xor"].iter().position(|word| modifiers.has(word)).map_or(0, |at| at as u32 + 1);
        let mut flags = modifiers.flags() | combine << flag::COMBINE_SHIFT;
        let (a, b) = (self.source(&operands[1], from)?, self.source(&operands[2], from)?);
        let c = if combine > 0 && operands.len() > 3 { self.predicate(&operands[3])? } else { 0 };
        if combine == 0 {
            flags &= !flag::COMBINE;
        }
        if name == "set" {
            let (d, _) = self.destination(&operands[0])?;
            self.emit(Code::Set { compare, to: types[0], from }, |instr| {
                (instr.d, instr.a, instr.b, instr.c, instr.flags) = (d, a, b, c, flags);
            });
            return Ok(());
        }
        // The second destination gets the opposite; none is written where there is none: `e` is 0.
        let (d, e) = match &operands[0] {
            Operand::Pair(d, e) => (self.predicate(d)?, self.predicate(e)?),
            d => (self.predicate(d)?, 0),
        };
        self.emit(Code::Setp(compare, from), |instr| {
            (instr.d, instr.e, instr.a, instr.b, instr.c, instr.flags) = (d, e, a, b, c, flags);
        });
        Ok(())
    }

    fn convert(&mut self, modifiers: &Modifiers<'_>, types: &[Ty], operands: &[Operand], unknown: &str) -> Result<()> {
        let rounding = modifiers.rounding();
        if modifiers.has("tf32") {
            return self.map(Code::ConvertTf32, Ty::U32, &[Ty::F32], operands, modifiers.flags());
        }
        let [to, from] = types[..] else { return Err(self.refuse(unknown)) };
        if matches!(to, Ty::Bf16x2 | Ty::F16x2) {
            let code = Code::ConvertPair(to, rounding);
            return self.map(code, to, &[Ty::F32; 2], operands, modifiers.flags());
        }
        let integral = modifiers.words.iter().any(|word| matches!(*word, "rni" | "rzi" | "rmi" | "rpi"));
        let saturate = modifiers.has("sat");
        let (a, _) = self.source_any(&operands[1], from)?;
        let wide_source = matches!(&operands[1], Operand::Name(name)
            if matches!(self.symbol(name), Ok(Symbol::Register { bits: 64, .. })));
        let (d, bits) = self.destination(&operands[0])?;
        self.emit(Code::Convert { to, from, rounding, integral, saturate }, |instr| {
            (instr.d, instr.a, instr.flags) = (d, a, modifiers.flags());
            // The widths of the registers, which may be larger than those of the types.
            instr.b = if wide_source { 64 } else { from.bits() };
            instr.e = bits;
        });
        Ok(())
    }

    fn memory(&mut self, name: &str, modifiers: &Modifiers<'_>, ty: Ty, operands: &[Operand]) -> Result<()> {
        let load = name != "st";
        let (value, place) = if load { (&operands[0], &operands[1]) } else { (&operands[1], &operands[0]) };
        let (a, offset, flags, symbol) = self.address(place)?;
        let space = named_space(symbol, modifiers.space());
        let slots = self.slots(value, ty, load)?;
        if slots.len() != modifiers.vector() {
            return Err(self.refuse("the vector has another number of parts"));
        }
        let list = self.list(&slots);
        let count = slots.len() as u8;
        let code = if load {
            Code::Load { space, ty, count, invariant: modifiers.has("nc") }
        } else {
            Code::Store { space, ty, count }
        };
        self.emit(code, |instr| {
            (instr.a, instr.offset, instr.flags, instr.list) = (a, offset, flags, list);
            instr.d = slots[0].row;
            instr.e = slots[0].bits;
        });
        Ok(())
    }
}

/// The space of an access: a named variable's own where it is a parameter that lies in local memory.
fn named_space(symbol: Option<Symbol>, space: Space) -> Space {
    match (symbol, space) {
        (Some(Symbol::Local(_)), Space::Param | Space::Generic) => Space::Local,
        (Some(Symbol::Shared(_) | Symbol::DynamicShared), Space::Generic) => Space::Shared,
        (_, space) => space,
    }
}

/// The operands that an instruction has at least, so that they can be taken by their index.
fn least(name: &str) -> usize {
    match name {
        "ret" | "exit" | "trap" | "brkpt" | "membar" | "fence" | "cp" | "griddepcontrol" | "pmevent" | "prefetch"
        | "prefetchu" | "nanosleep" | "discard" | "applypriority" | "setmaxnreg" => 0,
        "bar" | "barrier" | "activemask" | "createpolicy" => 1,
        "mov" | "not" | "cnot" | "abs" | "neg" | "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh"
        | "cvt" | "cvta" | "isspacep" | "ld" | "ldu" | "st" | "red" | "testp" | "bfind" | "brev" | "popc" | "clz"
        | "elect" | "ldmatrix" | "stmatrix" | "movmatrix" | "vote" => 2,
        "atom" | "and" | "or" | "xor" | "setp" | "set" | "match" | "redux" => 3,
        "selp" | "slct" | "mma" | "shfl" => 4,
        "bfi" | "lop3" => 5,
        _ => 1,
    }
}
