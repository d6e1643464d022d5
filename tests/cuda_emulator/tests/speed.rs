//! How fast kernels run here; not a check of anything. `cargo test --release --test speed -- --ignored --nocapture`

mod rig;

use cudarc::driver::{LaunchConfig, PushKernelArg};
use rig::{config, kernel, rig};
use std::time::Instant;

#[test]
#[ignore = "measures, checks nothing"]
fn speed() {
    let Some(rig) = rig() else { return };
    let arithmetic = rig.module(include_str!("kernels/arithmetic.cu"), &[]);
    let product = rig.module(include_str!("kernels/product.cu"), &[]);
    let count = 1 << 20;
    let x = rig.stream.alloc_zeros::<f32>(count).unwrap();
    let mut out = rig.stream.alloc_zeros::<f32>(16 * count).unwrap();
    let start = Instant::now();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&arithmetic, "add"))
            .arg(&x)
            .arg(&x)
            .arg(&mut out)
            .arg(&(count as i32))
            .launch(config(4096, 256))
            .unwrap();
    }
    println!("add: {:?} for {count} numbers", start.elapsed());
    let start = Instant::now();
    let part = count as i32 / 4;
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&arithmetic, "functions"))
            .arg(&x)
            .arg(&mut out)
            .arg(&part)
            .launch(config(1024, 256))
            .unwrap();
    }
    println!("functions: {:?} for {part} numbers", start.elapsed());
    let mut words = rig.stream.alloc_zeros::<u32>(4 * count).unwrap();
    let start = Instant::now();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&arithmetic, "philox"))
            .arg(&5u64)
            .arg(&mut words)
            .arg(&(count as i32))
            .launch(config(4096, 256))
            .unwrap();
    }
    println!("philox: {:?} for {count} numbers", start.elapsed());
    let n = 512;
    let (a, b) = (rig.stream.alloc_zeros::<u16>(n * n).unwrap(), rig.stream.alloc_zeros::<u16>(n * n).unwrap());
    let start = Instant::now();
    let config =
        LaunchConfig { grid_dim: (n as u32 / 64, n as u32 / 64, 1), block_dim: (128, 1, 1), shared_mem_bytes: 0 };
    let side = n as i32;
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&product, "product"))
            .arg(&a)
            .arg(&b)
            .arg(&mut out)
            .arg(&side)
            .arg(&side)
            .arg(&side)
            .launch(config)
            .unwrap();
    }
    let time = start.elapsed();
    println!("product: {time:?} for {n}, {:.2} GFlop/s", 2.0 * (n * n * n) as f64 / time.as_secs_f64() / 1e9);
    println!("with EMULATOR_TRACE=1 the instructions of warps are printed: times 32 for those of lanes");
}
