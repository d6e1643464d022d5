//! Gradients of `Σ_i c_i r_i`: against finite differences, and by both routes.

use crate::support::{data, ids, json};
use crate::tolerance::{ROUTES, SLOPE};
use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::model::{Activations, Gradients, Policy};
use hps_llama::pack::Group;
use hps_llama::parameter::Parameter;
use hps_llama::reward_model::RewardModel;
use hps_llama::weights::{OwnedTensor, Weights, write_safetensors};
use std::collections::BTreeMap;
use std::path::Path;

const COEFFICIENTS: [f32; 4] = [1.0, -0.75, 0.5, 0.25];
/// The model's `pad_token_id`, which no reward is read at.
const PADDING: u32 = 1023;

/// Of its last two responses one ends with padding and one is nothing else.
fn group() -> Group {
    let reference = json("hf.json");
    let case = |index: usize| ids(&reference["models"]["tiny-reward"]["cases"][index]["ids"]);
    let response = |index: usize, length: usize| case(index)[30..30 + length].to_vec();
    let padded = [response(2, 14), vec![PADDING; 2]].concat();
    let responses = vec![response(0, 9), response(1, 1), padded, vec![PADDING]];
    Group { row: 4, prompt: case(0)[..24].to_vec(), responses }
}

fn full(folder: &Path) -> Policy<Cpu> {
    RewardModel::from_folder(Cpu, folder, true).expect("a reward model").into_policy()
}

fn adapted() -> Policy<Cpu> {
    let model = RewardModel::from_folder(Cpu, data("models/tiny-reward"), false).expect("a reward model");
    let adapter = Lora::from_folder(&Cpu, model.policy().model.config(), data("models/tiny/adapter-11"), 0);
    model.with_adapter(adapter.expect("it fits")).expect("adapted").into_policy()
}

fn named(gradients: &Gradients<Cpu>) -> BTreeMap<Parameter, Vec<f64>> {
    let numbers = |array| Cpu.download(array).expect("numbers").into_iter().map(f64::from).collect();
    gradients.iter().map(|(parameter, array)| (*parameter, numbers(array))).collect()
}

fn in_one_pass(policy: &Policy<Cpu>) -> BTreeMap<Parameter, Vec<f64>> {
    let mut gradients = Gradients::zeros(policy).expect("zeros");
    let batch = policy.model.batch(&policy.pack(&[group()])).expect("a batch");
    let pass = policy.forward(&batch, 0, Activations::Keep).expect("a forward");
    policy.backward(&batch, pass, &COEFFICIENTS, &mut gradients).expect("a backward");
    named(&gradients)
}

fn in_chunks(policy: &Policy<Cpu>) -> BTreeMap<Parameter, Vec<f64>> {
    let (mut gradients, group) = (Gradients::zeros(policy).expect("zeros"), group());
    let mut prompt = policy.prompt(&group, 0, Activations::Recompute).expect("a prompt");
    for chunk in group.chunks(10) {
        let packed = policy.pack_chunk(&group, chunk.clone());
        let before = Cpu.download(&policy.chunk_log_probs(&prompt, &packed).expect("scores")).expect("numbers");
        let c = &COEFFICIENTS[chunk];
        let scores = policy.chunk_backward(&mut prompt, &packed, c, &mut gradients).expect("a backward");
        assert_eq!(Cpu.download(&scores).expect("numbers"), before);
    }
    policy.prompt_backward(prompt, &mut gradients).expect("a backward");
    named(&gradients)
}

fn norm(numbers: impl IntoIterator<Item = f64>) -> f64 {
    numbers.into_iter().map(|number| number * number).sum::<f64>().sqrt()
}

#[test]
fn both_routes_agree() {
    for (what, policy) in [("full", full(&data("models/tiny-reward"))), ("LoRA", adapted())] {
        let (one, other) = (in_one_pass(&policy), in_chunks(&policy));
        assert!(one.keys().eq(other.keys()) && one.keys().eq(policy.trained().keys()));
        let mut worst = 0.0f64;
        for (parameter, gradient) in &one {
            let difference = norm(gradient.iter().zip(&other[parameter]).map(|(one, other)| one - other));
            let size = norm(gradient.iter().copied());
            assert!(size > 0.0, "{what}: the gradient of {parameter} is zero");
            worst = worst.max(difference / size);
        }
        println!("{what}: routes within {worst:.1e}");
        assert!(worst < ROUTES, "{what}: {worst:e}");
    }
}

/// `Σ_i c_i r_i` of the model whose weights are moved by `step` along a direction.
fn value(folder: &Path, direction: &BTreeMap<Parameter, Vec<f64>>, step: f64) -> f64 {
    let source = data("models/tiny-reward");
    let stored = Weights::from_folder(&source).expect("weights");
    let config = full(&source).model.config().clone();
    let tensor = |parameter: &Parameter| {
        let (rows, columns) = parameter.shape(&config, 0);
        let along = direction.get(parameter);
        let read = stored.read(&parameter.to_string(), (rows, columns), |tensor| {
            let moved = tensor.numbers().into_iter().enumerate().map(|(index, number)| match along {
                Some(along) => (f64::from(number) + step * along[index]) as f32,
                None => number,
            });
            Ok(moved.collect())
        });
        let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
        OwnedTensor { name: parameter.to_string(), shape, data: read.expect("a tensor") }
    };
    let tensors: Vec<OwnedTensor> = Parameter::of_reward_model(&config).iter().map(tensor).collect();
    write_safetensors(&folder.join("model.safetensors"), &tensors, hps_llama::backend::Precision::F32).expect("saved");
    std::fs::copy(source.join("config.json"), folder.join("config.json")).expect("copied");
    let model = RewardModel::from_folder(Cpu, folder, true).expect("a reward model");
    let scores = model.rewards(&[group()]).expect("scores").concat();
    scores.iter().zip(COEFFICIENTS).map(|(score, c)| f64::from(c) * score).sum()
}

/// Along each kind of weight's own gradient the slope is that gradient's norm.
#[test]
fn gradients_are_slopes() {
    let folder = tempfile::tempdir().expect("a folder");
    let gradients = in_one_pass(&full(&data("models/tiny-reward")));
    let whole: Vec<Parameter> = gradients.keys().copied().collect();
    let groups = [
        ("all", whole.clone()),
        ("the score head", vec![Parameter::Score]),
        ("the last norm", vec![Parameter::FinalNorm]),
        ("the embedding", vec![Parameter::Embedding]),
    ];
    for (what, parameters) in groups {
        let size = norm(parameters.iter().flat_map(|parameter| gradients[parameter].iter().copied()));
        let direction: BTreeMap<Parameter, Vec<f64>> = parameters
            .iter()
            .map(|parameter| (*parameter, gradients[parameter].iter().map(|entry| entry / size).collect()))
            .collect();
        // A change of the value by about 0.02.
        let step = 0.01 / size;
        let [up, down] = [step, -step].map(|step| value(folder.path(), &direction, step));
        let slope = (up - down) / (2.0 * step);
        println!("{what}: slope {slope:.6}, norm {size:.6}");
        assert!((slope / size - 1.0).abs() < SLOPE, "{what}: {slope} against {size}");
    }
}
