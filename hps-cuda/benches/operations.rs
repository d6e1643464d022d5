//! The operations of a training step in Llama-3-8B's shape: time a call, beside what its arithmetic and its traffic alone
//! take at the device's own best product and copy, measured in the same run.
//!
//! `cargo bench -p hps-cuda --bench operations [-- [DEVICE] [--json FILE] [--tiny]]`
//!
//! 4,096 tokens in bfloat16: one pair of 2 × 2,048 tokens without a shared prompt. A line is the median of repetitions, each
//! of several calls that are waited for together. What fails, as where the memory is too small, is said, and the rest
//! measured. `--json` writes the figures to a file as well. With `--tiny`, a hundredth of every size: whether it runs, no
//! figures.

mod figures;

use figures::{Figures, Request};
use hps_cuda::{
    AdamWUpdate, Array, BlockType, Codes, Device, Encoding, Format, FourBitScales, FourBitType, Heads, LowRank,
    LowRankGradient, Trained, Truncation, Weight,
};
use serde_json::json;
use std::cell::RefCell;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RANK: usize = 8;

/// Sizes of what is measured.
struct Sizes {
    tokens: usize,
    features: usize,
    wide: usize,
    words: usize,
    heads: Heads,
    /// Of the products that stand for the device's best, and of the copy, numbers.
    square: usize,
    copied: usize,
    /// Adapted projections.
    adapted: usize,
    /// Of a line, and calls of each.
    repetitions: usize,
    calls: usize,
}

const LLAMA3_8B: Sizes = Sizes {
    tokens: 4096,
    features: 4096,
    wide: 14_336,
    words: 128_256,
    heads: Heads { query: 32, key_value: 8, dimension: 128 },
    square: 8192,
    copied: 1 << 29,
    adapted: 64,
    repetitions: 7,
    calls: 10,
};

const TINY: Sizes = Sizes {
    tokens: 64,
    features: 128,
    wide: 144,
    words: 512,
    heads: Heads { query: 4, key_value: 2, dimension: 32 },
    square: 128,
    copied: 1 << 12,
    adapted: 2,
    repetitions: 1,
    calls: 1,
};

/// What has been measured first, to measure the rest against.
struct Bench {
    device: Device,
    sizes: Sizes,
    /// Multiplications and additions a second.
    best: f64,
    /// Bytes a second.
    copy: f64,
    figures: RefCell<Figures>,
}

/// What is measured by itself.
type Part = fn(&Bench) -> Result<()>;

const PARTS: [(&str, Part); 7] = [
    ("products", Bench::measure_products),
    ("codes", Bench::measure_codes),
    ("adapter", Bench::measure_adapter),
    ("attention", Bench::measure_attention),
    ("layers", Bench::measure_layers),
    ("head", Bench::measure_head),
    ("optimizer", Bench::measure_optimizer),
];

fn main() -> ExitCode {
    figures::ended(run())
}

fn run() -> Result<()> {
    let Some(request) = Request::read()? else { return Ok(()) };
    let Some(device) = request.open()? else { return Ok(()) };
    let sizes = if request.tiny { TINY } else { LLAMA3_8B };
    let figures = RefCell::new(Figures::new(&request, &device)?);
    let mut bench = Bench { device, sizes, best: f64::INFINITY, copy: f64::INFINITY, figures };
    println!("{}\n{:<44} {:>10} {:>10} {:>8}", bench.device.name(), "", "floor, µs", "µs", "ratio");
    bench.measure_machine()?;
    for (name, measure) in PARTS {
        if let Err(error) = measure(&bench) {
            bench.figures.borrow_mut().missing(name, &*error)?;
        }
    }
    println!("peak memory {} MiB", bench.device.peak() >> 20);
    bench.figures.borrow_mut().set("peak_bytes", bench.device.peak())?;
    bench.figures.into_inner().end()
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|entry| (entry as f32 * 0.618_034) % 1.0 - 0.5).collect()
}

impl Bench {
    fn array(&self, rows: usize, columns: usize) -> hps_cuda::Result<Array> {
        self.device.convert(&self.device.upload(&numbers(rows * columns), columns)?, Format::BF16)
    }

    fn weight(&self, rows: usize, columns: usize) -> hps_cuda::Result<Weight> {
        let halves = numbers(rows * columns).into_iter().flat_map(|number| {
            let [_, _, low, high] = number.to_le_bytes();
            [low, high]
        });
        self.device.upload_weight(&halves.collect::<Vec<u8>>(), rows, columns, Format::BF16)
    }

    fn single(&self, rows: usize, columns: usize) -> hps_cuda::Result<Weight> {
        let bytes: Vec<u8> = numbers(rows * columns).into_iter().flat_map(f32::to_le_bytes).collect();
        self.device.upload_weight(&bytes, rows, columns, Format::F32)
    }

    /// Seconds of a call, of the median repetition.
    fn seconds<T>(&self, mut run: impl FnMut() -> hps_cuda::Result<T>) -> hps_cuda::Result<f64> {
        let Sizes { repetitions, calls, .. } = self.sizes;
        run()?;
        self.device.wait()?;
        let mut seconds = Vec::new();
        for _ in 0..repetitions {
            let start = Instant::now();
            for _ in 0..calls {
                run()?;
            }
            self.device.wait()?;
            seconds.push(start.elapsed().as_secs_f64() / calls as f64);
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[repetitions / 2])
    }

    /// A line: what the operations, two of which are a multiplication and an addition, and the bytes take alone, and what
    /// the call takes.
    fn line<T>(&self, name: &str, operations: f64, bytes: f64, run: impl FnMut() -> hps_cuda::Result<T>) -> Result<()> {
        let seconds = self.seconds(run)?;
        let floor = (operations / self.best).max(bytes / self.copy);
        println!("{name:<44} {:>10.1} {:>10.1} {:>8.2}", 1e6 * floor, 1e6 * seconds, seconds / floor);
        self.figures.borrow_mut().line(json!({ "name": name, "floor_seconds": floor, "seconds": seconds }))
    }

    fn measure_machine(&mut self) -> Result<()> {
        let Sizes { square, copied, .. } = self.sizes;
        let (weight, x) = (self.weight(square, square)?, self.array(square, square)?);
        let seconds = self.seconds(|| self.device.linear(&x, &weight))?;
        self.best = 2.0 * (square as f64).powi(3) / seconds;
        let from = self.device.zeros(copied / 1024, 1024, Format::BF16)?;
        let seconds = self.seconds(|| self.device.convert(&from, Format::BF16))?;
        self.copy = 4.0 * copied as f64 / seconds;
        println!(
            "{:<44} {:>10.1} TFLOP/s, {:.2} TB/s (read and written)",
            format!("x W', {square}³ in bfloat16; a copy of {} MiB", copied >> 19),
            self.best / 1e12,
            self.copy / 1e12
        );
        let figures = self.figures.get_mut();
        figures.set("product_flops_per_second", self.best)?;
        figures.set("copy_bytes_per_second", self.copy)
    }

    fn measure_products(&self) -> Result<()> {
        let Sizes { tokens, features, wide, .. } = self.sizes;
        let pairs = [("q, o", features, features), ("k, v", features, features / 4), ("gate, up", features, wide)];
        for (name, inputs, outputs) in pairs {
            let (weight, x, dy) =
                (self.weight(outputs, inputs)?, self.array(tokens, inputs)?, self.array(tokens, outputs)?);
            let operations = 2.0 * (tokens * inputs * outputs) as f64;
            let bytes = 2.0 * (tokens * (inputs + outputs) + inputs * outputs) as f64;
            self.line(&format!("{name}: x W'"), operations, bytes, || self.device.linear(&x, &weight))?;
            let onto = self.array(tokens, inputs)?;
            self.line(&format!("{name}: dx + dy W"), operations, bytes + 2.0 * (tokens * inputs) as f64, || {
                self.device.linear_backward_onto(&dy, &weight, &onto)
            })?;
        }
        Ok(())
    }

    /// The products of `gate, up` with codes, beside those with bfloat16. The floor is the same, that of the product; a tile
    /// that is written and read again comes on top. For Llama-3-8B's 4,096 x 14,336 and 4,096 tokens that is 610 µs at 790
    /// TFLOP/s, and 35 µs at 4.3 TB/s to read 0.56 bytes a number and to write 2: a ratio 0.06 above that of bfloat16.
    fn measure_codes(&self) -> Result<()> {
        let Sizes { tokens, features, wide: outputs, .. } = self.sizes;
        // Rows of whole blocks.
        let inputs = features.next_multiple_of(256);
        let count = inputs * outputs;
        let codes = |length: usize| (0..length as u32).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 24) as u8);
        let absmax: Vec<u8> = (0..count.div_ceil(64)).flat_map(|_| 0.25f32.to_le_bytes()).collect();
        let scales = FourBitScales { kind: FourBitType::Nf4, block_size: 64, absmax: &absmax, nested: None };
        let packed: Vec<u8> = codes(count / 2).collect();
        let block = BlockType::Q4K;
        // Scale and minimum: 2⁻¹⁰ as f16.
        let blocks =
            (0..count / block.numbers()).flat_map(|_| [0, 0x14, 0, 0x14].into_iter().chain(codes(block.bytes() - 4)));
        let blocks: Vec<u8> = blocks.collect();
        let encodings = [("nf4", Encoding::FourBit(scales), packed), ("q4_k", Encoding::Blocks(block), blocks)];
        let (x, dy, onto) = (self.array(tokens, inputs)?, self.array(tokens, outputs)?, self.array(tokens, inputs)?);
        let operations = 2.0 * (tokens * count) as f64;
        for (name, encoding, bytes) in encodings {
            let codes = Codes { encoding, rows: outputs, columns: inputs, bytes: &bytes, interleaved: None };
            let weight = self.device.upload_codes(&codes)?;
            let read = bytes.len() as f64 + 2.0 * (tokens * (inputs + outputs)) as f64;
            self.line(&format!("gate, up in {name}: x W'"), operations, read, || self.device.linear(&x, &weight))?;
            let read = read + 2.0 * (tokens * inputs) as f64;
            self.line(&format!("gate, up in {name}: dx + dy W"), operations, read, || {
                self.device.linear_backward_onto(&dy, &weight, &onto)
            })?;
        }
        Ok(())
    }

    fn measure_adapter(&self) -> Result<()> {
        let Sizes { tokens, features, .. } = self.sizes;
        let (a, b) = (self.single(RANK, features)?, self.single(features, RANK)?);
        let low_rank = LowRank { a: &a, b: &b, scale: 2.0 };
        let (x, dy) = (self.array(tokens, features)?, self.array(tokens, features)?);
        let read = 2.0 * (tokens * features) as f64;
        let mut y = Some(self.array(tokens, features)?);
        self.line("adapter of q, forward", 0.0, 3.0 * read, || {
            let onto: Vec<Array> = y.take().into_iter().collect();
            y = self.device.add_low_ranks(onto, &[(&x, low_rank)])?.pop();
            Ok(())
        })?;
        let zeros = |rows, columns| self.device.zeros(rows, columns, Format::F32);
        let mut sums = [zeros(RANK, features)?, zeros(features, RANK)?];
        let of_q = [LowRankGradient { low_rank, dy: &dy, x: Some(&x) }];
        self.line("adapter of q, backward", 0.0, 6.0 * read, || {
            let Some(onto) = y.take() else { return Ok(()) };
            let narrowed = self.device.narrow_low_ranks(&of_q)?;
            self.device.low_rank_gradients(&of_q, &[&narrowed[0]], vec![&mut sums])?;
            y = Some(self.device.add_low_ranks_backward(onto, &[(&narrowed[0], low_rank)])?);
            Ok(())
        })
    }

    fn measure_attention(&self) -> Result<()> {
        let Sizes { tokens, heads, .. } = self.sizes;
        let (queries, keys) = (heads.query * heads.dimension, heads.key_value * heads.dimension);
        let (half, quarter) = (tokens / 2, tokens / 4);
        // Two rows; and a prompt of a quarter with three responses of as many.
        let rows = |token: usize| [0, 0, token / half * half, (token / half + 1) * half];
        let shared = |token: usize| {
            let start = token / quarter * quarter;
            if start == 0 { [0, 0, 0, tokens] } else { [0, quarter, start, start + quarter] }
        };
        let [q, dy] = [self.array(tokens, queries)?, self.array(tokens, queries)?];
        let [k, v] = [self.array(tokens, keys)?, self.array(tokens, keys)?];
        let numbers: [Vec<[usize; 4]>; 2] = [(0..tokens).map(rows).collect(), (0..tokens).map(shared).collect()];
        for (name, numbers) in ["two rows", "a prompt and three responses"].into_iter().zip(numbers) {
            let seen = |(token, span): (usize, &[usize; 4])| (span[1] - span[0] + token - span[2] + 1) as f64;
            let pairs: f64 = numbers.iter().enumerate().map(seen).sum();
            let words: Vec<u32> = numbers.iter().flatten().map(|number| *number as u32).collect();
            let spans = self.device.upload_indices(&words)?;
            let operations = 4.0 * pairs * queries as f64;
            let attended = self.device.attention(&q, &k, &v, &spans, heads)?;
            self.line(&format!("attention, {name}"), operations, 0.0, || {
                self.device.attention(&q, &k, &v, &spans, heads)
            })?;
            self.line(&format!("attention backward, {name}"), 2.5 * operations, 0.0, || {
                let kept = [&attended.output, &attended.log_sum_exp];
                self.device.attention_backward(&dy, [&q, &k, &v], kept, &spans, heads)
            })?;
        }
        Ok(())
    }

    fn measure_layers(&self) -> Result<()> {
        let Sizes { tokens, features, wide, heads, .. } = self.sizes;
        let gain = self.single(1, features)?;
        let [x, dy, onto] = [(); 3].map(|()| self.array(tokens, features));
        let (x, dy, onto) = (x?, dy?, onto?);
        let (row, wide_row) = (2.0 * (tokens * features) as f64, 2.0 * (tokens * wide) as f64);
        self.line("RMS norm", 0.0, 2.0 * row, || self.device.rms_norm(&x, &gain, 1e-5))?;
        self.line("RMS norm backward, onto the residual", 0.0, 4.0 * row, || {
            self.device.rms_norm_backward_onto(&dy, &x, &gain, 1e-5, &onto)
        })?;
        let [gate, up, d_inner] = [(); 3].map(|()| self.array(tokens, wide));
        let (gate, up, d_inner) = (gate?, up?, d_inner?);
        self.line("SwiGLU", 0.0, 3.0 * wide_row, || self.device.swiglu(&gate, &up))?;
        self.line("SwiGLU backward", 0.0, 5.0 * wide_row, || self.device.swiglu_backward(&d_inner, &gate, &up))?;
        let positions = self.device.upload_indices(&(0..tokens as u32).collect::<Vec<u32>>())?;
        let frequencies = self.device.upload(&numbers(heads.dimension / 2), heads.dimension / 2)?;
        let rotation = self.device.rotation(&positions, &frequencies)?;
        let mut turned = Some(x);
        self.line("rotation of q", 0.0, 2.0 * row, || {
            let Some(x) = turned.take() else { return Ok(()) };
            turned = Some(self.device.rotate(x, &rotation, heads.dimension, false)?);
            Ok(())
        })
    }

    fn measure_head(&self) -> Result<()> {
        let Sizes { tokens, features, words, .. } = self.sizes;
        let (head, hidden) = (self.weight(words, features)?, self.array(tokens, features)?);
        let targets =
            self.device.upload_indices(&(0..tokens as u32).map(|row| row % words as u32).collect::<Vec<_>>())?;
        let operations = 2.0 * (tokens * features * words) as f64;
        self.line("head, log-probs", operations, 0.0, || self.device.log_probs(&hidden, &head, &targets, false))?;
        self.line("head, with unit gradients", 2.0 * operations, 0.0, || {
            self.device.log_probs(&hidden, &head, &targets, true)
        })?;
        let truncation = Truncation { temperature: 1.0, top_k: 50, top_p: 0.95 };
        for sequences in [1, 100] {
            let hidden = self.array(sequences, features)?;
            let uniforms = self.device.upload(&vec![0.5; sequences], 1)?;
            let bytes = 2.0 * (words * features) as f64;
            self.line(&format!("sampling of {sequences}"), 0.0, bytes, || {
                self.device.sample(&hidden, &head, truncation, &uniforms)
            })?;
        }
        Ok(())
    }

    fn measure_optimizer(&self) -> Result<()> {
        let Sizes { features, adapted, .. } = self.sizes;
        let mut weights =
            (0..adapted).map(|_| self.single(RANK, features)).collect::<hps_cuda::Result<Vec<Weight>>>()?;
        let zeros = || self.device.zeros(RANK, features, Format::F32);
        let gradients = (0..adapted).map(|_| zeros()).collect::<hps_cuda::Result<Vec<Array>>>()?;
        let mut moments =
            (0..adapted).map(|_| Ok([zeros()?, zeros()?])).collect::<hps_cuda::Result<Vec<[Array; 2]>>>()?;
        let update = AdamWUpdate {
            learning_rate: 1e-4,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            step: 1,
            max_norm: 1.0,
        };
        let bytes = 4.0 * (adapted * RANK * features) as f64;
        self.line("norm and AdamW of all", 0.0, 8.0 * bytes, || {
            let norm = self.device.global_norm(&gradients.iter().collect::<Vec<&Array>>())?;
            let all = weights.iter_mut().zip(&gradients).zip(&mut moments);
            let mut all: Vec<Trained<'_>> =
                all.map(|((weight, gradient), moments)| Trained { weight, gradient, moments }).collect();
            self.device.adamw_all(&mut all, &norm, &update)
        })
    }
}
