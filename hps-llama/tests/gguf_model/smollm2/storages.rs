//! What a base loses in fewer bits: the table of `docs/guide/quantised.md`.

use super::computing::{base, group, reference};
use super::file;
use hps_llama::Result;
use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
use hps_llama::blocks::FourBitType;
use hps_llama::evaluate::{Against, divergence};
use hps_llama::model::{Llama, ModelFolder, ModelSource, Policy};
use hps_llama::quantisation::{Quantisation, QuantisedType};
use hps_llama::train::Example;

/// `D_KL[storage ‖ file in f32]` of what comes next, nats a token, over a response of every fourth of the 40 chats.
const TABLE: [(&str, f64); 6] = [
    ("the file", 0.0),
    ("bfloat16", 8.81e-5),
    ("q8_0", 1.76e-3),
    ("nf4", 0.398),
    ("nf4, doubly quantised", 0.406),
    ("fp4", 0.681),
];

#[test]
fn what_each_storage_costs() -> Result<()> {
    let Some(path) = file() else { return Ok(()) };
    let own = base(&path)?;
    let [decoded, halves] = [tempfile::tempdir(), tempfile::tempdir()].map(|folder| folder.expect("a folder"));
    own.model.save(decoded.path(), Precision::F32)?;
    own.model.save(halves.path(), Precision::BF16)?;
    let exact = base(decoded.path())?;

    let chats = reference().chats;
    let examples = chats.iter().enumerate().step_by(4).map(|(row, chat)| {
        let group = group(row, chat);
        let rewards = (0..group.responses.len()).map(|index| -(index as f64)).collect();
        Example { place: format!("chat {row}"), group, rewards }
    });
    let examples: Vec<Example> = examples.collect();
    let tokens: usize = examples.iter().map(|example| example.group.responses[0].len()).sum();

    let mut measured = Vec::new();
    for (name, expected) in TABLE {
        let quantised = match name {
            "q8_0" => Some(QuantisedType::Q8_0),
            "nf4" => Some(QuantisedType::FourBit { kind: FourBitType::Nf4, double: false }),
            "nf4, doubly quantised" => Some(QuantisedType::FourBit { kind: FourBitType::Nf4, double: true }),
            "fp4" => Some(QuantisedType::FourBit { kind: FourBitType::Fp4, double: false }),
            _ => None,
        };
        let path = match name {
            "the file" => path.as_path(),
            "bfloat16" => halves.path(),
            _ => decoded.path(),
        };
        let quantisation = quantised.map(|kind| Quantisation { kind, skip_modules: Vec::new() });
        let sizes = ModelFolder::open(path)?.stored_sizes(quantisation.as_ref())?;
        let bytes: u64 = sizes.iter().map(|weight| weight.bytes).sum();
        let source = ModelSource { path: path.to_path_buf(), quantisation };
        let policy = Policy { model: Llama::from_folder(Cpu, source, false)?, adapter: None };
        let apart = divergence(&policy, &Against::Model(&exact), &examples, 1024)?;
        let kl = apart.iter().map(|apart| apart.kl).sum::<f64>() / tokens as f64;
        let squares: f64 = apart.iter().map(|apart| apart.log_ratio * apart.log_ratio).sum();
        let rms = (squares / apart.len() as f64).sqrt();
        println!(
            "{name}: {:.0} MB, {kl:.2e} nats a token; a response's log-prob {rms:.3} nats rms",
            bytes as f64 / 1e6
        );
        measured.push((name, kl, expected));
    }
    println!("{} responses of {tokens} tokens", examples.len());
    for (name, kl, expected) in measured {
        assert!((kl - expected).abs() <= 0.02 * expected + 1e-7, "{name}: {kl:e}, not {expected:e}");
    }
    Ok(())
}
