//! A wgpu program of its own draws hard negatives, scores them, and gets loss and gradient, all on its device.
//!
//! `cargo run --release -p hps-wgpu --example preference_kernels`

use hps_core::{Batch, Loss, NegativeSampler, Position, TiePolicy};
use hps_wgpu::{Device, NegativeDraws, PreferenceLoss};

const PROMPTS: usize = 1000;
const RESPONSES: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&Default::default())) else {
        println!("no adapter answers");
        return Ok(());
    };
    let (own, queue) = pollster::block_on(adapter.request_device(&Default::default()))?;
    let device = Device::from_wgpu(own.clone(), queue.clone());

    // One of 99 negatives each, the harder the likelier (γ = 1).
    let reward = |entry: usize| 6.0 - (entry % RESPONSES) as f64 * (1.0 + (entry / RESPONSES) as f64 / 500.0);
    let rewards: Vec<f64> = (0..PROMPTS * RESPONSES).map(reward).collect();
    let rows: Vec<u32> = (0..PROMPTS as u32).collect();
    let draws = NegativeDraws::new(&device, RESPONSES, &rewards, 1.0, TiePolicy::Keep)?;
    let drawn = draws.draw(7, &rows, Position::default(), 1)?;
    device.flush()?;

    // The model reads what was drawn and writes where the loss will read.
    let policy = device.upload(&[0.0; 2 * PROMPTS], 2)?;
    let module = own.create_shader_module(wgpu::include_wgsl!("model.wgsl"));
    let pipeline = own.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let buffers = [drawn.buffer(), policy.buffer()].map(wgpu::Buffer::as_entire_binding);
    let entries = [0, 1].map(|binding| wgpu::BindGroupEntry { binding, resource: buffers[binding as usize].clone() });
    let layout = pipeline.get_bind_group_layout(0);
    let group = own.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
    let mut encoder = own.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(PROMPTS.div_ceil(64) as u32, 1, 1);
    drop(pass);
    queue.submit([encoder.finish()]);

    let loss: Loss = "dpo-hps".parse()?;
    let (reference, lengths, ranks) = ([-45.0; 2 * PROMPTS], [20; 2 * PROMPTS], [1.0, 0.0].repeat(PROMPTS));
    let (second, out_of) = ([1; PROMPTS], [RESPONSES - 1; PROMPTS]);
    let batch = |policy| {
        Batch::new(2, policy)?
            .with_reference(&reference)?
            .with_lengths(&lengths)?
            .with_rewards(&ranks)?
            .with_samples(&second, Some(&out_of))
    };
    let computed = PreferenceLoss::new(&device, &loss, &batch(&reference)?)?.of_policy(&policy)?;
    let (values, gradient) = (device.download(&computed.values)?, device.download(&computed.gradient)?);

    // The same on the CPU: the same negatives, to the last; the same numbers, to f32's.
    for (prompt, &negative) in drawn.download()?.iter().enumerate() {
        let rewards = &rewards[prompt * RESPONSES..(prompt + 1) * RESPONSES];
        let position = Position { row: prompt as u32, ..Position::default() };
        assert_eq!(negative, NegativeSampler::new(7).draw(rewards, 1.0, TiePolicy::Keep, position)?);
    }
    let (policy, mut expected, mut slopes) = (device.download(&policy)?, [0.0; PROMPTS], [0.0; 2 * PROMPTS]);
    let mut scratch = vec![0.0; Loss::batch_scratch_len(2)];
    loss.values_and_gradients(&batch(&policy)?, &mut scratch, &mut expected, &mut slopes)?;
    let pairs = values.iter().chain(&gradient).zip(expected.iter().chain(&slopes));
    let largest = pairs.fold(0.0, |largest: f32, (given, expected)| largest.max((given - expected).abs()));
    let mean = values.iter().sum::<f32>() / PROMPTS as f32;
    println!("{}: mean loss {mean:.4}, off the CPU's by {largest:e}", device.name());
    assert!(largest < 1e-6);
    Ok(())
}
