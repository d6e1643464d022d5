//! A step of generation that is recorded as a CUDA graph and replayed: one launch for a model's hundreds.
//!
//! From one step to the next the same kernels run on the same memory; only what the host sends differs: tokens, positions,
//! rows of the cache, spans and uniform numbers. So these lie in arrays that are written anew in place, and the rest is
//! recorded at the second step of a kind and replayed from the third on. A sequence that ends, a cache that moves, or keys
//! that fill another part of attention's make a step of another kind.

use crate::device::Device;
use crate::device::array::{Array, Indices};
use crate::device::memory::Pool;
use crate::error::{Error, ErrorKind, Result, While};
use crate::operations::sampling::Drawn;
use cudarc::driver::CudaGraph;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use std::fmt;

/// What the host sends for a step, a number or a few a sequence.
#[derive(Debug, Clone, Copy)]
pub struct StepNumbers<'a> {
    /// Each sequence's last token.
    pub tokens: &'a [u32],
    /// Its position.
    pub positions: &'a [u32],
    /// The row of the cache that its key and value go to.
    pub rows: &'a [u32],
    /// Four a sequence, see [`Device::decode_attention`].
    pub spans: &'a [u32],
    /// Numbers in `[0, 1)` that draw the next tokens.
    pub uniforms: &'a [f32],
    /// Another number whenever arrays that a step reads or writes, as the cache, lie elsewhere.
    pub place: u64,
}

/// The same on the device.
#[derive(Debug)]
pub struct StepArrays {
    /// Each sequence's last token.
    pub tokens: Indices,
    /// Its position.
    pub positions: Indices,
    /// The row of the cache that its key and value go to.
    pub rows: Indices,
    /// Four a sequence.
    pub spans: Indices,
    /// `[sequences, 1]`.
    pub uniforms: Array,
}

/// What is kept from step to step.
#[derive(Debug, Default)]
pub struct Replay {
    kind: Option<Kind>,
}

/// Steps of the same kernels on the same memory.
#[derive(Debug)]
struct Kind {
    place: u64,
    arrays: StepArrays,
    /// Whether one has run, so that kernels are compiled and products planned.
    run: bool,
    recorded: Option<Recorded>,
}

/// Fields are dropped in order: what lies in the pool before the pool.
struct Recorded {
    graph: CudaGraph,
    drawn: Drawn,
    _pool: Pool,
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

// SAFETY: a graph belongs to no thread; whoever has the only reference uses it alone.
unsafe impl Send for Recorded {}
// SAFETY: nothing is done with a shared reference but to print it.
unsafe impl Sync for Recorded {}

impl StepArrays {
    fn new(device: &Device, numbers: &StepNumbers<'_>) -> Result<StepArrays> {
        Ok(StepArrays {
            tokens: device.upload_indices(numbers.tokens)?,
            positions: device.upload_indices(numbers.positions)?,
            rows: device.upload_indices(numbers.rows)?,
            spans: device.upload_indices(numbers.spans)?,
            uniforms: device.upload(numbers.uniforms, 1)?,
        })
    }

    /// Whether other numbers fit into the same memory.
    fn fit(&self, numbers: &StepNumbers<'_>) -> bool {
        [&self.tokens, &self.positions, &self.rows].map(Indices::len)
            == [numbers.tokens, numbers.positions, numbers.rows].map(<[u32]>::len)
            && (self.spans.len(), self.uniforms.rows()) == (numbers.spans.len(), numbers.uniforms.len())
    }

    /// Writes other numbers over them. Whether the same kernels, on as many blocks, read them.
    fn rewrite(&mut self, device: &Device, numbers: &StepNumbers<'_>) -> Result<bool> {
        for (indices, numbers) in [
            (&mut self.tokens, numbers.tokens),
            (&mut self.positions, numbers.positions),
            (&mut self.rows, numbers.rows),
        ] {
            indices.rewrite(numbers)?;
        }
        device.write(self.uniforms.address(), bytemuck::cast_slice(numbers.uniforms))?;
        device.rewrite_spans(&mut self.spans, numbers.spans)
    }
}

impl Device {
    /// Runs a step, by replaying it where it was recorded, and waits for what it draws: tokens and their log-probs. On
    /// the null stream, where CUDA records nothing, every step is computed.
    ///
    /// `step` queues the step's work on the arrays it is given, and on arrays that stay where they are while
    /// [`StepNumbers::place`] does. It uploads nothing and downloads nothing. While it is recorded other threads that use the
    /// device wait.
    ///
    /// # Errors
    /// Those of `step`, NaN logits, or the device failed.
    pub fn replay<E: From<Error>>(
        &self,
        replay: &mut Replay,
        numbers: &StepNumbers<'_>,
        step: &mut dyn FnMut(&StepArrays) -> std::result::Result<Drawn, E>,
    ) -> std::result::Result<(Vec<u32>, Vec<f32>), E> {
        let same = |kind: &Kind| kind.place == numbers.place && kind.arrays.fit(numbers);
        let kind = match replay.kind.take().filter(same) {
            Some(mut kind) => {
                if !kind.arrays.rewrite(self, numbers)? {
                    (kind.run, kind.recorded) = (false, None);
                }
                replay.kind.insert(kind)
            }
            None => {
                let arrays = StepArrays::new(self, numbers)?;
                replay.kind.insert(Kind { place: numbers.place, arrays, run: false, recorded: None })
            }
        };
        if !kind.run || !self.records() {
            let drawn = step(&kind.arrays)?;
            kind.run = true;
            return Ok((drawn.tokens.host()?.to_vec(), self.download(&drawn.log_probs)?));
        }
        if kind.recorded.is_none() {
            kind.recorded = Some(self.record(|| step(&kind.arrays))?);
        }
        let Some(recorded) = &mut kind.recorded else { return Err(lost().into()) };
        let _turn = self.turn();
        recorded.graph.launch().during("launching a graph")?;
        recorded.drawn.tokens.forget();
        Ok((recorded.drawn.tokens.host()?.to_vec(), self.download(&recorded.drawn.log_probs)?))
    }

    fn record<E: From<Error>>(
        &self,
        work: impl FnOnce() -> std::result::Result<Drawn, E>,
    ) -> std::result::Result<Recorded, E> {
        let _turn = self.turn();
        self.bind()?;
        // What the graph computes in must be nobody else's between its launches.
        let pool = self.memory().pool()?;
        // Memory may be asked for meanwhile, on another stream.
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        self.stream().begin_capture(mode).during("recording a graph")?;
        let drawn = {
            let _within = pool.enter();
            work()
        };
        let flags = CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        let graph = self.stream().end_capture(flags);
        let drawn = drawn?;
        let graph = graph.during("recording a graph")?.ok_or_else(lost)?;
        Ok(Recorded { graph, drawn, _pool: pool })
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Device, "a recorded graph is lost")
}
