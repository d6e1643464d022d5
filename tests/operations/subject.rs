//! The backend under test with its tolerances. Numbers reach it and leave it through the trait alone.

use crate::matrix::Matrix;
use crate::random::Draws;
use crate::tolerance::Operation;
use hps_llama::backend::{Backend, StoredTensor};

/// Makes bfloat16 of f32.
pub type Halves<B> = fn(&B, <B as Backend>::Array) -> <B as Backend>::Array;

pub struct Subject<B: Backend> {
    pub backend: B,
    /// The largest error allowed, of an entry's magnitude.
    pub tolerance: fn(Operation) -> f64,
    /// Makes bfloat16 of activations, if that is their type.
    pub halves: Option<Halves<B>>,
}

impl<B: Backend> Subject<B> {
    /// Activations.
    pub fn array(&self, matrix: &Matrix) -> B::Array {
        let array = self.single(matrix);
        match self.halves {
            Some(halves) => halves(&self.backend, array),
            None => array,
        }
    }

    /// What is f32 on every device.
    pub fn single(&self, matrix: &Matrix) -> B::Array {
        self.backend.upload(&matrix.single(), matrix.columns).expect("an upload")
    }

    /// Random numbers that the activations' type holds.
    pub fn draws(&self, seed: u64) -> Draws {
        let draws = Draws::new(seed);
        if self.halves.is_some() { draws.in_halves() } else { draws }
    }

    pub fn indices(&self, numbers: &[u32]) -> B::Indices {
        self.backend.upload_indices(numbers).expect("an upload")
    }

    pub fn weight(&self, matrix: &Matrix) -> B::Weight {
        self.stored(matrix, false)
    }

    pub fn trained_weight(&self, matrix: &Matrix) -> B::Weight {
        self.stored(matrix, true)
    }

    fn stored(&self, matrix: &Matrix, trained: bool) -> B::Weight {
        let bytes: Vec<u8> = matrix.single().iter().flat_map(|number| number.to_le_bytes()).collect();
        let (rows, columns) = (matrix.rows, matrix.columns);
        let tensor = StoredTensor::singles([rows, columns], &bytes).expect("as many numbers");
        self.backend.upload_weight(&tensor, trained).expect("an upload")
    }

    pub fn numbers(&self, array: &B::Array) -> Vec<f32> {
        self.backend.download(array).expect("a download")
    }

    /// What the device holds, as f64.
    pub fn matrix(&self, array: &B::Array, columns: usize) -> Matrix {
        let numbers: Vec<f64> = self.numbers(array).into_iter().map(f64::from).collect();
        Matrix { rows: numbers.len() / columns, columns, numbers }
    }

    /// Asserts `|got − want| ≤ tolerance · magnitude` of every entry.
    ///
    /// * magnitude — the size of the terms whose sum the entry is; rounding is relative to them, not to the sum.
    pub fn assert_close(&self, operation: Operation, got: &B::Array, want: &Matrix, magnitude: &Matrix) {
        self.assert_numbers_close(operation, &self.numbers(got), want, magnitude);
    }

    /// [`Subject::assert_close`] of numbers already downloaded.
    pub fn assert_numbers_close(&self, operation: Operation, got: &[f32], want: &Matrix, magnitude: &Matrix) {
        let (rows, columns) = (want.rows, want.columns);
        assert_eq!((rows, columns), (magnitude.rows, magnitude.columns));
        assert_eq!(got.len(), rows * columns, "{operation:?} to [{rows}, {columns}]");
        let allowed = (self.tolerance)(operation);
        let mut worst = 0.0f64;
        for (entry, ((got, want), magnitude)) in got.iter().zip(&want.numbers).zip(&magnitude.numbers).enumerate() {
            let error = (f64::from(*got) - want).abs();
            assert!(
                error <= allowed * magnitude,
                "{operation:?} to [{rows}, {columns}]: entry {entry} is {got}, not {want}; {:.1e} of its terms",
                error / magnitude
            );
            if error > 0.0 {
                worst = worst.max(error / magnitude);
            }
        }
        println!("{operation:?} [{rows}, {columns}] {worst:.2e}");
    }
}
