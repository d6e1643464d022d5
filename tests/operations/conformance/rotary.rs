//! Rotary position embedding.

use crate::layout::ROWS;
use crate::matrix::Matrix;
use crate::plain::rotary;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::Backend;

/// The frequencies of a head, as Llama 3 has them.
fn frequencies(dimension: usize) -> Vec<f32> {
    (0..dimension / 2).map(|pair| 500_000f64.powf(-2.0 * pair as f64 / dimension as f64) as f32).collect()
}

/// Positions of a packed batch: they restart, and one is far out.
fn positions(rows: usize) -> Vec<u32> {
    (0..rows as u32).map(|row| if row == 2 { 131_071 } else { row * 37 % 8192 }).collect()
}

/// The angle is formed in f32, so its error grows with it: relative to `1 + angle`.
pub fn rotation_agrees<B: Backend>(subject: &Subject<B>) {
    for rows in ROWS {
        for dimension in [2, 8, 16, 64, 128] {
            let (positions, frequencies) = (positions(rows), frequencies(dimension));
            let want = rotary::rotation(&positions, &frequencies);
            let terms = Matrix::from_fn(rows, dimension, |row, column| {
                1.0 + f64::from(positions[row]) * f64::from(frequencies[column % frequencies.len()])
            });
            let device = subject.backend.upload(&frequencies, frequencies.len()).expect("uploaded");
            let got = subject.backend.rotation(&subject.indices(&positions), &device).expect("a rotation");
            subject.assert_close(Operation::Rotation, &got, &want, &terms);
        }
    }
}

/// Forth, back, and the adjoint of forth is back.
pub fn rotate_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(80);
    for rows in ROWS {
        for (heads, dimension) in [(1, 2), (3, 8), (1, 16), (6, 16), (4, 64), (8, 64), (1, 128)] {
            let columns = heads * dimension;
            let device = subject.backend.upload(&frequencies(dimension), dimension / 2).expect("uploaded");
            let rotation = subject.backend.rotation(&subject.indices(&positions(rows)), &device);
            let rotation = rotation.expect("a rotation");
            let angles = subject.matrix(&rotation, dimension);
            let x = draws.matrix(rows, columns);
            // Both numbers of a pair enter either.
            let terms = Matrix::from_fn(rows, columns, |row, column| {
                let (head, pair) = (column / dimension * dimension, column % dimension % (dimension / 2));
                x[(row, head + pair)].abs() + x[(row, head + pair + dimension / 2)].abs()
            });
            for inverse in [false, true] {
                let rotate = |x| subject.backend.rotate(x, &rotation, dimension, inverse).expect("rotated");
                let want = rotary::rotate(&x, &angles, dimension, inverse);
                subject.assert_close(Operation::Rotate, &rotate(subject.array(&x)), &want, &terms);
                let turned = rotate(subject.array(&x));
                let back = subject.backend.rotate(turned, &rotation, dimension, !inverse).expect("rotated");
                subject.assert_close(Operation::RotateBack, &back, &x, &terms);
                // Beside another array of other heads each is what it is alone.
                let other = draws.matrix(rows, 2 * columns);
                let both = [subject.array(&x), subject.array(&other)];
                let both = subject.backend.rotate_both(both, &rotation, dimension, inverse).expect("rotated");
                for (together, alone) in both.iter().zip([&x, &other]) {
                    assert_eq!(subject.numbers(together), subject.numbers(&rotate(subject.array(alone))));
                }
            }
        }
    }
}
