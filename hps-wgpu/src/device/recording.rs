//! Commands on their way to the device: dispatches in one pass, until they are enough or the host waits.

use crate::device::counter::Counter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes between the parameters of two dispatches: every adapter's least alignment of uniforms divides it.
const SLOT: usize = 256;

/// Dispatches handed over together at most.
const MOST: usize = 256;

/// Dispatches recorded and not handed over yet.
#[derive(Debug)]
pub(crate) struct Recording {
    encoder: Option<wgpu::CommandEncoder>,
    pass: Option<wgpu::ComputePass<'static>>,
    /// What `uniforms` will hold when the dispatches run.
    parameters: Vec<u8>,
    uniforms: wgpu::Buffer,
    /// Multiplications of all dispatches recorded.
    work: u64,
    /// Which recording this is; memory reads it.
    number: Arc<AtomicU64>,
    counter: Counter,
}

impl Recording {
    pub fn new(device: &wgpu::Device, number: Arc<AtomicU64>) -> Recording {
        let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: (SLOT * MOST) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let counter = Counter::new(device);
        Recording { encoder: None, pass: None, parameters: Vec::new(), uniforms, work: 0, number, counter }
    }

    /// Whether a dispatch of `work` multiplications has no place any more beside what is recorded.
    ///
    /// * `most`: multiplications that are handed over together. A watchdog counts what is handed over at once, and the device
    ///   waits for what is not.
    pub fn is_full(&self, work: u64, most: u64) -> bool {
        let recorded = self.parameters.len() / SLOT;
        recorded == MOST || (recorded > 0 && self.work.saturating_add(work) > most)
    }

    /// Records a dispatch of so much work. Between two of them wgpu puts the barriers that their buffers ask for.
    pub fn dispatch(
        &mut self,
        device: &wgpu::Device,
        pipeline: &wgpu::ComputePipeline,
        parameters: &[u8],
        bindings: &[wgpu::BufferBinding<'_>],
        groups: [u32; 3],
        work: u64,
    ) {
        let slot = self.parameters.len();
        self.parameters.extend_from_slice(parameters);
        self.parameters.resize(slot + SLOT, 0);
        let size = std::num::NonZeroU64::new(parameters.len() as u64);
        let uniforms = wgpu::BufferBinding { buffer: &self.uniforms, offset: slot as u64, size };
        let resources = std::iter::once(uniforms).chain(bindings.iter().cloned()).map(wgpu::BindingResource::Buffer);
        let entries: Vec<wgpu::BindGroupEntry<'_>> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let layout = pipeline.get_bind_group_layout(0);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        let group = device.create_bind_group(&descriptor);
        let encoder = self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()));
        let pass = self.pass.get_or_insert_with(|| encoder.begin_compute_pass(&Default::default()).forget_lifetime());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        self.work = self.work.saturating_add(work);
    }

    /// Records a copy of a buffer's first bytes, and of the device's count behind them; returns the host's count.
    pub fn copy(&mut self, device: &wgpu::Device, from: &wgpu::Buffer, to: &wgpu::Buffer, bytes: u64) -> u32 {
        self.end_pass();
        let encoder = self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()));
        encoder.copy_buffer_to_buffer(from, 0, to, 0, bytes);
        encoder.copy_buffer_to_buffer(self.counter.finished(), 0, to, bytes, super::counter::BYTES);
        self.counter.handed_over()
    }

    /// Hands everything to the queue.
    pub fn submit(&mut self, device: &wgpu::Device, queue: &wgpu::Queue) {
        self.end_pass();
        if let Some(encoder) = self.encoder.take() {
            if !self.parameters.is_empty() {
                queue.write_buffer(&self.uniforms, 0, &self.parameters);
                self.parameters.clear();
            }
            self.work = 0;
            queue.submit([encoder.finish()]);
            self.number.fetch_add(1, Ordering::Relaxed);
            // Frees what finished commands held.
            let _ = device.poll(wgpu::PollType::Poll);
        }
    }

    /// Loses what is recorded, as a driver that ends it and calls it done.
    #[cfg(test)]
    pub fn lose(&mut self) {
        self.end_pass();
        (self.encoder, self.work) = (None, 0);
        self.parameters.clear();
    }

    /// How many recordings were handed over.
    #[cfg(test)]
    pub fn handed_over(&self) -> u64 {
        self.number.load(Ordering::Relaxed) - 1
    }

    fn end_pass(&mut self) {
        if let Some(mut pass) = self.pass.take() {
            self.counter.count(&mut pass);
        }
    }
}
