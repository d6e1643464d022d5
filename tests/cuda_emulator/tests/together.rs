//! Threads that work together: reductions, transposes, atomics, votes, locks.

mod rig;

use cudarc::driver::{LaunchConfig, PushKernelArg};
use rig::{config, kernel, numbers, rig};

const SOURCE: &str = include_str!("kernels/warps.cu");

#[test]
fn sums_of_blocks() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let x = numbers(5000, 1);
    let (device, mut out) = (rig.stream.clone_htod(&x).unwrap(), rig.stream.alloc_zeros::<f32>(4).unwrap());
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "block_sums"))
            .arg(&device)
            .arg(&mut out)
            .arg(&5000i32)
            .launch(config(4, 256))
            .unwrap();
    }
    let sum: f32 = rig.stream.clone_dtoh(&out).unwrap().iter().sum();
    assert!((sum - x.iter().sum::<f32>()).abs() < 1e-2, "{sum}");
}

#[test]
fn transpose() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let (rows, columns) = (70i32, 45i32);
    let x = numbers((rows * columns) as usize, 2);
    let (device, mut out) = (rig.stream.clone_htod(&x).unwrap(), rig.stream.alloc_zeros::<f32>(x.len()).unwrap());
    let config = LaunchConfig { grid_dim: (2, 3, 1), block_dim: (32, 8, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "transpose"))
            .arg(&device)
            .arg(&mut out)
            .arg(&rows)
            .arg(&columns)
            .launch(config)
            .unwrap();
    }
    let out = rig.stream.clone_dtoh(&out).unwrap();
    for row in 0..rows {
        for column in 0..columns {
            assert_eq!(out[(column * rows + row) as usize], x[(row * columns + column) as usize]);
        }
    }
}

#[test]
fn atomics() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let x: Vec<u32> = numbers(3000, 3).iter().map(|x| (x.abs() * 1000.0) as u32).collect();
    let device = rig.stream.clone_htod(&x).unwrap();
    let mut bins = rig.stream.alloc_zeros::<u32>(64).unwrap();
    let mut sum = rig.stream.alloc_zeros::<f32>(1).unwrap();
    let mut most = rig.stream.alloc_zeros::<u64>(1).unwrap();
    let config = LaunchConfig { shared_mem_bytes: 256, ..config(5, 96) };
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "tally"))
            .arg(&device)
            .arg(&mut bins)
            .arg(&mut sum)
            .arg(&mut most)
            .arg(&3000i32)
            .launch(config)
            .unwrap();
    }
    let mut wanted = [0; 64];
    x.iter().for_each(|x| wanted[*x as usize % 64] += 1);
    assert_eq!(rig.stream.clone_dtoh(&bins).unwrap(), wanted);
    assert_eq!(rig.stream.clone_dtoh(&sum).unwrap(), [3000.0]);
    assert_eq!(rig.stream.clone_dtoh(&most).unwrap(), [u64::from(*x.iter().max().unwrap())]);
}

/// As PTX's manual has it: `atom.add.f32` takes subnormal numbers for zero in global memory, and not in shared memory.
#[test]
fn sums_of_small_numbers() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let least = f32::MIN_POSITIVE;
    let (old, new) = ([0.0, least / 2.0, least * 1.5, -least / 4.0], [least / 2.0, least, -least, -least / 4.0]);
    let x = rig.stream.clone_htod(&[old, new].concat()).unwrap();
    let mut global = rig.stream.clone_htod(&old).unwrap();
    let mut shared = rig.stream.alloc_zeros::<f32>(4).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "small_sums"))
            .arg(&x)
            .arg(&mut global)
            .arg(&mut shared)
            .launch(config(1, 4))
            .unwrap();
    }
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    assert_eq!(bits(&rig.stream.clone_dtoh(&global).unwrap()), bits(&[0.0, least, 0.0, -0.0]));
    let wanted: Vec<f32> = old.iter().zip(new).map(|(old, new)| old + new).collect();
    assert_eq!(bits(&rig.stream.clone_dtoh(&shared).unwrap()), bits(&wanted));
}

#[test]
fn votes_and_shuffles() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let threads = 64u32;
    let mut out = rig.stream.alloc_zeros::<u32>(8 * threads as usize).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream.launch_builder(&kernel(&module, "together")).arg(&mut out).launch(config(1, threads)).unwrap();
    }
    let out = rig.stream.clone_dtoh(&out).unwrap();
    for thread in 0..threads {
        let lane = thread % 32;
        let row = |row: u32| out[(row * threads + thread) as usize];
        assert_eq!(row(0), (0..32).filter(|lane| lane % 3 == 0).fold(0, |mask, lane| mask | 1 << lane));
        assert_eq!(row(1), 1);
        assert_eq!(row(2), 0xf << (lane / 4 * 4));
        assert_eq!(row(3), 31 * 16 + 31);
        let up = if lane < 3 { lane } else { lane - 3 };
        assert_eq!(row(4), up + (lane / 8 * 8 + 7) * 2 * 1000, "lane {lane}");
        assert_eq!(row(5), if lane < 10 { (lane + 1) % 10 } else { 0xffff_fc00 });
        assert_eq!(row(6), 2);
        assert_eq!(row(7), lane ^ 1);
    }
}

#[test]
fn a_lock_between_lanes() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let mut lock = rig.stream.alloc_zeros::<i32>(1).unwrap();
    let mut value = rig.stream.alloc_zeros::<i32>(1).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "locked"))
            .arg(&mut lock)
            .arg(&mut value)
            .launch(config(3, 64))
            .unwrap();
    }
    assert_eq!(rig.stream.clone_dtoh(&value).unwrap(), [192]);
}

#[test]
fn a_graph_repeats_its_work() {
    use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let stream = rig.context.new_stream().unwrap();
    let (x, mut out) = (stream.clone_htod(&[1.0f32; 64]).unwrap(), stream.alloc_zeros::<f32>(1).unwrap());
    let sums = kernel(&module, "block_sums");
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        stream.launch_builder(&sums).arg(&x).arg(&mut out).arg(&64i32).launch(config(1, 64)).unwrap();
    }
    let graph = stream.end_capture(CUgraphInstantiate_flags(0)).unwrap().unwrap();
    assert_eq!(stream.clone_dtoh(&out).unwrap(), [0.0]);
    graph.launch().unwrap();
    assert_eq!(stream.clone_dtoh(&out).unwrap(), [64.0]);
}

#[test]
fn blocks_that_wait_for_each_other() {
    let Some(rig) = rig() else { return };
    let module = rig.module(SOURCE, &[]);
    let mut x = rig.stream.clone_htod(&[0i32, 10, 20, 30]).unwrap();
    // SAFETY: the arguments are those the kernel declares.
    unsafe {
        rig.stream
            .launch_builder(&kernel(&module, "rounds"))
            .arg(&mut x)
            .arg(&3i32)
            .launch_cooperative(config(4, 64))
            .unwrap();
    }
    assert_eq!(rig.stream.clone_dtoh(&x).unwrap(), [33, 3, 13, 23]);
}
