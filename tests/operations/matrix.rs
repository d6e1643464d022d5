//! Matrices of f64, in which the plain copies compute: `[rows, columns]`, row-major.

use std::ops::{Index, IndexMut};

#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub numbers: Vec<f64>,
}

impl Matrix {
    pub fn from_fn(rows: usize, columns: usize, mut number: impl FnMut(usize, usize) -> f64) -> Matrix {
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Matrix { rows, columns, numbers: places.map(|(row, column)| number(row, column)).collect() }
    }

    pub fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix { rows, columns, numbers: vec![0.0; rows * columns] }
    }

    pub fn row(&self, row: usize) -> &[f64] {
        &self.numbers[row * self.columns..][..self.columns]
    }

    pub fn map(&self, change: impl Fn(f64) -> f64) -> Matrix {
        Matrix { numbers: self.numbers.iter().map(|number| change(*number)).collect(), ..*self }
    }

    pub fn absolute(&self) -> Matrix {
        self.map(f64::abs)
    }

    /// Every entry the largest magnitude, but at least `least`.
    pub fn greatest(&self, least: f64) -> Matrix {
        let greatest = self.numbers.iter().fold(least, |greatest, number| greatest.max(number.abs()));
        self.map(|_| greatest)
    }

    /// `Σ a b` over all entries.
    pub fn dot(&self, other: &Matrix) -> f64 {
        assert_eq!((self.rows, self.columns), (other.rows, other.columns));
        self.numbers.iter().zip(&other.numbers).map(|(a, b)| a * b).sum()
    }

    /// The numbers on the way to a device.
    pub fn single(&self) -> Vec<f32> {
        self.numbers.iter().map(|number| *number as f32).collect()
    }
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;
    fn index(&self, (row, column): (usize, usize)) -> &f64 {
        &self.numbers[row * self.columns + column]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (row, column): (usize, usize)) -> &mut f64 {
        &mut self.numbers[row * self.columns + column]
    }
}
