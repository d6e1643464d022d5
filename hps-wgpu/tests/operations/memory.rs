//! Memory of many rounds is that of a few.

use crate::attention::spans;
use crate::numbers::{array, weight};
use crate::support::limited;
use hps_wgpu::{AdamWUpdate, Array, Device, ErrorKind, Format, Heads, Result, Weight};

const ROUNDS: usize = 1000;
const TOKENS: usize = 24;
const HEADS: Heads = Heads { query: 2, key_value: 1, dimension: 8 };

/// What a round trains, and its optimiser's state.
struct Trained {
    adapter: Weight,
    moments: [Array; 2],
}

/// A forward and a backward pass through a norm, a linear layer, attention, SwiGLU and the head, and an update.
///
/// * `dropped`: tokens less than [`TOKENS`], so that sizes differ from round to round.
fn round(device: &Device, trained: &mut Trained, frozen: &[Weight; 3], dropped: usize) -> Result<f32> {
    let [table, gain, head] = frozen;
    let tokens = TOKENS - dropped;
    let words: Vec<u32> = (0..tokens as u32).collect();
    let words = device.upload_indices(&words)?;
    let spans = device.upload_indices(&spans(&[(10, &[7, tokens as u32 - 17])]))?;
    let x = device.embed(table, &words)?;
    let normed = device.rms_norm(&x, gain, 1e-5)?;
    let q = device.linear(&normed, &trained.adapter)?;
    let k = device.gather(&device.upload(&device.download(&q)?, 8)?, &words)?;
    let attended = device.attention(&q, &k, &k, &spans, HEADS)?;
    let activated = device.swiglu(&attended.output, &q)?;
    let log_probs = device.log_probs(&activated, head, &words, true)?;
    let dy = log_probs.unit_gradient.expect("asked for");
    let [d_gate, d_up] = device.swiglu_backward(&dy, &attended.output, &q)?;
    let there = [&attended.output, &attended.log_sum_exp];
    let [dq, ..] = device.attention_backward(&d_gate, [&q, &k, &k], there, &spans, HEADS)?;
    let dq = device.add_scaled(dq, &d_up, 1.0)?;
    let gradient = device.weight_gradient(&dq, &normed)?;
    let dx = device.rms_norm_backward(&device.linear_backward(&dq, &trained.adapter)?, &x, gain, 1e-5)?;
    let norm = device.global_norm(&[&gradient, &dx])?;
    let update = AdamWUpdate {
        learning_rate: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        step: 1,
        max_norm: 1.0,
    };
    device.adamw(&mut trained.adapter, &gradient, &mut trained.moments, &norm, &update)?;
    Ok(device.download(&log_probs.values)?.iter().sum())
}

#[test]
fn a_thousand_rounds() {
    let Some(device) = limited(|_| ()) else { return };
    let frozen = [(1, 40), (2, 1), (3, 40)].map(|(seed, rows)| weight(&device, seed, rows, 16, Format::F32));
    let mut trained = Trained {
        adapter: weight(&device, 4, 16, 16, Format::F32),
        moments: [device.zeros(16, 16).unwrap(), device.zeros(16, 16).unwrap()],
    };
    let mut first = 0;
    for number in 0..ROUNDS {
        let sum = round(&device, &mut trained, &frozen, number % 5).unwrap();
        assert!(sum.is_finite() && sum < 0.0, "{sum}");
        if number == 9 {
            first = device.allocated();
        }
    }
    assert!(first > 0);
    assert_eq!(device.allocated(), first);
}

/// A dropped array's buffer becomes the next one's of its size, or of a little less; not of far less.
#[test]
fn dropped_arrays() {
    let Some(device) = limited(|_| ()) else { return };
    let array = array(&device, 1, 1000, 10);
    let (buffer, allocated) = (array.buffer().clone(), device.allocated());
    assert!(allocated >= 40_000);
    drop(array);
    let smaller = device.zeros(900, 10).unwrap();
    assert_eq!((smaller.buffer(), device.allocated()), (&buffer, allocated));
    drop(smaller);
    let small = device.zeros(100, 10).unwrap();
    assert!(small.buffer() != &buffer && device.allocated() > allocated);
}

const MIB: u64 = 1 << 20;

/// Bytes that the driver has given wgpu for all buffers that are alive, its own included; `None` where that is not counted.
fn held(device: &Device) -> Option<u64> {
    Some(device.wgpu().0.generate_allocator_report()?.total_allocated_bytes)
}

/// A model is uploaded weight by weight, each less than what is handed over at once, and wgpu holds what waits a second time.
#[test]
fn uploads_of_a_model() {
    let Some(device) = limited(|_| ()) else { return };
    let bytes = vec![0; 8 * MIB as usize];
    let mut model = Vec::new();
    for number in 0..30 {
        model.push(device.upload_weight(&bytes, 2048, 1024, Format::F32).unwrap());
        let Some(held) = held(&device) else { return };
        let beside = held.saturating_sub(device.allocated());
        assert!(beside <= 80 * MIB, "{beside} bytes wait after {number} weights");
    }
    assert_eq!(device.allocated(), 240 * MIB);
}

/// Rounds that grow leave buffers that none can use again.
#[test]
fn what_is_kept_is_given_back() {
    let Some(device) = limited(|_| ()) else { return };
    let mut most = 0;
    for size in [20, 26, 34, 45, 58, 76, 99] {
        drop(device.zeros(size << 10, 256).unwrap());
        most = size as u64 * MIB;
        assert!(device.allocated() <= (64 * MIB).max(most + most / 2), "{} at {size} MiB", device.allocated());
    }
    assert!(device.peak_memory() >= most && device.peak_memory() <= 2 * most, "{}", device.peak_memory());
    // The last is there for the next.
    let before = device.allocated();
    drop(device.zeros(99 << 10, 256).unwrap());
    assert_eq!(device.allocated(), before);
}

/// Where memory is at its end, what is kept is given back: also what commands use that are not handed over yet.
#[test]
fn out_of_memory() {
    let most = 40 * MIB;
    let Some(device) = limited(|limits| limits.memory = Some(most)) else { return };
    for _ in 0..3 {
        let x = device.zeros(10 << 10, 256).unwrap();
        let y = device.add_scaled(device.zeros(10 << 10, 256).unwrap(), &x, 1.0).unwrap();
        drop((x, y));
        let large = device.zeros(32 << 10, 256).unwrap();
        assert!(device.allocated() <= most);
        if let Some(held) = held(&device) {
            assert!(held <= most + MIB, "{held} bytes are held");
        }
        let refused = device.zeros(16 << 10, 256).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::OutOfMemory);
        for number in [16 * MIB, 32 * MIB, most] {
            assert!(refused.to_string().contains(&number.to_string()), "{refused}");
        }
        // It goes on with what it has.
        assert!(device.download(&large).unwrap().iter().all(|number| *number == 0.0));
    }
    assert!(device.peak_memory() <= most);
}
