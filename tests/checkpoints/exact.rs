//! k steps, a checkpoint, the rest: the same bits as the run in one go, for every k.

use crate::run::{Kind, advance, bits, checkpoint, config, files, metrics, start_on, uninterrupted, uninterrupted_on};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use crate::support::gpu::on_gpus;
use hps_llama::backend::Backend;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use hps_llama::backend::Dtype;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::model::Llama;
use hps_llama::train::Checkpoint;

fn assert_resumes<B: Backend>(backend: &B, stops: impl Iterator<Item = u64> + Clone) {
    for kind in [Kind::Lora, Kind::Full] {
        let whole = tempfile::tempdir().expect("a folder");
        let trainer = uninterrupted_on(backend.clone(), kind, config(), whole.path());
        assert_eq!(trainer.steps_done(), 6);
        for stop in stops.clone() {
            let cut = tempfile::tempdir().expect("a folder");
            let (mut first, mut report) = start_on(backend.clone(), kind, config(), cut.path()).expect("a run begins");
            advance(&mut first, &mut report, cut.path(), stop).expect("some steps");
            // A run that is killed has often gone on since its last checkpoint.
            if let Some(step) = first.step().expect("a step") {
                report.log(&step).expect("a line too many");
            }
            drop((first, report));
            let (mut second, mut report) =
                start_on(backend.clone(), kind, config(), cut.path()).expect("the run resumes");
            assert_eq!(second.steps_done(), stop, "{kind:?}");
            advance(&mut second, &mut report, cut.path(), 6).expect("the rest");
            assert!(second.step().expect("no error").is_none(), "{kind:?}: no step is left");
            // Weights, moments, counters and logs, all byte by byte.
            for step in stop..=6 {
                let [cut, whole] = [cut.path(), whole.path()].map(|folder| files(&checkpoint(folder, step)));
                assert!(cut == whole, "{kind:?}, stopped after {stop}: checkpoint {step} differs");
                // Where numbers depend on the packing, the reference's are among them.
                let expected = if backend.packing_tolerance() > 0.0 { 7 } else { 6 };
                assert!(whole.len() == expected && whole["metrics.jsonl"].len() > 100, "{:?}", whole.keys());
            }
            let [cut, whole] = [cut.path(), whole.path()].map(|folder| std::fs::read(metrics(folder)).expect("a log"));
            assert!(cut == whole, "{kind:?}, stopped after {stop}: the log differs");
            assert_eq!(bits(second.policy()), bits(trainer.policy()), "{kind:?}, stopped after {stop}");
        }
    }
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_at_every_step() {
    assert_resumes(&Cpu, 1..=6);
}

/// A device's operations are deterministic, so the promise holds on each.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn a_resumed_run_is_the_uninterrupted_one<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for dtype in [Dtype::Float32, Dtype::BFloat16] {
        if let Some(backend) = open(dtype) {
            assert_resumes(&backend, [1, 4].into_iter());
        }
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
on_gpus!(a_resumed_run_is_the_uninterrupted_one);

/// The comparison is sharp: every step moves the weights and the moments.
#[test]
fn no_two_checkpoints_are_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    uninterrupted(Kind::Lora, config(), folder.path());
    let all: Vec<_> = (1..=6).map(|step| files(&checkpoint(folder.path(), step))).collect();
    for pair in all.windows(2) {
        for name in ["adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json", "metrics.jsonl"] {
            assert!(pair[0][name] != pair[1][name], "{name}");
        }
    }
}

/// A checkpoint is a folder that other programs read: PEFT's for an adapter, transformers' for a model.
#[test]
fn weights_are_read_by_their_usual_readers() {
    for kind in [Kind::Lora, Kind::Full] {
        let folder = tempfile::tempdir().expect("a folder");
        let trainer = uninterrupted(kind, config(), folder.path());
        let (last, skipped) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
        assert_eq!((last.step(), skipped.len()), (6, 0));
        let mut read = kind.policy();
        match kind {
            Kind::Lora => {
                let adapter = Lora::from_folder(&Cpu, read.model.config(), last.folder(), 5).expect("an adapter");
                read.adapter = Some(adapter);
            }
            Kind::Full => read.model = Llama::from_folder(Cpu, last.folder(), true).expect("a model"),
        }
        assert_eq!(bits(&read), bits(trainer.policy()), "{kind:?}");
    }
}
