//! The registers of a warp: a row of 32 lanes each, two rows where they have 64 bits.

use crate::program::{CONSTANT, NEGATED, Program, Row};

/// What a lane of a register may be read as.
pub trait Lane: Copy {
    const ZERO: Self;
    /// # Safety
    /// `row` is the first of as many rows as the type takes; `lane` is below 32.
    unsafe fn at(row: *const Row, lane: usize) -> Self;
    /// # Safety
    /// As [`Lane::at`].
    unsafe fn set(self, row: *mut Row, lane: usize);
}

macro_rules! lane {
    ($($ty:ty as $stored:ty, $zero:expr;)*) => {$(
        impl Lane for $ty {
            const ZERO: Self = $zero;
            #[inline(always)]
            unsafe fn at(row: *const Row, lane: usize) -> Self {
                // SAFETY: rows hold 32 such values, as the caller promises.
                unsafe { row.cast::<$stored>().add(lane).read() as $ty }
            }
            #[inline(always)]
            unsafe fn set(self, row: *mut Row, lane: usize) {
                // SAFETY: as above.
                unsafe { row.cast::<$stored>().add(lane).write(self as $stored) }
            }
        }
    )*};
}

// Narrow numbers fill their register with zeros, so that it does not matter who reads it.
lane! {
    u8 as u32, 0;
    u16 as u32, 0;
    u32 as u32, 0;
    i32 as i32, 0;
    u64 as u64, 0;
    i64 as i64, 0;
    f32 as f32, 0.0;
    f64 as f64, 0.0;
}

macro_rules! signed_lane {
    ($($ty:ty as $unsigned:ty;)*) => {$(
        impl Lane for $ty {
            const ZERO: Self = 0;
            #[inline(always)]
            unsafe fn at(row: *const Row, lane: usize) -> Self {
                // SAFETY: as the caller promises.
                unsafe { <$unsigned>::at(row, lane) as $ty }
            }
            #[inline(always)]
            unsafe fn set(self, row: *mut Row, lane: usize) {
                // SAFETY: as the caller promises.
                unsafe { (self as $unsigned).set(row, lane) }
            }
        }
    )*};
}

signed_lane! {
    i8 as u8;
    i16 as u16;
}

/// The registers, the predicates and the carry of a warp.
#[derive(Debug)]
pub struct File {
    rows: Vec<Row>,
    constants: *const Row,
    pub predicates: Vec<u32>,
    pub carry: u32,
}

impl File {
    /// The program outlives the file: whoever runs a warp holds both.
    pub fn new(program: &Program) -> File {
        let mut predicates = vec![0; program.predicates as usize];
        predicates[0] = u32::MAX;
        File {
            // A spare row, since a sink of 64 bits may be the last.
            rows: vec![Row::default(); program.rows as usize + 2],
            constants: program.constants.as_ptr(),
            predicates,
            carry: 0,
        }
    }

    /// For the next block.
    pub fn reset(&mut self) {
        self.predicates[1..].fill(0);
        self.carry = 0;
    }

    #[inline(always)]
    pub fn source(&self, at: u32) -> *const Row {
        let (base, at) = if at & CONSTANT != 0 { (self.constants, at ^ CONSTANT) } else { (self.rows.as_ptr(), at) };
        // SAFETY: the decoder numbers rows and constants as it makes them.
        unsafe { base.add(at as usize) }
    }

    #[inline(always)]
    pub fn target(&mut self, at: u32) -> *mut Row {
        debug_assert!((at as usize) < self.rows.len());
        // SAFETY: as above; constants are no destinations.
        unsafe { self.rows.as_mut_ptr().add(at as usize) }
    }

    #[inline(always)]
    pub fn get<T: Lane>(&self, at: u32, lane: usize) -> T {
        // SAFETY: the decoder gives every operand as many rows as its type takes.
        unsafe { T::at(self.source(at), lane) }
    }

    #[inline(always)]
    pub fn set<T: Lane>(&mut self, at: u32, lane: usize, value: T) {
        // SAFETY: as above.
        unsafe { value.set(self.target(at), lane) }
    }

    /// Writes the lanes of `mask`.
    #[inline(always)]
    pub fn put<T: Lane>(&mut self, at: u32, mask: u32, values: &[T; 32]) {
        let row = self.target(at);
        if mask == u32::MAX {
            for (lane, value) in values.iter().enumerate() {
                // SAFETY: as above.
                unsafe { value.set(row, lane) }
            }
        } else {
            for (lane, value) in values.iter().enumerate() {
                if mask >> lane & 1 != 0 {
                    // SAFETY: as above.
                    unsafe { value.set(row, lane) }
                }
            }
        }
    }

    #[inline(always)]
    pub fn predicate(&self, at: u32) -> u32 {
        let bits = self.predicates[(at & !NEGATED) as usize];
        if at & NEGATED != 0 { !bits } else { bits }
    }

    #[inline(always)]
    pub fn put_predicate(&mut self, at: u32, mask: u32, bits: u32) {
        let old = &mut self.predicates[(at & !NEGATED) as usize];
        *old = *old & !mask | bits & mask;
    }

    /// A lane of a register that may be wider than what is read of it.
    #[inline(always)]
    pub fn get_bits(&self, at: u32, bits: u32, lane: usize) -> u64 {
        if bits == 64 { self.get::<u64>(at, lane) } else { u64::from(self.get::<u32>(at, lane)) }
    }

    #[inline(always)]
    pub fn set_bits(&mut self, at: u32, bits: u32, lane: usize, value: u64) {
        match bits {
            64 => self.set(at, lane, value),
            16 => self.set(at, lane, value as u16),
            8 => self.set(at, lane, value as u8),
            _ => self.set(at, lane, value as u32),
        }
    }
}
