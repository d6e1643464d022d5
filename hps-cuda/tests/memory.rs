//! Device memory: freed arrays serve later ones, and what does not fit is an error that says how much there is.

#[allow(dead_code)] // The other tests use the rest.
mod support;

use hps_cuda::{Array, Device, ErrorKind, Format, Heads, Result, TILE, Weight};
use support::{Matrix, device};

#[test]
fn more_than_there_is_is_refused_with_numbers() {
    let Some(device) = device() else { return };
    // 1 TiB.
    let refused = device.zeros(1 << 24, 1 << 14, Format::F32).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfMemory, "{refused}");
    let said = refused.to_string();
    assert!(said.contains("1099511627776 bytes of device memory, of which ") && said.contains(" are free"), "{said}");
    // The device is as good as before.
    assert_eq!(device.download(&device.upload(&[3.0], 1).unwrap()).unwrap(), [3.0]);
}

/// Other tests take and give back memory meanwhile.
#[test]
fn what_is_free_is_told() {
    let Some(device) = device() else { return };
    let free = device.free_memory().unwrap();
    let said = device.zeros(1 << 24, 1 << 14, Format::F32).unwrap_err().to_string();
    let total = said.split("of which ").nth(1).and_then(|rest| rest.split(' ').nth(2)).map(str::parse::<u64>);
    let total = total.expect("what there is").expect("bytes");
    assert!(free > 0 && free <= total, "{free} bytes of {total}");
}

#[test]
fn more_rows_than_kernels_count_are_refused() {
    let Some(device) = device() else { return };
    let refused = device.zeros(1 << 31, 1, Format::BF16).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Shape);
    assert_eq!(refused.to_string(), "an array of 2147483648 x 1, and kernels count to 2147483648");
}

#[test]
fn freed_arrays_serve_later_ones() {
    let Some(_) = device() else { return };
    // A device of its own, so that other tests' arrays do not count.
    let device = Device::open(None).unwrap();
    drop(device.zeros(1000, 7000, Format::F32).unwrap());
    let allocated = device.allocated();
    // Somewhat shorter, of another type; and many short ones.
    let second = device.zeros(1300, 10_000, Format::BF16).unwrap();
    assert!(device.download(&second).unwrap().iter().all(|number| *number == 0.0));
    drop(second);
    let many: Vec<_> = (0..600).map(|_| device.zeros(100, 100, Format::F32).unwrap()).collect();
    assert_eq!(device.allocated(), allocated);
    assert_eq!(device.peak(), 28_000_000usize.next_multiple_of(256));
    drop(many);
}

/// Arrays of ever other lengths, as batches are: what is kept is what was needed at once, not every length there was.
#[test]
fn memory_is_what_was_needed_at_once() {
    let Some(_) = device() else { return };
    let device = Device::open(None).unwrap();
    for length in 1..60 {
        drop(device.zeros(length, 25_000, Format::F32).unwrap());
    }
    let [allocated, peak] = [device.allocated(), device.peak()];
    assert!(peak >= 59 * 100_000 && allocated <= 2 * peak + (64 << 20), "{allocated} bytes for {peak} at once");
    assert!(!device.name().contains("emulator") || allocated == peak, "{allocated} bytes for {peak} at once");
}

/// Set in the program whose calls are counted.
const COUNTED: &str = "HPS_TEST_OF_CALLS";

/// Batches of any length: cuBLASLt is asked about few of them, and the driver not at all what is free.
#[test]
fn few_questions_are_asked() {
    let Some(device) = device() else { return };
    if std::env::var_os(COUNTED).is_some() {
        let weight = Matrix::random(1, 8, 16).weight(&device, Format::BF16);
        for rows in 1..300 {
            let x = Matrix::random(2, rows, 16).array(&device, Format::BF16);
            device.linear(&x, &weight).unwrap();
        }
        // What nobody waits for may never be done.
        device.wait().unwrap();
        return;
    }
    if device.name() != "PTX emulator" {
        eprintln!("SKIPPED, as {} does not count", device.name());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts");
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["few_questions_are_asked", "--exact"])
        .env(COUNTED, "1")
        .env("EMULATOR_COUNT", &path)
        .output()
        .unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let table = std::fs::read_to_string(path).unwrap();
    let calls = |name: &str| -> usize {
        let line = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        line.map_or(0, |line| line.split('\t').next().unwrap().parse().unwrap())
    };
    assert_eq!((calls("cublasLtMatmul"), calls("cuMemGetInfo")), (299, 0), "{table}");
    assert!(calls("cublasLtMatmulAlgoGetHeuristic") <= 60, "{table}");
}

/// A product with a weight.
type Product = fn(&Device, &Array, &Weight, &Array) -> Result<Array>;

/// Products with a matrix in codes that is more than a tile, decoded in two panels either way: its bytes and a tile are
/// all that they take beside their arrays. Numbers are small and whole, so sums are exact in any order.
#[test]
fn a_matrix_in_codes_takes_its_bytes_and_a_tile() {
    const SHAPE: [usize; 2] = [4224, 4096];
    const ROWS: usize = 3;
    let Some(_) = device() else { return };
    let matrix = Matrix::random(11, SHAPE[0], SHAPE[1]);
    // Of a block's 32 numbers and its f16.
    let stored = SHAPE[0] * SHAPE[1] / 32 * 34;
    assert!(SHAPE[0] * SHAPE[1] > TILE);
    let products: [(usize, Product); 2] = [
        (1, |device, x, weight, onto| device.linear_onto(x, weight, onto)),
        (0, |device, x, weight, onto| device.linear_backward_onto(x, weight, onto)),
    ];
    for (from, product) in products {
        let x = Matrix::from_fn(ROWS, SHAPE[from], |row, column| ((row + column * 5) % 3) as f32 - 1.0);
        let onto = Matrix::from_fn(ROWS, SHAPE[1 - from], |row, column| (row * 2 + column % 7) as f32);
        let mut want = onto.numbers.clone();
        for (x, want) in x.numbers.chunks(x.columns).zip(want.chunks_mut(onto.columns)) {
            for (row, numbers) in matrix.numbers.chunks(SHAPE[1]).enumerate() {
                match from {
                    1 => want[row] += numbers.iter().zip(x).map(|(number, x)| number * x).sum::<f32>(),
                    _ => want.iter_mut().zip(numbers).for_each(|(want, number)| *want += number * x[row]),
                }
            }
        }
        for format in [Format::F32, Format::BF16] {
            // A device of its own, so that other tests' arrays do not count.
            let device = Device::open(None).unwrap();
            let weight = matrix.codes(&device);
            let (x, onto) =
                (device.upload(&x.numbers, x.columns).unwrap(), device.upload(&onto.numbers, onto.columns).unwrap());
            let (x, onto) = (device.convert(&x, format).unwrap(), device.convert(&onto, format).unwrap());
            let y = product(&device, &x, &weight, &onto).unwrap();
            let got = device.download(&y).unwrap();
            let rounded =
                |number: f32| f32::from_bits((number.to_bits() + 0x7fff + (number.to_bits() >> 16 & 1)) & 0xffff_0000);
            let exact = |number: &f32| if format == Format::F32 { *number } else { rounded(*number) };
            assert!(got == want.iter().map(exact).collect::<Vec<f32>>(), "from {from} in {format:?}");
            let arrays = 2 * ROWS * (SHAPE[0] + SHAPE[1]) * 4;
            // What cuBLAS may take beside.
            let workspace = 32 << 20;
            let most = stored + TILE * format.size() + workspace + arrays + 4096;
            assert!(device.peak() <= most, "{} bytes, from {from} in {format:?}; {most} expected", device.peak());
        }
    }
}

/// What attention plans for a batch's spans is kept with the device, as long as the spans are there.
#[test]
fn plans_go_with_their_spans() {
    let Some(_) = device() else { return };
    let device = Device::open(None).unwrap();
    let heads = Heads { query: 2, key_value: 1, dimension: 16 };
    let [q, kv] = [2, 1].map(|heads| Matrix::random(heads, 40, heads as usize * 16).array(&device, Format::BF16));
    let mut run = |split: u32| {
        let spans: Vec<u32> =
            (0..40).flat_map(|t| if t < split { [0, 0, 0, split] } else { [0, 0, split, 40] }).collect();
        let spans = device.upload_indices(&spans).unwrap();
        let attended = device.attention(&q, &kv, &kv, &spans, heads).unwrap();
        let saved = [&attended.output, &attended.log_sum_exp];
        device.attention_backward(&q, [&q, &kv, &kv], saved, &spans, heads).unwrap();
        let own = [[0, 0, 0, split], [0, 0, split, 40]].concat();
        let two = device.gather(&q, &device.upload_indices(&[3, 30]).unwrap()).unwrap();
        device.decode_attention(&two, &kv, &kv, &device.upload_indices(&own).unwrap(), heads).unwrap();
        device.allocated()
    };
    let first: Vec<usize> = (1..4).map(&mut run).collect();
    let later: Vec<usize> = (4..30).map(&mut run).collect();
    assert!(later.iter().all(|bytes| *bytes == first[2]), "{first:?}, then {later:?}");
}

#[test]
fn names_of_devices_are_told_and_wrong_ones_refused() {
    let Some(device) = device() else { return };
    let names = Device::names().unwrap();
    assert_eq!(names[0], device.name());
    assert_eq!(Device::open(Some(&names[0].to_lowercase())).unwrap().name(), names[0]);
    let refused = Device::open(Some("no such device")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Missing);
    let said = format!("no CUDA device is named like \"no such device\"; there are: {}", names.join(", "));
    assert_eq!(refused.to_string(), said);
    let refused = Device::open(Some("99")).unwrap_err().to_string();
    assert!(refused.starts_with("there is no CUDA device 99; there are "), "{refused}");
}
