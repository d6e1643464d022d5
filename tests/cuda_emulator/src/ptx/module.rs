//! What a module declares: variables, kernels, functions. Bodies stay tokens until a kernel is asked for.

use super::token::{Token, tokens};
use crate::program::Ty;
use std::collections::HashMap;
use std::ops::Range;

/// Why a module is refused, and where.
#[derive(Debug)]
pub struct Refusal {
    pub line: u32,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Refusal>;

/// A part of a variable's initial value.
#[derive(Debug, Clone)]
pub enum Initial {
    Bytes(Vec<u8>),
    /// The address of another variable, with an offset.
    Address(String, i64),
}

/// A declared variable of any space.
#[derive(Debug, Clone)]
pub struct Variable {
    pub name: String,
    pub align: u32,
    pub bytes: u32,
    /// Its size is given at the launch.
    pub dynamic: bool,
    pub initial: Vec<Initial>,
}

#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub entry: bool,
    pub returns: Vec<Variable>,
    pub params: Vec<Variable>,
    pub body: Range<usize>,
    pub max_threads: u32,
}

#[derive(Debug)]
pub struct Module {
    pub tokens: Vec<Token>,
    pub lines: Vec<String>,
    /// Variables in global and constant memory; and those in shared memory that all functions see.
    pub globals: Vec<Variable>,
    pub shared: Vec<Variable>,
    pub functions: HashMap<String, Function>,
    /// Where globals lie on the device.
    pub addresses: HashMap<String, u64>,
}

/// Reads tokens one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    pub tokens: &'a [Token],
    pub at: usize,
    pub end: usize,
}

impl<'a> Reader<'a> {
    pub fn new(tokens: &'a [Token], range: Range<usize>) -> Reader<'a> {
        Reader { tokens, at: range.start, end: range.end }
    }

    pub fn peek(&self) -> &'a str {
        if self.at < self.end { &self.tokens[self.at].text } else { "" }
    }

    pub fn line(&self) -> u32 {
        self.tokens.get(self.at.min(self.end.max(1) - 1)).map_or(0, |token| token.line)
    }

    pub fn next(&mut self) -> &'a str {
        let text = self.peek();
        self.at += 1;
        text
    }

    pub fn done(&self) -> bool {
        self.at >= self.end
    }

    pub fn take(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, text: &str) -> Result<()> {
        if self.take(text) { Ok(()) } else { Err(self.refuse(format!("`{text}` is missing before `{}`", self.peek()))) }
    }

    pub fn refuse(&self, message: impl Into<String>) -> Refusal {
        Refusal { line: self.line(), message: message.into() }
    }

    pub fn number(&mut self) -> Result<i64> {
        let negative = self.take("-");
        let text = self.next();
        integer(text)
            .map(|value| if negative { value.wrapping_neg() as i64 } else { value as i64 })
            .ok_or_else(|| self.refuse(format!("`{text}` is no number")))
    }

    /// A declaration after its space, up to and without its `;` or `,`.
    pub fn variable(&mut self) -> Result<Variable> {
        let (mut align, mut ty) = (0, None);
        while self.peek().starts_with('.') {
            match self.next() {
                ".align" => align = self.number()? as u32,
                word => ty = Ty::parse(&word[1..]).or(ty),
            }
        }
        let ty = ty.ok_or_else(|| self.refuse("a variable without a type"))?;
        let name = self.next().to_owned();
        let (mut count, mut dynamic) = (1, false);
        while self.take("[") {
            if self.take("]") {
                dynamic = true;
                count = 0;
            } else {
                count *= self.number()?;
                self.expect("]")?;
            }
        }
        let mut initial = Vec::new();
        if self.take("=") {
            self.initial(ty, &mut initial)?;
        }
        let bytes = if dynamic && !initial.is_empty() {
            initial.iter().map(|part| if let Initial::Bytes(bytes) = part { bytes.len() as u32 } else { 8 }).sum()
        } else {
            count as u32 * ty.bytes()
        };
        Ok(Variable { name, align: align.max(ty.bytes()), bytes, dynamic, initial })
    }

    fn initial(&mut self, ty: Ty, into: &mut Vec<Initial>) -> Result<()> {
        if self.take("{") {
            while !self.take("}") {
                self.initial(ty, into)?;
                self.take(",");
            }
            return Ok(());
        }
        let text = self.peek();
        if text == "-" || text.starts_with(|c: char| c.is_ascii_digit()) {
            let negative = self.take("-");
            let text = self.next();
            let bits = match (float(text), integer(text)) {
                (Some(value), _) if ty == Ty::F32 => u64::from((value as f32).to_bits()),
                (Some(value), _) => value.to_bits(),
                (None, Some(value)) if negative => value.wrapping_neg(),
                (None, Some(value)) => value,
                _ => return Err(self.refuse(format!("`{text}` is no number"))),
            };
            into.push(Initial::Bytes(bits.to_le_bytes()[..ty.bytes() as usize].to_vec()));
            return Ok(());
        }
        let mut name = self.next().to_owned();
        if name == "generic" && self.take("(") {
            name = self.next().to_owned();
            self.expect(")")?;
        }
        let offset = if self.take("+") { self.number()? } else { 0 };
        into.push(Initial::Address(name, offset));
        Ok(())
    }
}

/// A number written as PTX writes integers.
pub fn integer(text: &str) -> Option<u64> {
    let text = text.strip_suffix('U').unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        u64::from_str_radix(digits, 16).ok()
    } else if let Some(digits) = text.strip_prefix("0b") {
        u64::from_str_radix(digits, 2).ok()
    } else if text.len() > 1 && text.starts_with('0') {
        u64::from_str_radix(text, 8).ok()
    } else {
        text.parse().ok()
    }
}

/// A number written as PTX writes floats: `0f` and the bits of an f32, `0d` and those of an f64, or with a point.
pub fn float(text: &str) -> Option<f64> {
    if let Some(digits) = text.strip_prefix("0f").or(text.strip_prefix("0F")) {
        u32::from_str_radix(digits, 16).ok().map(|bits| f64::from(f32::from_bits(bits)))
    } else if let Some(digits) = text.strip_prefix("0d").or(text.strip_prefix("0D")) {
        u64::from_str_radix(digits, 16).ok().map(f64::from_bits)
    } else if text.contains('.') && text.starts_with(|c: char| c.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

impl Module {
    pub fn parse(source: &str) -> Result<Module> {
        let tokens = tokens(source);
        let mut module = Module {
            lines: source.lines().map(|line| line.trim().to_owned()).collect(),
            globals: Vec::new(),
            shared: Vec::new(),
            functions: HashMap::new(),
            addresses: HashMap::new(),
            tokens: Vec::new(),
        };
        let mut reader = Reader::new(&tokens, 0..tokens.len());
        while !reader.done() {
            match reader.next() {
                ".version" | ".address_size" => drop(reader.next()),
                ".target" => {
                    reader.next();
                    while reader.take(",") {
                        reader.next();
                    }
                }
                ".visible" | ".extern" | ".weak" | ".common" | ";" => {}
                ".global" | ".const" => {
                    let variable = reader.variable()?;
                    module.globals.push(variable);
                }
                ".shared" => {
                    let variable = reader.variable()?;
                    module.shared.push(variable);
                }
                kind @ (".entry" | ".func") => {
                    let function = function(&mut reader, kind == ".entry")?;
                    // A declaration may come before and after its body.
                    if !function.body.is_empty() || !module.functions.contains_key(&function.name) {
                        module.functions.insert(function.name.clone(), function);
                    }
                }
                ".pragma" | ".alias" => while !reader.done() && reader.next() != ";" {},
                other => return Err(reader.refuse(format!("`{other}` is not understood here"))),
            }
        }
        module.tokens = tokens;
        Ok(module)
    }
}

fn variables(reader: &mut Reader<'_>) -> Result<Vec<Variable>> {
    let mut found = Vec::new();
    if reader.take("(") {
        while !reader.take(")") {
            if !reader.take(".param") && !reader.take(".reg") {
                return Err(reader.refuse("a parameter without `.param`"));
            }
            found.push(reader.variable()?);
            reader.take(",");
        }
    }
    Ok(found)
}

fn function(reader: &mut Reader<'_>, entry: bool) -> Result<Function> {
    while reader.peek().starts_with(".noreturn") {
        reader.next();
    }
    let returns = variables(reader)?;
    let name = reader.next().to_owned();
    let params = variables(reader)?;
    let mut max_threads = 1024;
    loop {
        match reader.peek() {
            ".maxntid" | ".reqntid" => {
                reader.next();
                max_threads = reader.number()? as u32;
                while reader.take(",") {
                    max_threads *= reader.number()? as u32;
                }
            }
            ".minnctapersm" | ".maxnreg" | ".maxnctapersm" | ".pragma" | ".maxclusterrank" => {
                reader.next();
                reader.next();
            }
            ".noreturn" | ".explicitcluster" => drop(reader.next()),
            _ => break,
        }
    }
    let mut body = 0..0;
    if reader.take("{") {
        let start = reader.at;
        let mut depth = 1;
        while depth > 0 {
            if reader.done() {
                return Err(reader.refuse(format!("the body of {name} does not end")));
            }
            match reader.next() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
        }
        body = start..reader.at - 1;
    } else {
        reader.take(";");
    }
    Ok(Function { name, entry, returns, params, body, max_threads })
}
