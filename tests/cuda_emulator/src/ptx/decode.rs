//! A kernel and the functions it calls, statement by statement.

use super::code::{Code, Instr, Program, Slot, Ty};
use super::module::{Function, Module, Reader, Refusal, Result, Variable};
use super::operand::{Symbol, operands};
use std::collections::HashMap;

/// Where a called function's parameters lie in local memory. No function calls itself, so each has one place.
#[derive(Debug, Clone, Default)]
struct Place {
    params: Vec<(u32, u32)>,
    returns: Vec<(u32, u32)>,
    start: Option<u32>,
}

#[derive(Debug)]
pub struct Decoder<'a> {
    pub module: &'a Module,
    pub program: Program,
    pub scopes: Vec<HashMap<String, Symbol>>,
    pub constants: HashMap<(u64, bool), u32>,
    /// Constants that stand for a place in dynamic shared memory: their row, the offset, whether they are wide.
    pub dynamic_constants: Vec<(u32, i64, bool)>,
    guard: u32,
    line: u32,
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
    let mut decoder = Decoder {
        module,
        program: Program {
            name: entry.name.clone(),
            predicates: 1,
            max_threads: entry.max_threads,
            ..Program::default()
        },
        scopes: vec![HashMap::new()],
        constants: HashMap::new(),
        dynamic_constants: Vec::new(),
        guard: 0,
        line: 0,
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
        decoder.scopes[0].insert(variable.name.clone(), symbol);
    }
    let mut params = HashMap::new();
    for param in &entry.params {
        let at = decoder.program.param_bytes.next_multiple_of(param.align.max(1));
        decoder.program.params.push((at, param.bytes));
        decoder.program.param_bytes = at + param.bytes;
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
        let start = decoder.program.code.len() as u32;
        decoder.places.get_mut(&name).expect("it was placed").start = Some(start);
        decoder.function(function, symbols)?;
    }
    for (at, name) in std::mem::take(&mut decoder.calls) {
        decoder.program.code[at].offset = i64::from(decoder.places[&name].start.expect("every function was decoded"));
    }
    let dynamic = decoder.program.shared.next_multiple_of(16);
    decoder.program.shared = dynamic;
    for (row, offset, wide) in std::mem::take(&mut decoder.dynamic_constants) {
        let address = i64::from(dynamic) + offset;
        let words = [address as u32, (address >> 32) as u32];
        for lane in 0..32 {
            if wide {
                let word = lane * 2;
                for (part, value) in words.iter().enumerate() {
                    decoder.program.constants[row as usize + (word + part) / 32].0[(word + part) % 32] = *value;
                }
            } else {
                decoder.program.constants[row as usize].0[lane] = words[0];
            }
        }
    }
    decoder.program.local = decoder.program.local.next_multiple_of(16);
    Ok(decoder.program)
}

impl Decoder<'_> {
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

    fn function(&mut self, function: &Function, symbols: HashMap<String, Symbol>) -> Result<()> {
        self.scopes.push(symbols);
        self.labels.clear();
        let mut reader = Reader::new(&self.module.tokens, function.body.clone());
        self.scopes.push(HashMap::new());
        while !reader.done() {
            self.line = reader.line();
            self.guard = 0;
            self.statement(&mut reader)?;
        }
        self.guard = 0;
        self.emit(Code::Return, |_| {});
        self.scopes.truncate(1);
        for (at, label) in std::mem::take(&mut self.jumps) {
            let target = *self.labels.get(&label).ok_or_else(|| self.refuse(format!("no label {label}")))?;
            self.program.code[at].offset = i64::from(target);
        }
        for (at, name) in std::mem::take(&mut self.indexed) {
            let names = self.tables.get(&name).ok_or_else(|| self.refuse(format!("no table {name}")))?;
            let start = self.program.tables.len() as u32;
            for label in names {
                let target = self.labels.get(label).ok_or_else(|| self.refuse(format!("no label {label}")))?;
                self.program.tables.push(*target);
            }
            self.program.code[at].list = start;
            self.program.code[at].e = names.len() as u32;
        }
        self.tables.clear();
        Ok(())
    }

    fn statement(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        match reader.peek() {
            "{" => {
                reader.next();
                self.scopes.push(HashMap::new());
            }
            "}" => {
                reader.next();
                self.scopes.pop();
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
                    self.declare(variable.name, symbol);
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
                    return Err(self.refuse("calls by address are not emulated"));
                } else {
                    self.labels.insert(label, self.program.code.len() as u32);
                }
            }
            _ => {
                if reader.take("@") {
                    let negated = reader.take("!");
                    let name = reader.next().to_owned();
                    let Symbol::Predicate(at) = self.symbol(&name)? else {
                        return Err(self.refuse(format!("{name} is no predicate")));
                    };
                    self.guard = if negated { at | super::code::NEGATED } else { at };
                }
                let opcode = reader.next().to_owned();
                let line = self.line;
                let text = self.module.lines.get(line as usize - 1).cloned().unwrap_or_default();
                self.program.text.entry(line).or_insert(text);
                match opcode.split('.').next() {
                    Some("call") => self.call(reader)?,
                    Some("bra") => {
                        let label = reader.next().to_owned();
                        self.jumps.push((self.program.code.len(), label));
                        self.emit(Code::Branch, |_| {});
                        reader.expect(";")?;
                    }
                    Some("brx") => {
                        let index = operands(reader)?;
                        let [index, super::operand::Operand::Name(table)] = &index[..] else {
                            return Err(self.refuse("brx.idx needs a register and a table"));
                        };
                        let row = self.source(index, Ty::U32)?;
                        self.indexed.push((self.program.code.len(), table.clone()));
                        self.emit(Code::BranchIndexed, |instr| instr.a = row);
                    }
                    _ => {
                        let operands = operands(reader)?;
                        self.instruction(&opcode, &operands)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn declare(&mut self, name: String, symbol: Symbol) {
        self.scopes.last_mut().expect("a function has a scope").insert(name, symbol);
    }

    fn shared(&mut self, variable: &Variable) -> Symbol {
        if variable.dynamic {
            return Symbol::DynamicShared;
        }
        let at = self.program.shared.next_multiple_of(variable.align.max(1));
        self.program.shared = at + variable.bytes;
        Symbol::Shared(at)
    }

    fn local(&mut self, variable: &Variable) -> (u32, u32) {
        let at = self.program.local.next_multiple_of(variable.align.max(1));
        self.program.local = at + variable.bytes;
        (at, variable.bytes)
    }

    fn registers(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        reader.next();
        let ty = reader.next();
        let bits = match ty {
            ".pred" => 1,
            _ => Ty::parse(&ty[1..]).ok_or_else(|| self.refuse(format!("registers of type {ty}")))?.bits(),
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
                    self.program.predicates += 1;
                    Symbol::Predicate(self.program.predicates - 1)
                } else {
                    Symbol::Register { row: self.fresh(bits), bits }
                };
                self.declare(name, symbol);
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
            return Err(self.refuse(format!("there is no function {name}")));
        };
        if function.body.is_empty() {
            match name.as_str() {
                // What is printed from the device is not shown.
                "vprintf" => {}
                "__assertfail" => self.emit(Code::Trap, |_| {}),
                _ => return Err(self.refuse(format!("the function {name} has no body"))),
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
        self.calls.push((self.program.code.len(), name));
        self.emit(Code::Call, |_| {});
        self.copies(&returned, &place.returns, false)
    }

    fn copies(&mut self, names: &[String], places: &[(u32, u32)], into: bool) -> Result<()> {
        for (name, (place, bytes)) in names.iter().zip(places) {
            let Symbol::Local(at) = self.symbol(name)? else {
                return Err(self.refuse(format!("{name} is no parameter")));
            };
            let (from, to) = if into { (at, *place) } else { (*place, at) };
            self.emit(Code::CopyParam, |instr| {
                (instr.a, instr.d, instr.b) = (from, to, *bytes);
            });
        }
        Ok(())
    }

    /// The registers of a vector operand, or the one register.
    pub fn slots(&mut self, operand: &super::operand::Operand, ty: Ty, written: bool) -> Result<Vec<Slot>> {
        let parts = match operand {
            super::operand::Operand::Vector(parts) => parts.clone(),
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
}
