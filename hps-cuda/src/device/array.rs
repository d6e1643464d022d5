//! What lies on the device: activations, integers, weights.

use crate::device::codes::Coded;
use crate::device::memory::Storage;
use crate::error::{Error, ErrorKind, Result, agree};
use std::sync::{Arc, OnceLock};

/// Number type of an array or a weight on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// IEEE 754 single.
    F32,
    /// bfloat16: the upper half of an f32.
    BF16,
}

impl Format {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Format::F32 => 4,
            Format::BF16 => 2,
        }
    }

    /// The macro of the kernels for it.
    pub(crate) fn define(self) -> (&'static str, u32) {
        ("BF16", u32::from(self == Format::BF16))
    }
}

/// `[rows, columns]`, row-major. Rows and columns are less than 2³¹ each.
#[derive(Debug)]
pub struct Array {
    storage: Storage,
    rows: usize,
    columns: usize,
    format: Format,
}

/// Unsigned integers, on the device; the host keeps those that it sent.
#[derive(Debug)]
pub struct Indices {
    storage: Storage,
    length: usize,
    host: OnceLock<Vec<u32>>,
    /// `u32::MAX` among them stands for what could not be drawn.
    drawn: bool,
    /// Theirs alone, and another as soon as they are other numbers: what is made of them is kept under it.
    identity: Arc<()>,
}

/// A weight, `[out, in]`, row-major.
#[derive(Debug)]
pub struct Weight {
    stored: Stored,
}

/// What the device has of a weight.
#[derive(Debug)]
pub(crate) enum Stored {
    Numbers(Array),
    Codes(Coded),
}

impl Array {
    pub(crate) fn new(storage: Storage, rows: usize, columns: usize, format: Format) -> Array {
        Array { storage, rows, columns, format }
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns it has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Its number type.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Where it lies on the device: `rows · columns` numbers.
    pub fn address(&self) -> u64 {
        self.storage.address()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows * self.columns
    }

    pub(crate) fn bytes(&self) -> usize {
        self.len() * self.format.size()
    }

    /// Where a row lies.
    pub(crate) fn row(&self, row: usize) -> u64 {
        self.address() + (row * self.columns * self.format.size()) as u64
    }
}

impl Indices {
    pub(crate) fn new(storage: Storage, host: Vec<u32>) -> Indices {
        let length = host.len();
        Indices { host: OnceLock::from(host), ..Indices::of_device(storage, length) }
    }

    /// Integers that the device computed.
    pub(crate) fn of_device(storage: Storage, length: usize) -> Indices {
        Indices { storage, length, host: OnceLock::new(), drawn: false, identity: Arc::default() }
    }

    /// Tokens that the device drew, `u32::MAX` where a row's logits had no softmax.
    pub(crate) fn drawn(storage: Storage, length: usize) -> Indices {
        Indices { drawn: true, ..Indices::of_device(storage, length) }
    }

    /// The numbers; waits for the device if it computed them.
    ///
    /// # Errors
    /// The device failed, or the numbers are tokens of which one was to be drawn from NaN logits.
    pub fn host(&self) -> Result<&[u32]> {
        if let Some(known) = self.host.get() {
            return Ok(known);
        }
        let bytes = self.storage.read(4 * self.length)?;
        let numbers: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        if let Some(row) = numbers.iter().position(|number| self.drawn && *number == u32::MAX) {
            let message = format!("the logits of sequence {row} of the batch are NaN or infinite");
            return Err(Error::new(ErrorKind::NonFinite, message));
        }
        Ok(self.host.get_or_init(|| numbers))
    }

    /// Writes as many other numbers over them.
    pub(crate) fn rewrite(&mut self, numbers: &[u32]) -> Result<()> {
        agree("rewrite", "the number of indices", self.length, numbers.len())?;
        self.storage.write(bytemuck::cast_slice(numbers))?;
        (self.host, self.identity) = (OnceLock::from(numbers.to_vec()), Arc::default());
        Ok(())
    }

    /// The device has computed others in their place.
    pub(crate) fn forget(&mut self) {
        (self.host, self.identity) = (OnceLock::new(), Arc::default());
    }

    pub(crate) fn identity(&self) -> &Arc<()> {
        &self.identity
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where they lie on the device.
    pub fn address(&self) -> u64 {
        self.storage.address()
    }
}

impl Weight {
    pub(crate) fn new(stored: Stored) -> Weight {
        Weight { stored }
    }

    /// How many rows it has: outputs.
    pub fn rows(&self) -> usize {
        match &self.stored {
            Stored::Numbers(array) => array.rows,
            Stored::Codes(codes) => codes.rows(),
        }
    }

    /// How many columns it has: inputs.
    pub fn columns(&self) -> usize {
        match &self.stored {
            Stored::Numbers(array) => array.columns,
            Stored::Codes(codes) => codes.columns(),
        }
    }

    /// Its number type; `None` where the device has its codes, which become numbers of the type that they meet.
    pub fn format(&self) -> Option<Format> {
        match &self.stored {
            Stored::Numbers(array) => Some(array.format),
            Stored::Codes(_) => None,
        }
    }

    /// Where its numbers, or its codes without their scales, lie on the device.
    pub fn address(&self) -> u64 {
        match &self.stored {
            Stored::Numbers(array) => array.address(),
            Stored::Codes(codes) => codes.address(),
        }
    }

    pub(crate) fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Its numbers, for an operation that takes no codes.
    pub(crate) fn numbers(&self, operation: &str) -> Result<&Array> {
        match &self.stored {
            Stored::Numbers(array) => Ok(array),
            Stored::Codes(codes) => {
                let message = format!("{operation}: a weight is in codes ({}) where numbers are needed", codes.name());
                Err(Error::new(ErrorKind::Shape, message))
            }
        }
    }
}

/// Refuses arrays of two shapes.
pub(crate) fn same_shape(operation: &str, a: &Array, b: &Array) -> Result<()> {
    agree(operation, "the number of rows", a.rows(), b.rows())?;
    agree(operation, "the number of columns", a.columns(), b.columns())
}
