//! Its numbers: log-probs as transformers computes them of the same file (`data/smollm2/README.md`), and that its codes
//! stand for the numbers of a folder that holds them decoded, in log-probs and in training.

use super::file;
use super::tolerance::{DECODED_LOG_PROB, DECODED_UPDATE, TRANSFORMERS, TRANSFORMERS_RMS};
use hps_llama::Result;
use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
use hps_llama::evaluate::token_log_probs;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, ModelFolder, Policy};
use hps_llama::pack::Group;
use hps_llama::train::{Example, SchedulerType, TrainConfig, Trainer};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// `data/smollm2/log_probs.json`.
#[derive(Deserialize)]
pub struct Reference {
    sha256_of_file: String,
    pub chats: Vec<Scored>,
}

#[derive(Deserialize)]
pub struct Scored {
    prompt: Vec<u32>,
    responses: Vec<Response>,
}

#[derive(Deserialize)]
pub struct Response {
    ids: Vec<u32>,
    log_probs: Vec<f64>,
}

pub fn reference() -> Reference {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/smollm2/log_probs.json");
    let reference: Reference = serde_json::from_slice(&fs::read(path).expect("a file of data")).expect("values");
    assert_eq!(reference.sha256_of_file, crate::lines::json("smollm2.json")["sha256_of_file"], "of another file");
    assert_eq!(reference.chats.len(), 40);
    reference
}

pub fn group(row: usize, chat: &Scored) -> Group {
    let responses = chat.responses.iter().map(|response| response.ids.clone()).collect();
    Group { row: row as u32, prompt: chat.prompt.clone(), responses }
}

pub fn base(path: &Path) -> Result<Policy<Cpu>> {
    Ok(Policy { model: Llama::from_folder(Cpu, path, false)?, adapter: None })
}

/// Root mean square and the greatest of some differences.
fn summary(differences: &[f64]) -> (f64, f64) {
    let squares: f64 = differences.iter().map(|difference| difference * difference).sum();
    // A number that is none must not pass for a small one.
    let worst = differences.iter().fold(0.0f64, |worst, difference| match difference.is_nan() {
        true => f64::INFINITY,
        false => worst.max(difference.abs()),
    });
    ((squares / differences.len() as f64).sqrt(), worst)
}

#[test]
fn log_probs_are_those_of_transformers() -> Result<()> {
    let Some(path) = file() else { return Ok(()) };
    let policy = base(&path)?;
    let (mut differences, mut worst, mut furthest) = (Vec::new(), (0.0, 0, 0), 0);
    for (row, chat) in reference().chats.iter().enumerate() {
        let ours = token_log_probs(&policy, &group(row, chat))?;
        assert_eq!(ours.len(), chat.responses.len());
        for (ours, Response { log_probs: theirs, .. }) in ours.iter().zip(&chat.responses) {
            assert_eq!(ours.len(), theirs.len());
            for (token, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let difference = f64::from(*ours) - theirs;
                if difference.abs() > worst.0 {
                    worst = (difference.abs(), row, chat.prompt.len() + token);
                }
                differences.push(difference);
            }
            furthest = furthest.max(chat.prompt.len() + theirs.len());
        }
    }
    assert!(differences.len() > 3000 && furthest > 800, "{} tokens, the last at {furthest}", differences.len());
    let (rms, greatest) = summary(&differences);
    let (_, chat, position) = worst;
    let tokens = differences.len();
    println!("{tokens} tokens: rms {rms:.1e} nats, at worst {greatest:.1e}, in chat {chat} at position {position}");
    assert!(greatest <= TRANSFORMERS, "chat {chat}, position {position}: {greatest:e} nats apart");
    assert!(rms <= TRANSFORMERS_RMS, "rms {rms:e}");
    Ok(())
}

/// Eight short pairs: those with the shortest prompts, their responses cut.
fn pairs() -> Vec<Example> {
    let mut groups: Vec<Group> = reference().chats.iter().enumerate().map(|(row, chat)| group(row, chat)).collect();
    groups.sort_by_key(|group| group.prompt.len());
    let example = |mut group: Group| {
        group.responses.iter_mut().for_each(|response| response.truncate(12));
        Example { place: format!("chat {}", group.row), group, rewards: vec![1.0, 0.0] }
    };
    groups.into_iter().take(8).map(example).collect()
}

/// What six updates of HPS, the default loss, add to a fresh adapter, a matrix after the other, and the margins on the way.
fn trained(path: &Path) -> Result<(Vec<f32>, Vec<f64>)> {
    let config = TrainConfig {
        learning_rate: 1e-4,
        lr_scheduler_type: SchedulerType::Constant,
        num_train_epochs: 3,
        per_device_train_batch_size: 4,
        gradient_accumulation_steps: 1,
        seed: 11,
        ..TrainConfig::default()
    };
    let model = Llama::from_folder(Cpu, path, false)?;
    let adapter = Lora::fresh(&Cpu, model.config(), LoraConfig::default(), 5)?;
    let numbers = |adapter: &Lora<Cpu>| {
        let matrix = |parameter| adapter.matrix(&Cpu, parameter).map(|matrix| matrix.expect("a matrix"));
        adapter.parameters().map(matrix).collect::<Result<Vec<_>>>().map(|matrices| matrices.concat())
    };
    let before = numbers(&adapter)?;
    let mut trainer = Trainer::new(Policy { model, adapter: Some(adapter) }, pairs(), config)?;
    let mut margins = Vec::new();
    while let Some(log) = trainer.step()? {
        margins.push(log.rewards_margins);
    }
    let after = numbers(trainer.into_policy().adapter.as_ref().expect("an adapter"))?;
    Ok((after.iter().zip(&before).map(|(after, before)| after - before).collect(), margins))
}

#[test]
fn its_decoded_folder_computes_and_trains_alike() -> Result<()> {
    let Some(path) = file() else { return Ok(()) };
    let codes = base(&path)?;
    let folder = tempfile::tempdir().expect("a folder");
    codes.model.save(folder.path(), Precision::F32)?;
    let decoded = base(folder.path())?;
    let bytes = |path: &Path| -> Result<u64> {
        Ok(ModelFolder::open(path)?.stored_sizes(None)?.iter().map(|weight| weight.bytes).sum())
    };
    let [codes_take, decoded_take] = [path.as_path(), folder.path()].map(bytes);
    assert!(codes_take? * 5 < decoded_take?, "one in codes, the other in numbers");

    let mut differences = Vec::new();
    for (row, chat) in reference().chats.iter().enumerate().step_by(9) {
        let group = group(row, chat);
        let [ours, theirs] =
            [token_log_probs(&codes, &group)?, token_log_probs(&decoded, &group)?].map(|all| all.concat());
        assert_eq!(ours.len(), theirs.len());
        differences.extend(ours.iter().zip(&theirs).map(|(ours, theirs)| f64::from(ours - theirs)));
    }
    let (rms, worst) = summary(&differences);
    println!("log-probs of {} tokens: rms {rms:.1e}, at worst {worst:.1e} nats apart", differences.len());
    assert!(differences.len() > 250 && worst <= DECODED_LOG_PROB, "{worst:e}");

    let [(ours, margins), (theirs, _)] = [trained(&path)?, trained(folder.path())?];
    assert_eq!((margins.len(), margins[0]), (6, 0.0), "the reference is the same base");
    assert!(margins[5] > 0.01, "it learns: {margins:?}");
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>().sqrt();
    let update = norm(&mut ours.iter().map(|number| f64::from(*number)));
    let apart = norm(&mut ours.iter().zip(&theirs).map(|(ours, theirs)| f64::from(ours - theirs)));
    let apart = apart / update;
    println!("the update's norm is {update:.3}, {apart:.1e} of it apart; margins {margins:.3?}");
    assert!(ours.len() == theirs.len() && apart <= DECODED_UPDATE, "{apart:e} of the update apart");
    Ok(())
}
