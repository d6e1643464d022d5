//! What a benchmark is asked for, and its figures: kept in a file that is written anew with each of them, so that a run that
//! is cut off leaves what it has.

use hps_cuda::Device;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

/// A benchmark's arguments: `[DEVICE] [--json FILE] [--tiny]`.
#[derive(Debug)]
pub struct Request {
    /// The number of a GPU or a part of its name; the first without one.
    pub device: Option<String>,
    /// Whether small sizes are wanted, which show that it runs.
    pub tiny: bool,
    file: Option<PathBuf>,
}

impl Request {
    /// `None` where cargo asks for tests, of which there are none.
    pub fn read() -> Result<Option<Request>, String> {
        let mut request = Request { device: None, tiny: false, file: None };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--test" | "--list" => return Ok(None),
                "--tiny" => request.tiny = true,
                "--json" => request.file = Some(arguments.next().ok_or("`--json` takes a file")?.into()),
                option if option.starts_with('-') => {
                    return Err(format!("unknown option `{option}`; there are `--json FILE` and `--tiny`"));
                }
                _ => request.device = Some(argument),
            }
        }
        Ok(Some(request))
    }

    /// The device, or `None` where there is none and none is required (`HPS_REQUIRE_CUDA`); that is said.
    pub fn open(&self) -> hps_cuda::Result<Option<Device>> {
        match Device::open(self.device.as_deref()) {
            Err(error) if env::var_os("HPS_REQUIRE_CUDA").is_none() => {
                eprintln!("SKIPPED, as {error}");
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }
}

/// Says what went wrong, where something did.
pub fn ended(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Names and values, and the lines of a table.
#[derive(Debug)]
pub struct Figures {
    file: Option<PathBuf>,
    known: Map<String, Value>,
}

impl Figures {
    pub fn new(request: &Request, device: &Device) -> Result<Figures, Box<dyn Error>> {
        let mut figures = Figures { file: request.file.clone(), known: Map::new() };
        figures.known.insert("lines".into(), json!([]));
        figures.known.insert("missing".into(), json!([]));
        figures.set("device", device.name())?;
        Ok(figures)
    }

    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<(), Box<dyn Error>> {
        self.known.insert(name.into(), value.into());
        self.write()
    }

    pub fn line(&mut self, line: Value) -> Result<(), Box<dyn Error>> {
        self.push("lines", line)
    }

    /// Says that something was not measured, and why: the rest may still be.
    pub fn missing(&mut self, what: &str, error: &dyn Error) -> Result<(), Box<dyn Error>> {
        println!("{what}: not measured: {error}");
        self.push("missing", json!({ "what": what, "why": error.to_string() }))
    }

    /// Says that nothing follows; an error where something is missing.
    pub fn end(mut self) -> Result<(), Box<dyn Error>> {
        self.set("complete", true)?;
        match self.known["missing"].as_array() {
            Some(missing) if !missing.is_empty() => Err(format!("{} not measured", missing.len()).into()),
            _ => Ok(()),
        }
    }

    fn push(&mut self, list: &str, value: Value) -> Result<(), Box<dyn Error>> {
        self.known.get_mut(list).and_then(Value::as_array_mut).ok_or("no such list")?.push(value);
        self.write()
    }

    fn write(&self) -> Result<(), Box<dyn Error>> {
        let Some(file) = &self.file else { return Ok(()) };
        let whole = file.with_extension("part");
        fs::write(&whole, serde_json::to_string_pretty(&self.known)?)?;
        Ok(fs::rename(whole, file)?)
    }
}
