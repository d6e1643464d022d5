//! A kernel and the functions it calls, statement by statement.

use super::builder::{Builder, Symbol};
use super::instruction::Instruction;
use super::module::{Function, Module, Reader, Result, Variable};
use super::opcode::decode_instruction;
use super::operand::{Operand, operands};
use crate::program::{Code, NEGATED, Program, Ty};
use std::collections::HashMap;

/// Where a called function's parameters lie in local memory. No function calls itself, so each has one place.
#[derive(Debug, Clone, Default)]
struct Place {
    params: Vec<(u32, u32)>,
    returns: Vec<(u32, u32)>,
    start: Option<u32>,
}

#[derive(Debug)]
struct Decoder<'a> {
    module: &'a Module,
    builder: Builder<'a>,
    labels: HashMap<String, u32>,
    /// Instructions whose target is a label; tables whose entries are.
    jumps: Vec<(usize, String)>,
    tables: HashMap<String, Vec<String>>,
    indexed: Vec<(usize, String)>,
    places: HashMap<String, Place>,
    calls: Vec<(usize, String)>,
    waiting: Vec<String>,
}

/// Decodes a kernel.
pub fn decode(module: &Module, entry: &Function) -> Result<Program> {
    let program =
        Program { name: entry.name.clone(), predicates: 1, max_threads: entry.max_threads, ..Program::default() };
    let mut decoder = Decoder {
        module,
        builder: Builder::new(program, &module.addresses),
        labels: HashMap::new(),
        jumps: Vec::new(),
        tables: HashMap::new(),
        indexed: Vec::new(),
        places: HashMap::new(),
        calls: Vec::new(),
        waiting: Vec::new(),
    };
    for variable in &module.shared {
        let symbol = decoder.shared(variable);
        decoder.builder.scopes[0].insert(variable.name.clone(), symbol);
    }
    let mut params = HashMap::new();
    for param in &entry.params {
        let at = decoder.builder.program.param_bytes.next_multiple_of(param.align.max(1));
        decoder.builder.program.params.push((at, param.bytes));
        decoder.builder.program.param_bytes = at + param.bytes;
        params.insert(param.name.clone(), Symbol::Param(at));
    }
    decoder.function(entry, params)?;
    while let Some(name) = decoder.waiting.pop() {
        let function = &module.functions[&name];
        let place = decoder.places[&name].clone();
        let symbols = (function.params.iter().zip(&place.params))
            .chain(function.returns.iter().zip(&place.returns))
            .map(|(variable, (at, _))| (variable.name.clone(), Symbol::Local(*at)))
            .collect();
        let start = decoder.builder.program.code.len() as u32;
        decoder.places.get_mut(&name).expect("it was placed").start = Some(start);
        decoder.function(function, symbols)?;
    }
    for (at, name) in std::mem::take(&mut decoder.calls) {
        decoder.builder.program.code[at].offset =
            i64::from(decoder.places[&name].start.expect("every function was decoded"));
    }
    Ok(decoder.builder.finish())
}

impl Decoder<'_> {
    fn function(&mut self, function: &Function, symbols: HashMap<String, Symbol>) -> Result<()> {
        self.builder.scopes.push(symbols);
        self.labels.clear();
        let mut reader = Reader::new(&self.module.tokens, function.body.clone());
        self.builder.scopes.push(HashMap::new());
        while !reader.done() {
            self.builder.line = reader.line();
            self.builder.guard = 0;
            self.statement(&mut reader)?;
        }
        self.builder.guard = 0;
        self.builder.emit(Code::Return, |_| {});
        self.builder.scopes.truncate(1);
        for (at, label) in std::mem::take(&mut self.jumps) {
            let target = *self.labels.get(&label).ok_or_else(|| self.builder.refuse(format!("no label {label}")))?;
            self.builder.program.code[at].offset = i64::from(target);
        }
        for (at, name) in std::mem::take(&mut self.indexed) {
            let names = self.tables.get(&name).ok_or_else(|| self.builder.refuse(format!("no table {name}")))?;
            let start = self.builder.program.tables.len() as u32;
            for label in names {
                let target = self.labels.get(label).ok_or_else(|| self.builder.refuse(format!("no label {label}")))?;
                self.builder.program.tables.push(*target);
            }
            self.builder.program.code[at].list = start;
            self.builder.program.code[at].e = names.len() as u32;
        }
        self.tables.clear();
        Ok(())
    }

    fn statement(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        match reader.peek() {
            "{" => {
                reader.next();
                self.builder.scopes.push(HashMap::new());
            }
            "}" => {
                reader.next();
                self.builder.scopes.pop();
            }
            ";" | ".extern" => drop(reader.next()),
            ".reg" => self.registers(reader)?,
            space @ (".local" | ".shared" | ".param") => {
                reader.next();
                loop {
                    let variable = reader.variable()?;
                    let symbol = match space {
                        ".shared" => self.shared(&variable),
                        _ => Symbol::Local(self.local(&variable).0),
                    };
                    self.builder.declare(variable.name, symbol);
                    if !reader.take(",") {
                        break;
                    }
                }
                reader.expect(";")?;
            }
            ".pragma" => while !reader.done() && reader.next() != ";" {},
            _ if reader.at + 1 < reader.end && reader.tokens[reader.at + 1].is(":") => {
                let label = reader.next().to_owned();
                reader.next();
                if reader.take(".branchtargets") {
                    let mut names = Vec::new();
                    while !reader.take(";") {
                        names.push(reader.next().to_owned());
                        reader.take(",");
                    }
                    self.tables.insert(label, names);
                } else if reader.peek() == ".callprototype" {
                    return Err(self.builder.refuse("calls by address are not emulated"));
                } else {
                    self.labels.insert(label, self.builder.program.code.len() as u32);
                }
            }
            _ => {
                if reader.take("@") {
                    let negated = reader.take("!");
                    let name = reader.next().to_owned();
                    let Symbol::Predicate(at) = self.builder.symbol(&name)? else {
                        return Err(self.builder.refuse(format!("{name} is no predicate")));
                    };
                    self.builder.guard = if negated { at | NEGATED } else { at };
                }
                let opcode = reader.next().to_owned();
                let line = self.builder.line;
                let text = self.module.lines.get(line as usize - 1).cloned().unwrap_or_default();
                self.builder.program.text.entry(line).or_insert(text);
                match opcode.split('.').next() {
                    Some("call") => self.call(reader)?,
                    Some("bra") => {
                        let label = reader.next().to_owned();
                        self.jumps.push((self.builder.program.code.len(), label));
                        self.builder.emit(Code::Branch, |_| {});
                        reader.expect(";")?;
                    }
                    Some("brx") => {
                        let index = operands(reader)?;
                        let [index, Operand::Name(table)] = &index[..] else {
                            return Err(self.builder.refuse("brx.idx needs a register and a table"));
                        };
                        let row = self.builder.source(index, Ty::U32)?;
                        self.indexed.push((self.builder.program.code.len(), table.clone()));
                        self.builder.emit(Code::BranchIndexed, |instr| instr.a = row);
                    }
                    _ => {
                        let operands = operands(reader)?;
                        decode_instruction(&mut self.builder, &Instruction::new(&opcode, &operands))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn shared(&mut self, variable: &Variable) -> Symbol {
        if variable.dynamic {
            return Symbol::DynamicShared;
        }
        let at = self.builder.program.shared.next_multiple_of(variable.align.max(1));
        self.builder.program.shared = at + variable.bytes;
        Symbol::Shared(at)
    }

    fn local(&mut self, variable: &Variable) -> (u32, u32) {
        let at = self.builder.program.local.next_multiple_of(variable.align.max(1));
        self.builder.program.local = at + variable.bytes;
        (at, variable.bytes)
    }

    fn registers(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        reader.next();
        let ty = reader.next();
        let bits = match ty {
            ".pred" => 1,
            _ => Ty::parse(&ty[1..]).ok_or_else(|| self.builder.refuse(format!("registers of type {ty}")))?.bits(),
        };
        loop {
            let name = reader.next().to_owned();
            let names = if reader.take("<") {
                let count = reader.number()?;
                reader.expect(">")?;
                (0..count).map(|at| format!("{name}{at}")).collect()
            } else {
                vec![name]
            };
            for name in names {
                let symbol = if bits == 1 {
                    self.builder.program.predicates += 1;
                    Symbol::Predicate(self.builder.program.predicates - 1)
                } else {
                    Symbol::Register { row: self.builder.fresh(bits), bits }
                };
                self.builder.declare(name, symbol);
            }
            if !reader.take(",") {
                break;
            }
        }
        reader.expect(";")
    }

    /// `call (returned), function, (given);`
    fn call(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let names = |reader: &mut Reader<'_>| {
            let mut names = Vec::new();
            if reader.take("(") {
                while !reader.done() && !reader.take(")") {
                    names.push(reader.next().to_owned());
                    reader.take(",");
                }
                reader.take(",");
            }
            names
        };
        let returned = names(reader);
        let name = reader.next().to_owned();
        reader.take(",");
        let given = names(reader);
        reader.expect(";")?;
        let Some(function) = self.module.functions.get(&name) else {
            return Err(self.builder.refuse(format!("there is no function {name}")));
        };
        if function.body.is_empty() {
            match name.as_str() {
                // What is printed from the device is not shown.
                "vprintf" => {}
                "__assertfail" => self.builder.emit(Code::Trap, |_| {}),
                _ => return Err(self.builder.refuse(format!("the function {name} has no body"))),
            }
            return Ok(());
        }
        if !self.places.contains_key(&name) {
            let place = Place {
                params: function.params.iter().map(|variable| self.local(variable)).collect(),
                returns: function.returns.iter().map(|variable| self.local(variable)).collect(),
                start: None,
            };
            self.places.insert(name.clone(), place);
            self.waiting.push(name.clone());
        }
        let place = self.places[&name].clone();
        self.copies(&given, &place.params, true)?;
        self.calls.push((self.builder.program.code.len(), name));
        self.builder.emit(Code::Call, |_| {});
        self.copies(&returned, &place.returns, false)
    }

    fn copies(&mut self, names: &[String], places: &[(u32, u32)], into: bool) -> Result<()> {
        for (name, (place, bytes)) in names.iter().zip(places) {
            let Symbol::Local(at) = self.builder.symbol(name)? else {
                return Err(self.builder.refuse(format!("{name} is no parameter")));
            };
            let (from, to) = if into { (at, *place) } else { (*place, at) };
            self.builder.emit(Code::CopyParam, |instr| {
                (instr.a, instr.d, instr.b) = (from, to, *bytes);
            });
        }
        Ok(())
    }
}
