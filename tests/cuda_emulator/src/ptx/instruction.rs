//! Instructions as they are written: an opcode with its modifiers, and operands.

use super::operand::Operand;
use crate::program::{Atomic, Compare, Rounding, Space, Ty, flag};

#[derive(Debug)]
pub struct Instruction<'a> {
    /// With all its modifiers.
    opcode: &'a str,
    /// The opcode's first word.
    pub name: &'a str,
    pub modifiers: Vec<&'a str>,
    /// Those modifiers that are types.
    pub types: Vec<Ty>,
    pub operands: &'a [Operand],
}

impl<'a> Instruction<'a> {
    pub fn new(opcode: &'a str, operands: &'a [Operand]) -> Instruction<'a> {
        let mut words = opcode.split('.');
        let name = words.next().unwrap_or_default();
        let modifiers: Vec<&str> = words.collect();
        let types = modifiers.iter().filter_map(|word| Ty::parse(word)).collect();
        Instruction { opcode, name, modifiers, types, operands }
    }

    /// The type of what is read; where none is written, it does not matter.
    pub fn ty(&self) -> Ty {
        self.types.last().copied().unwrap_or(Ty::U32)
    }

    /// Why it is refused where it is none of those that are known.
    pub fn unknown(&self) -> String {
        format!("the instruction {} is not emulated", self.opcode)
    }

    /// Whether there are as many operands as it has at least, so that they can be taken by their index.
    pub fn is_complete(&self) -> bool {
        self.operands.len() >= least(self.name)
    }

    /// Why it is refused where it is not complete.
    pub fn incomplete(&self) -> String {
        format!("{} needs more operands", self.opcode)
    }

    pub fn has(&self, word: &str) -> bool {
        self.modifiers.contains(&word)
    }

    pub fn rounding(&self) -> Rounding {
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

    pub fn flags(&self) -> u32 {
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

    pub fn space(&self) -> Space {
        if self.modifiers.iter().any(|word| word.starts_with("shared")) {
            Space::Shared
        } else if self.has("global") || self.has("const") {
            Space::Global
        } else if self.has("local") {
            Space::Local
        } else if self.modifiers.iter().any(|word| word.starts_with("param")) {
            Space::Param
        } else {
            Space::Generic
        }
    }

    pub fn vector(&self) -> usize {
        if self.has("v2") {
            2
        } else if self.has("v4") {
            4
        } else {
            1
        }
    }

    pub fn comparison(&self) -> Option<Compare> {
        self.modifiers.iter().find_map(|word| {
            Some(match *word {
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
        })
    }

    pub fn atomic(&self) -> Option<Atomic> {
        self.modifiers.iter().find_map(|word| {
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
}

/// The operands that an instruction has at least.
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
