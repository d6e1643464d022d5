//! Operands as they are written.

use super::module::{Reader, Result, integer};
use crate::program::{Compare, Special};

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

/// The special register of a name, and its bits.
pub fn special(name: &str) -> Option<(Special, u32)> {
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
