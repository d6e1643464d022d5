//! Commands on their way to the device: dispatches in one pass, until enough are recorded or the host waits.

/// Bytes between the parameters of two dispatches: every adapter's least alignment of uniforms divides it.
const SLOT: usize = 256;

/// Dispatches handed over together. Handing over costs tens of microseconds, and a watchdog may count all that is handed over
/// at once.
const MOST: usize = 32;

/// Dispatches recorded and not handed over yet.
#[derive(Debug)]
pub(crate) struct Recording {
    encoder: Option<wgpu::CommandEncoder>,
    pass: Option<wgpu::ComputePass<'static>>,
    /// What `uniforms` will hold when the dispatches run.
    parameters: Vec<u8>,
    uniforms: wgpu::Buffer,
}

impl Recording {
    pub fn new(device: &wgpu::Device) -> Recording {
        let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: (SLOT * MOST) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Recording { encoder: None, pass: None, parameters: Vec::new(), uniforms }
    }

    pub fn is_full(&self) -> bool {
        self.parameters.len() == SLOT * MOST
    }

    /// Records a dispatch. Between two of them wgpu puts the barriers that their buffers ask for.
    pub fn dispatch(
        &mut self,
        device: &wgpu::Device,
        pipeline: &wgpu::ComputePipeline,
        parameters: &[u8],
        bindings: &[wgpu::BufferBinding<'_>],
        groups: [u32; 3],
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
    }

    /// Records a copy of a buffer's first bytes.
    pub fn copy(&mut self, device: &wgpu::Device, from: &wgpu::Buffer, to: &wgpu::Buffer, bytes: u64) {
        self.pass = None;
        let encoder = self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()));
        encoder.copy_buffer_to_buffer(from, 0, to, 0, bytes);
    }

    /// Hands everything to the queue.
    pub fn submit(&mut self, device: &wgpu::Device, queue: &wgpu::Queue) {
        self.pass = None;
        if let Some(encoder) = self.encoder.take() {
            if !self.parameters.is_empty() {
                queue.write_buffer(&self.uniforms, 0, &self.parameters);
                self.parameters.clear();
            }
            queue.submit([encoder.finish()]);
            // Frees what finished commands held.
            let _ = device.poll(wgpu::PollType::Poll);
        }
    }
}
