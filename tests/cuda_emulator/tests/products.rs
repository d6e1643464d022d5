//! Products of matrices: on tensor cores, and by cuBLASLt.

mod rig;

use cudarc::cublaslt::{CudaBlasLT, Matmul, MatmulConfig};
use cudarc::driver::{LaunchConfig, PushKernelArg};
use rig::{kernel, numbers, rig};

fn narrow(x: &[f32]) -> Vec<u16> {
    x.iter().map(|x| ((x.to_bits() + 0x7fff + (x.to_bits() >> 16 & 1)) >> 16) as u16).collect()
}

fn widen(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// Row-major `[m, k]` times `[k, n]`.
fn plain(a: &[u16], b: &[u16], [m, n, k]: [usize; 3]) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for row in 0..m {
        for column in 0..n {
            out[row * n + column] =
                (0..k).map(|at| f64::from(widen(a[row * k + at])) * f64::from(widen(b[at * n + column]))).sum();
        }
    }
    out
}

#[test]
fn on_tensor_cores() {
    let Some(rig) = rig() else { return };
    let module = rig.module(include_str!("kernels/product.cu"), &[]);
    for [m, n, k] in [[64, 64, 32], [64, 64, 96], [100, 72, 40], [130, 200, 264]] {
        let (a, b) = (narrow(&numbers(m * k, 1)), narrow(&numbers(k * n, 2)));
        let wanted = plain(&a, &b, [m, n, k]);
        let (a, b) = (rig.stream.clone_htod(&a).unwrap(), rig.stream.clone_htod(&b).unwrap());
        let mut out = rig.stream.alloc_zeros::<f32>(m * n).unwrap();
        let config = LaunchConfig {
            grid_dim: (n.div_ceil(64) as u32, m.div_ceil(64) as u32, 1),
            block_dim: (128, 1, 1),
            shared_mem_bytes: 0,
        };
        let [rows, columns, depth] = [m, n, k].map(|count| count as i32);
        // SAFETY: the arguments are those the kernel declares.
        unsafe {
            rig.stream
                .launch_builder(&kernel(&module, "product"))
                .arg(&a)
                .arg(&b)
                .arg(&mut out)
                .arg(&rows)
                .arg(&columns)
                .arg(&depth)
                .launch(config)
                .unwrap();
        }
        let out = rig.stream.clone_dtoh(&out).unwrap();
        for (at, (x, y)) in out.iter().zip(&wanted).enumerate() {
            assert!((f64::from(*x) - y).abs() < 1e-4 * k as f64, "{m} {n} {k} at {at}: {x} for {y}");
        }
    }
}

#[test]
fn by_cublas() {
    let Some(rig) = rig() else { return };
    let blas = CudaBlasLT::new(rig.stream.clone()).unwrap();
    let (m, n, k) = (37usize, 50usize, 130usize);
    for (transa, transb, beta) in [(false, false, 0.0), (true, false, 0.0), (false, true, 0.5), (true, true, 1.0)] {
        let (a, b, c) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
        // By columns, as cuBLAS has it.
        let at = |matrix: &[f32], row: usize, column: usize, rows: usize, columns: usize, transposed: bool| {
            if transposed { matrix[row * columns + column] } else { matrix[column * rows + row] }
        };
        let (left, right) = (rig.stream.clone_htod(&a).unwrap(), rig.stream.clone_htod(&b).unwrap());
        let mut out = rig.stream.clone_htod(&c).unwrap();
        let config = MatmulConfig {
            transa,
            transb,
            transc: false,
            m: m as u64,
            n: n as u64,
            k: k as u64,
            alpha: 2.0,
            lda: if transa { k } else { m } as i64,
            ldb: if transb { n } else { k } as i64,
            beta,
            ldc: m as i64,
            stride_a: None,
            stride_b: None,
            stride_c: None,
            stride_bias: None,
            batch_size: None,
        };
        // SAFETY: the matrices have the shapes that are told.
        unsafe { blas.matmul(config, &left, &right, &mut out, None, None).unwrap() };
        let out = rig.stream.clone_dtoh(&out).unwrap();
        for row in 0..m {
            for column in 0..n {
                let sum: f32 = (0..k).map(|x| at(&a, row, x, m, k, transa) * at(&b, x, column, k, n, transb)).sum();
                let wanted = 2.0 * sum + beta * c[column * m + row];
                assert!((out[column * m + row] - wanted).abs() < 1e-3, "{row} {column}");
            }
        }
    }
}

#[test]
fn fragments_as_the_manual_places_them() {
    let Some(rig) = rig() else { return };
    let module = rig.module(include_str!("kernels/fragments.cu"), &[]);
    let (a, b) = (narrow(&numbers(256, 1)), narrow(&numbers(128, 2)));
    let half = |x: &[u16]| x.iter().map(|x| half::f16::from_f32(widen(*x)).to_bits()).collect::<Vec<u16>>();
    let [x, y, hx, hy] = [a.clone(), b.clone(), half(&a), half(&b)].map(|x| rig.stream.clone_htod(&x).unwrap());
    let mut out = rig.stream.alloc_zeros::<f32>(3 * 128).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "products"))
            .arg(&x)
            .arg(&y)
            .arg(&mut out)
            .arg(&hx)
            .arg(&hy)
            .launch(rig::config(1, 32))
            .unwrap();
    }
    let out = rig.stream.clone_dtoh(&out).unwrap();
    for (kind, depth) in [16, 16, 8].into_iter().enumerate() {
        for at in 0..128 {
            let (row, column) = (at / 8, at % 8);
            let sum: f32 = (0..depth).map(|k| widen(a[row * 16 + k]) * widen(b[k * 8 + column])).sum();
            let wanted = sum + 0.5 * at as f32;
            // Numbers of bf16 that are too small for f16 lose digits.
            assert!((out[kind * 128 + at] - wanted).abs() < 1e-3, "{kind}, {row}, {column}");
        }
    }
    let (a, b) = (numbers(128, 3), numbers(64, 4));
    let (x, y) = (rig.stream.clone_htod(&a).unwrap(), rig.stream.clone_htod(&b).unwrap());
    let mut out = rig.stream.alloc_zeros::<f32>(128).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "product_tf32"))
            .arg(&x)
            .arg(&y)
            .arg(&mut out)
            .launch(rig::config(1, 32))
            .unwrap();
    }
    for (at, out) in rig.stream.clone_dtoh(&out).unwrap().into_iter().enumerate() {
        let wanted: f32 = (0..8).map(|k| a[at / 8 * 8 + k] * b[k * 8 + at % 8]).sum();
        assert!((out - wanted).abs() < 1e-2, "{at}: {out} for {wanted}");
    }
}

#[test]
fn matrices_as_the_manual_places_them() {
    let Some(rig) = rig() else { return };
    let module = rig.module(include_str!("kernels/fragments.cu"), &[]);
    let mut out = rig.stream.alloc_zeros::<u32>(256).unwrap();
    // SAFETY: the argument is the one the kernel declares.
    unsafe {
        rig.stream.launch_builder(&kernel(&module, "matrices")).arg(&mut out).launch(rig::config(1, 32)).unwrap();
    }
    for (at, word) in rig.stream.clone_dtoh(&out).unwrap().into_iter().enumerate() {
        let (lane, register) = (at as u32 / 8, at as u32 % 8);
        let (row, column, matrix) = (lane / 4, lane % 4 * 2, register % 4 * 64);
        let wanted = if register < 4 {
            (matrix + row * 8 + column) | ((matrix + row * 8 + column + 1) << 16)
        } else {
            (matrix + column * 8 + row) | ((matrix + (column + 1) * 8 + row) << 16)
        };
        assert_eq!(word, wanted, "lane {lane}, register {register}");
    }
}
