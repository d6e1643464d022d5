//! Device memory over a long run: what the first steps allocated is what the last still uses. `HPS_STEPS` sets their number,
//! 150 by default; `tests/long.sh` takes a thousand.

use crate::lists::list;
use crate::run::{config, trainer};
use crate::support::gpu;
#[cfg(feature = "cuda")]
use hps_llama::backend::cuda::Cuda;
#[cfg(feature = "wgpu")]
use hps_llama::backend::wgpu::Wgpu;
use hps_llama::backend::{Backend, Dtype};
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::train::TrainConfig;
use std::fmt::Debug;
use std::time::Instant;

/// Steps of a run.
fn steps() -> u32 {
    std::env::var("HPS_STEPS").map_or(150, |steps| steps.parse().expect("HPS_STEPS is a number"))
}
/// Every shape has occurred by then.
const WARM: u64 = 20;

/// As small as a Llama with two blocks and grouped queries gets: what is measured is its buffers' coming and going.
fn smallest<B: Backend>(backend: B) -> Policy<B> {
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 1000, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0,
    });
    let config = LlamaConfig::from_json(&config.to_string(), "test").expect("a config");
    let model = Llama::random_frozen(backend, config, 0.05, 7).expect("a model");
    let options = LoraConfig { lora_dropout: 0.1, ..LoraConfig::default() };
    let adapter = Lora::fresh(model.backend(), model.config(), options, 3).expect("an adapter");
    Policy { model, adapter: Some(adapter) }
}

/// The arrays' bytes, and those of all that the driver was asked for where it tells.
#[cfg(feature = "wgpu")]
#[test]
fn many_steps_take_no_more_memory_on_wgpu() {
    if gpu::wgpu(Dtype::Float32).is_none() {
        return;
    }
    // A device of its own, so that other tests' arrays do not count.
    let open = || Wgpu::open(None, Dtype::Float32).expect("the same adapter again");
    assert_memory_stays(open, |backend| {
        backend.device().wait().expect("all commands are done");
        let report = backend.device().wgpu().0.generate_allocator_report();
        (backend.device().allocated(), report.map(|report| report.total_allocated_bytes))
    });
}

/// The arrays' bytes, those kept for later ones included.
#[cfg(feature = "cuda")]
#[test]
fn many_steps_take_no_more_memory_on_cuda() {
    if gpu::cuda(Dtype::Float32).is_none() {
        return;
    }
    let open = || Cuda::open(None, Dtype::Float32).expect("the same device again");
    assert_memory_stays(open, |backend| backend.device().allocated());
}

/// A pair and a list: the memory after [`WARM`] steps is that of the last.
fn assert_memory_stays<B: Backend, M: PartialEq + Debug + Default>(open: impl Fn() -> B, memory: impl Fn(&B) -> M) {
    let steps = steps();
    for (loss, responses) in [("dpo-bt", 2), ("dpo-hps-full", 6)] {
        let backend = open();
        let lists: Vec<_> = (0..5).map(|row| list(row, responses)).collect();
        let config = TrainConfig {
            per_device_train_batch_size: 1,
            num_train_epochs: steps / lists.len() as u32,
            shuffle: true,
            ..config(loss)
        };
        let mut trainer = trainer(smallest(backend.clone()), &lists, config);
        let start = Instant::now();
        let mut warm = M::default();
        while let Some(log) = trainer.step().expect("a step") {
            if log.step == WARM {
                warm = memory(&backend);
            }
        }
        assert_eq!(trainer.steps_done(), u64::from(steps));
        println!("{loss}: {warm:?} bytes, {:.1?}", start.elapsed());
        assert_eq!(memory(&backend), warm, "{loss}: {steps} steps");
    }
}
