//! Scalar arithmetic against the host's.

mod rig;

use cudarc::driver::{DeviceRepr, PushKernelArg};
use rig::{Rig, config, kernel, numbers, rig};

const SOURCE: &str = include_str!("kernels/arithmetic.cu");

/// Runs a map with rows of results: one input, one output.
fn map<T: DeviceRepr + Default + Clone, U: DeviceRepr + cudarc::driver::ValidAsZeroBits + Default + Clone>(
    rig: &Rig,
    name: &str,
    x: &[T],
    rows: usize,
) -> Vec<Vec<U>> {
    let module = rig.module(SOURCE, &[]);
    let device = rig.stream.clone_htod(x).unwrap();
    let mut out = rig.stream.alloc_zeros::<U>(rows * x.len()).unwrap();
    let count = x.len() as i32;
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, name))
            .arg(&device)
            .arg(&mut out)
            .arg(&count)
            .launch(config(x.len().div_ceil(128) as u32, 128))
            .unwrap();
    }
    let out = rig.stream.clone_dtoh(&out).unwrap();
    out.chunks(x.len()).map(<[U]>::to_vec).collect()
}

#[test]
fn add() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let (a, b) = (numbers(1000, 1), numbers(1000, 2));
    let (x, y) = (rig.stream.clone_htod(&a).unwrap(), rig.stream.clone_htod(&b).unwrap());
    // SAFETY: all of it is written before it is read.
    let mut out = unsafe { rig.stream.alloc::<f32>(1000).unwrap() };
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "add"))
            .arg(&x)
            .arg(&y)
            .arg(&mut out)
            .arg(&1000i32)
            .launch(config(8, 128))
            .unwrap();
    }
    let out = rig.stream.clone_dtoh(&out).unwrap();
    for at in 0..1000 {
        assert_eq!(out[at], a[at] + b[at]);
    }
}

#[test]
fn functions() {
    let Some(rig) = rig() else { return };
    let mut x: Vec<f32> = numbers(300, 7).iter().flat_map(|x| [*x, x * 10.0, x * 80.0, x * 1e-6]).collect();
    // Beyond 105615 the argument of a sine is reduced by its bits.
    x.extend([1e5, 2e5, -3.7e7, 1e12, 1e20, 3e30, -3.2e38, 0.5, 88.0, -87.0]);
    let out = map::<f32, f32>(&rig, "functions", &x, 16);
    type Function = fn(f64) -> f64;
    let wanted: [(Function, f64); 16] = [
        (f64::sin, 2e-7),
        (f64::cos, 2e-7),
        (f64::exp, 2e-7),
        (|x| x.abs().ln(), 2e-7),
        (|x| x.abs().ln_1p(), 2e-7),
        (f64::exp_m1, 2e-7),
        (|x| x.abs().powf(f64::from(1.3f32)), 1e-6),
        (erf, 3e-7),
        (f64::tanh, 3e-7),
        (|x| x.abs().sqrt(), 1e-7),
        (|x| 1.0 / x.abs().sqrt(), 2e-7),
        (|x| 1.0 / x, 1e-7),
        (|x| x / f64::from(3.7f32), 1e-7),
        (|x| x.floor() + x.ceil() + x.round_ties_even() + x.trunc(), 1e-6),
        (|x| x % 2.5, 1e-7),
        (|x| (x * f64::from(0.001f32)).exp() + x.abs().ln(), 2e-5),
    ];
    for (row, (function, tolerance)) in wanted.iter().enumerate() {
        for (x, y) in x.iter().zip(&out[row]) {
            let exact = function(f64::from(*x)) as f32;
            let near = (f64::from(*y) - f64::from(exact)).abs()
                <= tolerance * f64::from(exact).abs().max(if row < 2 { 1.0 } else { 1e-30 });
            // A sum of logarithms may cancel.
            let near = near || row == 15 && (y - exact).abs() < 1e-5;
            assert!(near || *y == exact, "function {row} of {x}: {y} for {exact}");
        }
    }
}

/// The error function, by its series and its continued fraction.
fn erf(x: f64) -> f64 {
    let size = x.abs();
    let value = if size < 3.0 {
        let (mut term, mut sum) = (size, size);
        for k in 1..200 {
            term *= -size * size / f64::from(k);
            sum += term / f64::from(2 * k + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let mut fraction = 0.0;
        for k in (1..60).rev() {
            fraction = f64::from(k) / 2.0 / (size + fraction);
        }
        1.0 - (-size * size).exp() / ((size + fraction) * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

#[test]
fn doubles() {
    let Some(rig) = rig() else { return };
    let mut x: Vec<f64> = numbers(500, 9).iter().map(|x| f64::from(*x) * 100.0).collect();
    x.extend([1e10, 12345678.9, -1e9, 2.5, -0.5]);
    let out = map::<f64, f64>(&rig, "doubles", &x, 6);
    let wanted: [fn(f64) -> f64; 6] = [
        |x| (x * 0.01).exp(),
        |x| x.abs().ln(),
        |x| x.abs().sqrt() / (x + 0.5),
        f64::sin,
        |x| x.mul_add(x, -1.0) + f64::from(x as f32) + (x as i64 as f64) + f64::from(x as i32),
        |x| x.min(1.0) + x.max(2.0),
    ];
    for (row, function) in wanted.iter().enumerate() {
        for (x, y) in x.iter().zip(&out[row]) {
            let exact = function(*x);
            let near = (y - exact).abs() <= 3e-15 * exact.abs().max(1.0);
            assert!(near || *y == exact, "{row} of {x}: {y} for {exact}");
        }
    }
}

#[test]
fn integers() {
    let Some(rig) = rig() else { return };
    let mut x: Vec<u64> = (0..500u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at << 20).collect();
    x.extend([0, 1, u64::MAX, 1 << 63, 1 << 31, 1 << 32, 0xffff_ffff]);
    let out = map::<u64, u64>(&rig, "integers", &x, 10);
    for at in 0..x.len() {
        let (a, b) = (x[at], x[(at + 1) % x.len()]);
        let (sa, sb, lo, hi) = (a as i64, b as i64, a as u32, (b >> 32) as u32);
        let (slo, shi) = (lo as i32, hi as i32);
        let find_first = |x: u32| if x == 0 { 0 } else { x.trailing_zeros() + 1 };
        let permuted = {
            let bytes = (u64::from(hi) << 32 | u64::from(lo)).to_le_bytes();
            u32::from_le_bytes([bytes[0], bytes[4], bytes[1], bytes[5]])
        };
        let pair = u64::from(hi) << 32 | u64::from(lo);
        let dot: i32 = (0..4)
            .map(|byte| i32::from((lo >> (8 * byte)) as u8 as i8) * i32::from((hi >> (8 * byte)) as u8 as i8))
            .sum::<i32>()
            .wrapping_add(5);
        let wanted = [
            ((u128::from(a) * u128::from(b)) >> 64) as u64,
            ((i128::from(sa) * i128::from(sb)) >> 64) as u64,
            (a / (b | 1)).wrapping_add(a % u64::from(hi | 1)),
            (sa.wrapping_div(sb | 1) as u64).wrapping_add(i64::from(slo.wrapping_rem(shi | 1)) as u64),
            // Sums of ints, as C has them.
            u64::from(
                a.count_ones()
                    .wrapping_add(lo.leading_zeros())
                    .wrapping_add(find_first(hi))
                    .wrapping_add(lo.reverse_bits())
                    .wrapping_add(a.leading_zeros()),
            ),
            u64::from(permuted.wrapping_add(((pair << 7) >> 32) as u32).wrapping_add((pair >> 9) as u32)),
            (a << (hi & 63)) ^ (sa >> (lo & 63)) as u64 ^ i64::from(slo >> 3) as u64,
            u64::from(lo as u8)
                .wrapping_add(i64::from(hi as i16) as u64)
                .wrapping_add((u64::from(lo) * u64::from(hi)) >> 32)
                .wrapping_add(((i64::from(slo) * i64::from(shi)) >> 32) as u64),
            // The first three are summed as unsigned ints.
            u64::from(lo.min(hi).wrapping_add(slo.max(shi) as u32).wrapping_add(slo.wrapping_abs() as u32))
                .wrapping_add(a.min(b))
                .wrapping_add(sa.max(sb) as u64),
            i64::from((lo as f32 * 1e-3).round_ties_even() as i32).wrapping_add(0) as u64,
        ];
        for row in 0..9 {
            assert_eq!(out[row][at], wanted[row], "row {row} of {a:#x}, {b:#x}");
        }
        let ninth = wanted[9].wrapping_add(hi as f32 as u64).wrapping_add(i64::from(dot) as u64);
        assert_eq!(out[9][at], ninth, "row 9 of {a:#x}, {b:#x}");
    }
}

#[test]
fn halves() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let count = 400usize;
    let bf16 = |x: f64| {
        let (bits, f) = ((x as f32).to_bits(), x as f32);
        if f.is_nan() { 0x7fff } else { ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16 }
    };
    let of_bf16 = |x: u16| f64::from(f32::from_bits(u32::from(x) << 16));
    let (a, b): (Vec<u16>, Vec<u16>) = numbers(count * 2, 1)
        .iter()
        .zip(numbers(count * 2, 2))
        .map(|(a, b)| (bf16(f64::from(*a) * 3.0), bf16(f64::from(b))))
        .unzip();
    let half: Vec<half::f16> = numbers(count * 2, 3).iter().map(|x| half::f16::from_f32(*x)).collect();
    let (x, y, h) =
        (rig.stream.clone_htod(&a).unwrap(), rig.stream.clone_htod(&b).unwrap(), rig.stream.clone_htod(&half).unwrap());
    let mut out = rig.stream.alloc_zeros::<u16>(count * 2 * 7).unwrap();
    let mut half_out = rig.stream.alloc_zeros::<half::f16>(count * 2 * 3).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "halves"))
            .arg(&x)
            .arg(&y)
            .arg(&mut out)
            .arg(&h)
            .arg(&mut half_out)
            .arg(&(count as i32))
            .launch(config(4, 128))
            .unwrap();
    }
    let (out, half_out) = (rig.stream.clone_dtoh(&out).unwrap(), rig.stream.clone_dtoh(&half_out).unwrap());
    for at in 0..count * 2 {
        let (a, b) = (of_bf16(a[at]), of_bf16(b[at]));
        let scale = if at % 2 == 0 { 1.7f32 } else { 0.3 };
        let wanted = [
            bf16(a + b),
            bf16(a * b),
            bf16(a.mul_add(b, a)),
            bf16(a.max(b)),
            bf16(a.min(b)),
            bf16(a + b),
            bf16(f64::from(a as f32 * scale)),
        ];
        for (row, wanted) in wanted.iter().enumerate() {
            assert_eq!(out[row * count * 2 + at], *wanted, "row {row}: {a} {b}");
        }
        let x = f64::from(half[at].to_f32());
        let scale = if at % 2 == 0 { 1.7f32 } else { 1e-5 };
        let square = half::f16::from_f64(x * x).to_f64();
        let wanted = [
            half::f16::from_f64(x.mul_add(x, x)),
            half::f16::from_f32(x as f32 * scale),
            half::f16::from_f64(x + square),
        ];
        for (row, wanted) in wanted.iter().enumerate() {
            // A product and a sum may be one operation.
            let got = half_out[row * count * 2 + at];
            let fused = row == 2 && got == half::f16::from_f64(x.mul_add(x, x));
            assert!(got == *wanted || fused, "row {row}: {x}: {got} for {wanted}");
        }
    }
}

#[test]
fn philox() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let seed = 0x1234_5678_9abc_def0u64;
    let mut out = rig.stream.alloc_zeros::<u32>(4 * 100).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "philox"))
            .arg(&seed)
            .arg(&mut out)
            .arg(&100i32)
            .launch(config(1, 128))
            .unwrap();
    }
    let out = rig.stream.clone_dtoh(&out).unwrap();
    for at in 0..100u32 {
        let (mut c, mut key) = ([at, 0, 0, 0], [seed as u32, (seed >> 32) as u32]);
        for _ in 0..10 {
            let (p, q) = (0xD251_1F53u64 * u64::from(c[0]), 0xCD9E_8D57u64 * u64::from(c[2]));
            c = [(q >> 32) as u32 ^ c[1] ^ key[0], q as u32, (p >> 32) as u32 ^ c[3] ^ key[1], p as u32];
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        assert_eq!(out[4 * at as usize..4 * at as usize + 4], c);
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Shape {
    rows: i32,
    columns: i16,
    scale: f32,
    offset: f64,
}

// SAFETY: it is laid out as the kernel's own.
unsafe impl DeviceRepr for Shape {}

#[test]
fn calls_structures_and_variables() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let x: Vec<f32> = (0..40).map(|at| at as f32 * 0.1).collect();
    let shape = Shape { rows: 100, columns: -7, scale: 3.0, offset: 0.25 };
    let device = rig.stream.clone_htod(&x).unwrap();
    let mut out = rig.stream.alloc_zeros::<f32>(40).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "structure"))
            .arg(&device)
            .arg(&mut out)
            .arg(&shape)
            .launch(config(1, 40))
            .unwrap();
    }
    for (at, (x, y)) in x.iter().zip(rig.stream.clone_dtoh(&out).unwrap()).enumerate() {
        let (base, depth) = if *x < 1.0 { (x * 3.0, 0.0) } else { (x + 0.25, 100.0) };
        let wanted = base + (1 << (at % 4)) as f32 + depth - 7.0;
        assert!((y - wanted).abs() < 1e-4, "{x}: {y} for {wanted}");
    }
}

#[test]
fn many_ways_through() {
    let Some(rig) = rig() else { return };
    let x: Vec<i32> = (1..2000).collect();
    let out = map::<i32, i32>(&rig, "chosen", &x, 1);
    for (x, y) in x.iter().zip(&out[0]) {
        let (mut v, mut wanted) = (*x, 0i32);
        match v % 9 {
            0 => wanted = v * 3,
            1 => wanted = v ^ 0x55,
            2 => wanted = v - 7,
            3 => wanted = v.count_ones() as i32,
            4 => wanted = (0..v).take_while(|k| k * k <= v).sum(),
            5 => wanted = v << 2,
            6 => wanted = v / 5,
            7 => {
                while v != 1 && wanted < 1000 {
                    v = if v % 2 != 0 { 3 * v + 1 } else { v / 2 };
                    wanted += 1;
                }
            }
            _ => wanted = -v,
        }
        assert_eq!(*y, wanted, "{x}");
    }
}
