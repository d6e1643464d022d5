//! The operations of a training step: time a call, its arithmetic rate, and its share of the adapter's own best product and
//! of a plain copy in the same run.
//!
//! `cargo bench -p hps-wgpu --bench operations [-- adapter]`
//!
//! Shapes are those of a step of 512 tokens through layers of 512 features; a line is the median of repetitions, each
//! waited for.

use hps_wgpu::{Array, Device, Format, Heads, Result, Weight};
use std::time::Instant;

const REPETITIONS: usize = 7;
const TOKENS: usize = 512;
const FEATURES: usize = 512;
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
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let device = match Device::open(arguments.first().map(String::as_str)) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("SKIPPED, {error}");
            return Ok(());
        }
    };
    println!("{}\n{:<34} {:>9} {:>9} {:>8} {:>9}", device.name(), "", "ms", "GFLOP/s", "GB/s", "of best");
    let mut bench = Bench { device, best: f64::INFINITY, copy: f64::INFINITY };
    bench.measure_copy()?;
    bench.measure_products()?;
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
            let weight = self.weight(1408, FEATURES, format)?;
            let (x, dy) = (self.array(TOKENS, FEATURES)?, self.array(TOKENS, 1408)?);
            let operations = 2.0 * (TOKENS * FEATURES * 1408) as f64;
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

        let head = self.weight(32_000, FEATURES, Format::BF16)?;
        let few = self.array(128, FEATURES)?;
        let targets = device.upload_indices(&(0..128).collect::<Vec<u32>>())?;
        let operations = 2.0 * (128 * 32_000 * FEATURES) as f64;
        let seconds = self.seconds(|| device.log_probs(&few, &head, &targets, false))?;
        self.line("head, 128 x 32,000", seconds, operations, 0.0);
        let seconds = self.seconds(|| device.log_probs(&few, &head, &targets, true))?;
        self.line("  with unit gradients", seconds, 2.0 * operations, 0.0);
        Ok(())
    }

    fn line(&self, name: &str, seconds: f64, operations: f64, bytes: f64) {
        let (rate, bandwidth) = (operations / seconds, bytes / seconds);
        let share = if bytes > 0.0 { bandwidth / self.copy } else { rate / self.best };
        let figure = |number: f64| if number > 0.0 { format!("{:.2}", number / 1e9) } else { String::new() };
        let (rate, bandwidth) = (figure(rate), figure(bandwidth));
        println!("{name:<34} {:>9.3} {rate:>9} {bandwidth:>8} {:>8.0}%", seconds * 1e3, 100.0 * share);
    }
}
