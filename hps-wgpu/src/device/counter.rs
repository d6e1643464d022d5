//! What was handed over, counted on the host and on the device.
//!
//! A driver may end commands that take too long, and not every one says so: Metal reports a command buffer that its watchdog
//! ended, and wgpu counts it among the completed (gfx-rs/wgpu 9545). What it should have computed is then whatever lay in its
//! buffers. So each submission ends with a dispatch that counts, which an ended one does not come to, and whoever reads a
//! result compares.

use crate::device::failure::Failure;
use crate::device::kernel::Kernel;
use crate::error::{Error, ErrorKind, Result};

pub(crate) const COUNT: Kernel = Kernel::new(include_str!("counter.wgsl"), "count");

/// Bytes of the device's count.
pub(crate) const BYTES: u64 = 4;

/// The two counts.
#[derive(Debug)]
pub(crate) struct Counter {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    finished: wgpu::Buffer,
    /// Wraps, as the device's.
    handed_over: u32,
}

impl Counter {
    pub fn new(device: &wgpu::Device) -> Counter {
        let finished = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("submissions finished"),
            size: BYTES,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let pipeline = COUNT.compile(device, &[]);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(COUNT.entry()),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: finished.as_entire_binding() }],
        });
        Counter { pipeline, group, finished, handed_over: 0 }
    }

    /// Ends a pass: behind all of its dispatches, which a pass runs in order.
    pub fn count(&mut self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        self.handed_over = self.handed_over.wrapping_add(1);
    }

    /// The device's count, of [`BYTES`].
    pub fn finished(&self) -> &wgpu::Buffer {
        &self.finished
    }

    pub fn handed_over(&self) -> u32 {
        self.handed_over
    }
}

/// Refuses results of which some were not computed.
///
/// * `handed_over`, `finished`: the host's count and the device's, at one place in the queue.
pub(crate) fn compare(handed_over: u32, finished: u32, failure: &Failure) -> Result<()> {
    if handed_over == finished {
        return Ok(());
    }
    failure.check()?;
    let message = format!(
        "the device has finished {finished} of {handed_over} command buffers: its driver ended the others, as watchdogs do \
         with those that take too long, and results are wrong from there on. Close what else uses this device, or set a \
         smaller limit of work"
    );
    Err(Error::new(ErrorKind::Device, message))
}
