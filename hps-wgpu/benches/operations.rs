//! The operations of a training step: time a call, its arithmetic rate, and its share of the adapter's own best product and
//! of a plain copy in the same run.
//!
//! `cargo bench -p hps-wgpu --bench operations [-- adapter] [--dispatches]`
//!
//! Shapes are those of a step of 512 tokens through layers of 512 features; a line is the median of repetitions, each
//! waited for. With `--dispatches` instead the longest dispatch of each kernel, which should leave a screen its 50 ms; of
//! each dispatch the quickest repetition counts, as others may use the machine.

use hps_wgpu::{AdamWUpdate, Array, BlockType, Codes, Device, Format, FourBit, Heads, Result, Truncation, Weight};
use std::collections::BTreeMap;
use std::time::Instant;

const REPETITIONS: usize = 7;
const TOKENS: usize = 512;
const FEATURES: usize = 512;
const WIDE: usize = 1408;
/// A multiple of 256, as q4_k needs of rows.
const CODED: usize = 1536;
const WORDS: usize = 32_000;
const HEADS: Heads = Heads { query: 8, key_value: 4, dimension: 64 };

/// What has been measured first, to measure the rest against.
struct Bench {
    device: Device,
    /// Multiplications and additions a second.
    best: f64,
    /// Bytes a second.
    copy: f64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| ["--test", "--list"].contains(&argument.as_str())) {
        return Ok(());
    }
    let adapter = arguments.iter().find(|argument| !argument.starts_with("--"));
    let device = match Device::open(adapter.map(String::as_str)) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("SKIPPED, {error}");
            return Ok(());
        }
    };
    let mut bench = Bench { device, best: f64::INFINITY, copy: f64::INFINITY };
    if arguments.iter().any(|argument| argument == "--dispatches") {
        return bench.measure_dispatches();
    }
    println!("{}\n{:<34} {:>9} {:>9} {:>8} {:>9}", bench.device.name(), "", "ms", "GFLOP/s", "GB/s", "of best");
    bench.measure_copy()?;
    bench.measure_products()?;
    bench.measure_codes()?;
    bench.measure_layers()
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|entry| (entry as f32 * 0.618_034) % 1.0 - 0.5).collect()
}

impl Bench {
    fn array(&self, rows: usize, columns: usize) -> Result<Array> {
        self.device.upload(&numbers(rows * columns), columns)
    }

    fn weight(&self, rows: usize, columns: usize, format: Format) -> Result<Weight> {
        let bytes: Vec<u8> = match format {
            Format::F32 => numbers(rows * columns).into_iter().flat_map(f32::to_le_bytes).collect(),
            Format::BF16 => numbers(rows * columns)
                .into_iter()
                .flat_map(|number| [number.to_le_bytes()[2], number.to_le_bytes()[3]])
                .collect(),
        };
        self.device.upload_weight(&bytes, rows, columns, format)
    }

    /// Seconds of the median repetition.
    fn seconds<T>(&self, mut run: impl FnMut() -> Result<T>) -> Result<f64> {
        run()?;
        self.device.wait()?;
        let mut seconds = Vec::new();
        for _ in 0..REPETITIONS {
            let start = Instant::now();
            run()?;
            self.device.wait()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[REPETITIONS / 2])
    }

    fn measure_copy(&mut self) -> Result<()> {
        let x = self.array(4096, 1024)?;
        let rows = self.device.upload_indices(&(0..4096).collect::<Vec<u32>>())?;
        let seconds = self.seconds(|| self.device.gather(&x, &rows))?;
        self.copy = 8.0 * 4096.0 * 1024.0 / seconds;
        self.line("copy of 16 MiB", seconds, 0.0, 8.0 * 4096.0 * 1024.0);
        Ok(())
    }

    fn measure_products(&mut self) -> Result<()> {
        let (square, x) = (self.weight(1024, 1024, Format::F32)?, self.array(1024, 1024)?);
        let seconds = self.seconds(|| self.device.linear(&x, &square))?;
        let operations = 2.0 * 1024f64.powi(3);
        self.best = operations / seconds;
        self.line("x W', 1024 x 1024 x 1024, f32", seconds, operations, 0.0);
        for format in [Format::F32, Format::BF16] {
            let weight = self.weight(WIDE, FEATURES, format)?;
            let (x, dy) = (self.array(TOKENS, FEATURES)?, self.array(TOKENS, WIDE)?);
            let operations = 2.0 * (TOKENS * FEATURES * WIDE) as f64;
            let seconds = self.seconds(|| self.device.linear(&x, &weight))?;
            self.line(&format!("x W', 512 x 512 x 1408, {format:?}"), seconds, operations, 0.0);
            let seconds = self.seconds(|| self.device.linear_backward(&dy, &weight))?;
            self.line(&format!("dy W, 512 x 1408 x 512, {format:?}"), seconds, operations, 0.0);
        }
        let (x, thin) = (self.array(TOKENS, FEATURES)?, self.array(TOKENS, 8)?);
        let (down, up) = (self.weight(8, FEATURES, Format::F32)?, self.weight(FEATURES, 8, Format::F32)?);
        let operations = 2.0 * (TOKENS * FEATURES * 8) as f64;
        for (name, seconds) in [
            ("LoRA x A'", self.seconds(|| self.device.linear(&x, &down))?),
            ("LoRA h B'", self.seconds(|| self.device.linear(&thin, &up))?),
            ("LoRA dA", self.seconds(|| self.device.weight_gradient(&thin, &x))?),
            ("LoRA dB", self.seconds(|| self.device.weight_gradient(&x, &thin))?),
        ] {
            self.line(name, seconds, operations, 0.0);
        }
        Ok(())
    }

    /// Products with a matrix in codes, beside the same in numbers.
    fn measure_codes(&self) -> Result<()> {
        let [nf4, q4_k] = self.coded()?;
        let (x, dy) = (self.array(TOKENS, FEATURES)?, self.array(TOKENS, CODED)?);
        for (name, weight) in [
            ("f32", self.weight(CODED, FEATURES, Format::F32)?),
            ("bf16", self.weight(CODED, FEATURES, Format::BF16)?),
            ("nf4", nf4),
            ("q4_k", q4_k),
        ] {
            let operations = 2.0 * (TOKENS * CODED * FEATURES) as f64;
            let seconds = self.seconds(|| self.device.linear(&x, &weight))?;
            self.line(&format!("x W', 512 x 512 x 1536, {name}"), seconds, operations, 0.0);
            let seconds = self.seconds(|| self.device.linear_backward(&dy, &weight))?;
            self.line(&format!("dy W, 512 x 1536 x 512, {name}"), seconds, operations, 0.0);
        }
        Ok(())
    }

    /// `[CODED, FEATURES]` in nf4 and in q4_k.
    fn coded(&self) -> Result<[Weight; 2]> {
        let codes = |count: usize| -> Vec<u8> {
            (0..count).map(|entry| (entry as u32).wrapping_mul(0x9e37_79b1).to_be_bytes()[0]).collect()
        };
        let count = CODED * FEATURES;
        let mut blocks = codes(count / 256 * BlockType::Q4K.bytes());
        for block in blocks.chunks_exact_mut(BlockType::Q4K.bytes()) {
            block[..4].copy_from_slice(&[0, 0x14, 0, 0x14]); // an f16 of 0.001, twice
        }
        let absmax: Vec<u8> = numbers(count / 64).into_iter().flat_map(f32::to_le_bytes).collect();
        let code_book = std::array::from_fn(|place| place as f32 / 7.5 - 1.0);
        let nf4 = codes(count / 2);
        let nf4 = FourBit { code_book: &code_book, block_size: 64, codes: &nf4, absmax: &absmax, nested: None };
        Ok([
            self.device.upload_codes(&Codes::FourBit(nf4), CODED, FEATURES)?,
            self.device.upload_codes(&Codes::Blocks(BlockType::Q4K, &blocks), CODED, FEATURES)?,
        ])
    }

    fn measure_layers(&self) -> Result<()> {
        let device = &self.device;
        let (x, dy) = (self.array(TOKENS, FEATURES)?, self.array(TOKENS, FEATURES)?);
        let gain = self.weight(1, FEATURES, Format::F32)?;
        let bytes = (4 * TOKENS * FEATURES) as f64;
        self.line("RMS norm", self.seconds(|| device.rms_norm(&x, &gain, 1e-5))?, 0.0, 2.0 * bytes);
        self.line("  backward", self.seconds(|| device.rms_norm_backward(&dy, &x, &gain, 1e-5))?, 0.0, 3.0 * bytes);
        self.line("SwiGLU", self.seconds(|| device.swiglu(&x, &dy))?, 0.0, 3.0 * bytes);
        self.line("  backward", self.seconds(|| device.swiglu_backward(&x, &x, &dy))?, 0.0, 5.0 * bytes);

        let spans: Vec<u32> = [0, 0, 0, TOKENS as u32].repeat(TOKENS);
        let spans = device.upload_indices(&spans)?;
        let [k, v] = [self.array(TOKENS, 256)?, self.array(TOKENS, 256)?];
        let pairs = (TOKENS * TOKENS / 2) as f64;
        let operations = 4.0 * pairs * FEATURES as f64;
        let seconds = self.seconds(|| device.attention(&x, &k, &v, &spans, HEADS))?;
        self.line("attention, causal", seconds, operations, 0.0);
        let attended = device.attention(&x, &k, &v, &spans, HEADS)?;
        let there = [&attended.output, &attended.log_sum_exp];
        let seconds = self.seconds(|| device.attention_backward(&dy, [&x, &k, &v], there, &spans, HEADS))?;
        self.line("  backward", seconds, 3.5 * operations, 0.0);

        let head = self.weight(WORDS, FEATURES, Format::BF16)?;
        let few = self.array(128, FEATURES)?;
        let targets = device.upload_indices(&(0..128).collect::<Vec<u32>>())?;
        let operations = 2.0 * (128 * WORDS * FEATURES) as f64;
        let seconds = self.seconds(|| device.log_probs(&few, &head, &targets, false))?;
        self.line("head, 128 x 32,000", seconds, operations, 0.0);
        let seconds = self.seconds(|| device.log_probs(&few, &head, &targets, true))?;
        self.line("  with unit gradients", seconds, 2.0 * operations, 0.0);
        Ok(())
    }

    /// Each kernel's longest dispatch in a step of every operation.
    fn measure_dispatches(&self) -> Result<()> {
        let mut quickest = self.device.timed(|| self.step())?.1;
        for _ in 0..REPETITIONS {
            let times = self.device.timed(|| self.step())?.1;
            for (time, again) in quickest.iter_mut().zip(times) {
                time.seconds = time.seconds.min(again.seconds);
            }
        }
        let mut longest = BTreeMap::<&str, (f64, usize)>::new();
        for time in quickest {
            let (seconds, count) = longest.entry(time.kernel).or_default();
            (*seconds, *count) = (seconds.max(time.seconds), *count + 1);
        }
        println!("{}\n{:<34} {:>9} {:>10}", self.device.name(), "", "ms", "dispatches");
        for (kernel, (seconds, count)) in longest {
            println!("{kernel:<34} {:>9.3} {count:>10}", seconds * 1e3);
        }
        Ok(())
    }

    /// The operations of a step through one layer and the head, of generation, and of an update of the largest weights.
    fn step(&self) -> Result<()> {
        let device = &self.device;
        let head = self.weight(WORDS, FEATURES, Format::BF16)?;
        let (gain, k) =
            (self.weight(1, FEATURES, Format::F32)?, self.array(TOKENS, HEADS.key_value * HEADS.dimension)?);
        let words = device.upload_indices(&(0..TOKENS as u32).collect::<Vec<u32>>())?;
        let x = device.embed(&head, &words)?;
        let dy = device.rms_norm(&x, &gain, 1e-5)?;
        device.rms_norm_backward(&dy, &x, &gain, 1e-5)?;
        device.rms_norm_gain_gradient(&dy, &x, 1e-5)?;
        for format in [Format::F32, Format::BF16] {
            let (up, down) = (self.weight(WIDE, FEATURES, format)?, self.weight(FEATURES, WIDE, format)?);
            let wide = device.linear(&x, &up)?;
            let wide = device.swiglu(&wide, &device.linear_backward(&dy, &down)?)?;
            device.swiglu_backward(&wide, &wide, &wide)?;
            device.linear(&wide, &down)?;
            device.weight_gradient(&dy, &wide)?;
        }
        for coded in self.coded()? {
            let wide = device.linear(&x, &coded)?;
            device.linear_backward(&wide, &coded)?;
            device.embed(&coded, &words)?;
        }
        let frequencies = self.array(1, HEADS.dimension / 2)?;
        let rotation = device.rotation(&words, &frequencies)?;
        device.rotate(self.array(TOKENS, FEATURES)?, &rotation, HEADS.dimension, false)?;
        let identities = device.upload_indices(&[7; 3 * TOKENS])?;
        let dropped = device.dropout(&x, 0.1, [1, 2], &identities)?;
        let scaled = device.scale_rows(dropped, &self.array(TOKENS, 1)?)?;
        let mut x = device.add_scaled(scaled, &dy, 0.5)?;
        device.write_rows(&mut x, &words, &dy)?;

        let spans = device.upload_indices(&[0, 0, 0, TOKENS as u32].repeat(TOKENS))?;
        let attended = device.attention(&x, &k, &k, &spans, HEADS)?;
        let there = [&attended.output, &attended.log_sum_exp];
        device.attention_backward(&dy, [&x, &k, &k], there, &spans, HEADS)?;
        device.decode_attention(&x, &k, &k, &spans, HEADS)?;

        let log_probs = device.log_probs(&x, &head, &words, true)?;
        let gradient = device.log_probs_weight_gradient(&x, &head, &words, &log_probs.values)?;
        for (temperature, top_k, top_p) in [(0.0, 0, 1.0), (0.7, 50, 0.9)] {
            let truncation = Truncation { temperature, top_k, top_p };
            device.sample(&x, &head, truncation, &device.zeros(TOKENS, 1)?)?;
        }
        device.gather_backward(&dy, &words, WORDS)?;
        let norm = device.global_norm(&[&gradient])?;
        let update = AdamWUpdate {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            step: 1,
            max_norm: 1.0,
        };
        let mut moments = [device.zeros(WORDS, FEATURES)?, device.zeros(WORDS, FEATURES)?];
        device.adamw(&mut self.weight(WORDS, FEATURES, Format::F32)?, &gradient, &mut moments, &norm, &update)
    }

    fn line(&self, name: &str, seconds: f64, operations: f64, bytes: f64) {
        let (rate, bandwidth) = (operations / seconds, bytes / seconds);
        let share = if bytes > 0.0 { bandwidth / self.copy } else { rate / self.best };
        let figure = |number: f64| if number > 0.0 { format!("{:.2}", number / 1e9) } else { String::new() };
        let (rate, bandwidth) = (figure(rate), figure(bandwidth));
        println!("{name:<34} {:>9.3} {rate:>9} {bandwidth:>8} {:>8.0}%", seconds * 1e3, 100.0 * share);
    }
}
