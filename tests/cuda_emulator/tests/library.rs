//! What a library of products may do, as cuBLASLt does: use all of its workspace, rely on what it was told of addresses, and
//! sum in another order where the shape is another.

mod rig;

use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys::{
    cublasComputeType_t, cublasLtMatmulPreferenceAttributes_t as Preference, cublasStatus_t, cudaDataType_t,
};
use cudarc::driver::{CudaSlice, DevicePtr, PushKernelArg};
use rig::{Rig, config, kernel, numbers, rig};

/// Where a product reads and writes, and what the library is told beforehand.
#[derive(Clone, Copy)]
struct Product {
    shape: [usize; 3],
    places: [u64; 3],
    workspace: u64,
    /// Bytes that it is given.
    room: usize,
    /// Bytes that it was told it would be given.
    promised: u64,
    /// What addresses are multiples of, as it was told.
    alignment: u32,
}

impl Product {
    fn run(self, rig: &Rig) -> Result<(), CublasError> {
        let Product { shape: [m, n, k], places: [a, b, out], workspace, room, promised, alignment } = self;
        let layout = |rows: usize, columns: usize| {
            result::create_matrix_layout(cudaDataType_t::CUDA_R_32F, rows as u64, columns as u64, rows as i64)
        };
        let of_alignment = [
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
        ];
        let (one, zero) = (1f32, 0f32);
        // SAFETY: handles are live ones until the end, attributes have the header's sizes.
        unsafe {
            let handle = result::create_handle()?;
            let of = result::create_matmul_desc(cublasComputeType_t::CUBLAS_COMPUTE_32F, cudaDataType_t::CUDA_R_32F)?;
            let (of_a, of_b, of_out) = (layout(m, k)?, layout(k, n)?, layout(m, n)?);
            let preference = result::create_matmul_pref()?;
            let most = Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
            result::set_matmul_pref_attribute(preference, most, (&raw const promised).cast(), 8)?;
            for attribute in of_alignment {
                result::set_matmul_pref_attribute(preference, attribute, (&raw const alignment).cast(), 4)?;
            }
            let found = result::get_matmul_algo_heuristic(handle, of, of_a, of_b, of_out, of_out, preference)?;
            let ran = result::matmul(
                handle,
                of,
                (&raw const one).cast(),
                (&raw const zero).cast(),
                a as *const _,
                of_a,
                b as *const _,
                of_b,
                out as *const _,
                of_out,
                out as *mut _,
                of_out,
                &raw const found.algo,
                workspace as *mut _,
                room,
                rig.stream.cu_stream().cast(),
            );
            result::destroy_matmul_pref(preference)?;
            for layout in [of_a, of_b, of_out] {
                result::destroy_matrix_layout(layout)?;
            }
            result::destroy_matmul_desc(of)?;
            result::destroy_handle(handle)?;
            ran
        }
    }
}

fn address(slice: &CudaSlice<f32>) -> u64 {
    slice.device_ptr(slice.stream()).0
}

const SHAPE: [usize; 3] = [16, 16, 16];

/// A product of three arrays that fill their memory, without a workspace.
fn plain(arrays: [&CudaSlice<f32>; 3]) -> Product {
    Product { shape: SHAPE, places: arrays.map(address), workspace: 0, room: 0, promised: 0, alignment: 4 }
}

fn arrays(rig: &Rig) -> [CudaSlice<f32>; 3] {
    [1, 2, 3].map(|seed| rig.stream.clone_htod(&numbers(512, seed)).unwrap())
}

#[test]
fn nothing_is_kept_in_the_workspace() {
    let Some(rig) = rig() else { return };
    let [a, b, out] = arrays(&rig);
    let kept = rig.stream.alloc_zeros::<f32>(4096).unwrap();
    let inside = Product { workspace: address(&kept) + 1024, room: 2048, promised: 2048, ..plain([&a, &b, &out]) };
    let source = "extern \"C\" __global__ void read(const float* x, float* out) { out[threadIdx.x] = x[threadIdx.x]; }";
    let module = rig.module(source, &[]);
    let read = kernel(&module, "read");
    let mut to = rig.stream.alloc_zeros::<f32>(32).unwrap();
    let mut read_from = |at: usize| {
        // SAFETY: the arguments are those the kernel declares.
        unsafe { rig.stream.launch_builder(&read).arg(&kept.slice(at..)).arg(&mut to).launch(config(1, 32))? };
        rig.stream.synchronize()
    };
    // The second time it lies there yet.
    for _ in 0..2 {
        inside.run(&rig).unwrap();
        let numbers = rig.stream.clone_dtoh(&kept).unwrap();
        for (at, number) in numbers.iter().enumerate() {
            assert_eq!(number.is_nan(), (256..768).contains(&at), "{at}");
        }
        assert_eq!((read_from(224), read_from(768)), (Ok(()), Ok(())));
    }
    assert!(read_from(512).is_err());
}

#[test]
fn what_a_program_writes_there_is_gone_again() {
    let Some(rig) = rig() else { return };
    let [a, b, out] = arrays(&rig);
    let mut kept = rig.stream.alloc_zeros::<f32>(1024).unwrap();
    let inside = Product { workspace: address(&kept), room: 4096, promised: 4096, ..plain([&a, &b, &out]) };
    for _ in 0..2 {
        inside.run(&rig).unwrap();
        assert!(rig.stream.clone_dtoh(&kept).unwrap().iter().all(|number| number.is_nan()));
        rig.stream.memset_zeros(&mut kept).unwrap();
    }
}

#[test]
fn what_was_told_holds() {
    let Some(rig) = rig() else { return };
    let [a, b, out] = arrays(&rig);
    let kept = rig.stream.alloc_zeros::<f32>(4096).unwrap();
    let plain = plain([&a, &b, &out]);
    let (workspace, room, promised) = (address(&kept), 4096, 4096);
    let inside = Product { workspace, room, promised, ..plain };
    let [x, y, z] = plain.places;
    let invalid = cublasStatus_t::CUBLAS_STATUS_INVALID_VALUE;
    for (product, wanted) in [
        (inside, Ok(())),
        (plain, Ok(())),
        // More than it asked for.
        (Product { promised: 1024, ..inside }, Ok(())),
        (Product { room: 1024, ..inside }, Err(invalid)),
        (Product { workspace: workspace + 128, ..inside }, Err(invalid)),
        (Product { workspace: 0, ..inside }, Err(invalid)),
        (Product { alignment: 256, ..inside }, Ok(())),
        (Product { places: [x + 16, y, z], alignment: 16, ..inside }, Ok(())),
        (Product { places: [x + 16, y, z], alignment: 32, ..inside }, Err(invalid)),
        (Product { places: [x, y + 8, z], alignment: 16, ..inside }, Err(invalid)),
        (Product { places: [x, y, z + 128], alignment: 256, ..inside }, Err(invalid)),
        (Product { places: [x, y, workspace + 1024], ..inside }, Err(invalid)),
        (Product { places: [x, y, workspace + 4096], ..inside }, Ok(())),
    ] {
        let ran = product.run(&rig).map_err(|error| error.0);
        assert_eq!(ran, wanted, "{:?}, {:x?}, {room}", product.alignment, product.places);
    }
    let beyond = Product { workspace: workspace + 4096 * 3, room: 8192, promised: 4096, ..plain };
    assert!(beyond.run(&rig).is_err() || rig.stream.synchronize().is_err());
}

#[test]
fn another_shape_sums_in_another_order() {
    let Some(rig) = rig() else { return };
    let (n, k) = (8, 300);
    let (a, b) = (numbers(80 * k, 1), rig.stream.clone_htod(&numbers(k * n, 2)).unwrap());
    // The first 32 rows of a product of `m`, which lie in columns.
    let rows = |m: usize| -> Vec<f32> {
        let of_m: Vec<f32> = a.chunks(80).flat_map(|column| column[..m].to_vec()).collect();
        let (a, out) = (rig.stream.clone_htod(&of_m).unwrap(), rig.stream.alloc_zeros::<f32>(m * n).unwrap());
        Product { shape: [m, n, k], ..plain([&a, &b, &out]) }.run(&rig).unwrap();
        rig.stream.clone_dtoh(&out).unwrap().chunks(m).flat_map(|column| column[..32].to_vec()).collect()
    };
    let first = rows(32);
    assert_eq!(first, rows(32), "the same shape gives the same bits");
    for m in [33, 40, 64, 80] {
        let other = rows(m);
        let unequal = first.iter().zip(&other).filter(|(x, y)| x != y).count();
        assert!(unequal > 32, "{m}: {unequal}");
        assert!(first.iter().zip(&other).all(|(x, y)| (x - y).abs() < 1e-4), "{m}");
    }
}
