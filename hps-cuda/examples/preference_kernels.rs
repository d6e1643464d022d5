//! A CUDA program of its own draws hard negatives, scores them, and gets loss and gradient, all in its own buffers on its
//! own stream.
//!
//! `cargo run --release -p hps-cuda --example preference_kernels`

use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use hps_core::{Batch, Loss, NegativeSampler, Position, TiePolicy};
use hps_cuda::{Device, NegativeDraws, PreferenceLoss};

const PROMPTS: usize = 1000;
const RESPONSES: usize = 100;

/// Stands for the forward pass of a model: log-probabilities of the preferred response and of the drawn one, [prompts, 2].
const MODEL: &str = r#"
extern "C" __global__ void score(const unsigned* drawn, float* policy, unsigned prompts) {
    const unsigned prompt = blockIdx.x * blockDim.x + threadIdx.x;
    if (prompt >= prompts) return;
    policy[2 * prompt] = -40.0f - float(prompt % 7);
    policy[2 * prompt + 1] = -40.0f - float(drawn[prompt]) / 4.0f;
}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Err(missing) = Device::open(None) {
        println!("{missing}");
        return Ok(());
    }
    let context = CudaContext::new(0)?;
    let stream = context.new_stream()?;
    let device = Device::from_cudarc(&stream)?;

    // One of 99 negatives each, the harder the likelier (γ = 1).
    let reward = |entry: usize| 6.0 - (entry % RESPONSES) as f64 * (1.0 + (entry / RESPONSES) as f64 / 500.0);
    let rewards: Vec<f64> = (0..PROMPTS * RESPONSES).map(reward).collect();
    let rows = stream.clone_htod(&Vec::from_iter(0..PROMPTS as u32))?;
    let mut drawn = stream.alloc_zeros::<u32>(PROMPTS)?;
    NegativeDraws::new(&device, RESPONSES, &rewards, 1.0, TiePolicy::Keep)?.draw_on(
        7,
        &rows,
        Position::default(),
        &mut drawn,
    )?;

    // The model reads what was drawn and writes where the loss will read.
    let mut policy = stream.alloc_zeros::<f32>(2 * PROMPTS)?;
    let score = context.load_module(cudarc::nvrtc::compile_ptx(MODEL)?)?.load_function("score")?;
    let (prompts, grid) = (PROMPTS as u32, LaunchConfig::for_num_elems(PROMPTS as u32));
    // SAFETY: the kernel's three parameters; it stays below `prompts` in both lists.
    unsafe { stream.launch_builder(&score).arg(&drawn).arg(&mut policy).arg(&prompts).launch(grid) }?;

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
    let on_device = PreferenceLoss::new(&device, &loss, &batch(&reference)?)?;
    let mut values = stream.alloc_zeros::<f32>(PROMPTS)?;
    let mut gradient = stream.alloc_zeros::<f32>(2 * PROMPTS)?;
    on_device.run_on(&policy, &mut values, &mut gradient)?;
    let (values, gradient) = (stream.clone_dtoh(&values)?, stream.clone_dtoh(&gradient)?);

    // The same on the CPU: the same negatives, to the last; the same numbers, to f32's.
    for (prompt, negative) in stream.clone_dtoh(&drawn)?.into_iter().enumerate() {
        let rewards = &rewards[prompt * RESPONSES..(prompt + 1) * RESPONSES];
        let position = Position { row: prompt as u32, ..Position::default() };
        assert_eq!(negative as usize, NegativeSampler::new(7).draw(rewards, 1.0, TiePolicy::Keep, position)?);
    }
    let (policy, mut expected, mut slopes) = (stream.clone_dtoh(&policy)?, [0.0; PROMPTS], [0.0; 2 * PROMPTS]);
    let mut scratch = vec![0.0; Loss::batch_scratch_len(2)];
    loss.values_and_gradients(&batch(&policy)?, &mut scratch, &mut expected, &mut slopes)?;
    let pairs = values.iter().chain(&gradient).zip(expected.iter().chain(&slopes));
    let largest = pairs.fold(0.0, |largest: f32, (given, expected)| largest.max((given - expected).abs()));
    let mean = values.iter().sum::<f32>() / PROMPTS as f32;
    println!("{}: mean loss {mean:.4}, off the CPU's by {largest:e}", device.name());
    assert!(largest < 1e-6);
    Ok(())
}
